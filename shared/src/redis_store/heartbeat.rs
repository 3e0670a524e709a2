//! Who works: a sign of life per worker, gone by itself when the worker is.

use super::error::StoreError;
use super::store::StockStore;
use crate::stock::{AsOf, Fingerprint, TenantId};
use std::time::Duration;

/// A worker that is silent for longer is not listed any more.
const SILENCE: Duration = Duration::from_secs(30);

/// What of all that may stand in Redis is taken over: workers, shards of one, and bytes of a text.
const MOST_WORKERS: isize = 1_000;
const MOST_SHARDS: usize = 256;
const LONGEST_TEXT: usize = 4 * 1024;
const FIELDS: [&str; 6] = [
    "version",
    "host",
    "started",
    "settings",
    "shards",
    "rows_per_second",
];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerHeartbeat {
    pub id: String,
    pub version: String,
    pub host: String,
    pub started: String,
    /// The tenants it reads, each with the fingerprint of the settings it reads them with.
    pub settings: Vec<(TenantId, Fingerprint)>,
    /// Warehouses it reads right now, as `tenant/warehouse`.
    pub shards: Vec<String>,
    pub rows_per_second: u64,
}

impl StockStore {
    pub async fn beat(&self, worker: &WorkerHeartbeat, now: AsOf) -> Result<(), StoreError> {
        let key = self.keys().worker(&worker.id);
        let silent_before = now.unix_ms() - i64::try_from(SILENCE.as_millis()).unwrap_or(i64::MAX);
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("HSET")
            .arg(&key)
            .arg("version")
            .arg(&worker.version)
            .arg("host")
            .arg(&worker.host)
            .arg("started")
            .arg(&worker.started)
            .arg("settings")
            .arg(text_of(&worker.settings))
            .arg("seen")
            .arg(now.to_string())
            .arg("shards")
            .arg(worker.shards.join(","))
            .arg("rows_per_second")
            .arg(worker.rows_per_second)
            .ignore()
            .cmd("PEXPIRE")
            .arg(&key)
            .arg(ms(SILENCE))
            .ignore()
            .cmd("ZADD")
            .arg(self.keys().workers())
            .arg(now.unix_ms())
            .arg(&worker.id)
            .ignore()
            .cmd("ZREMRANGEBYSCORE")
            .arg(self.keys().workers())
            .arg("-inf")
            .arg(format!("({silent_before}"))
            .ignore();
        self.ask_all(&pipeline).await
    }

    /// Takes a worker off the list: it says good-bye.
    pub async fn leave(&self, id: &str) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("DEL").arg(self.keys().worker(id)).ignore();
        pipeline
            .cmd("ZREM")
            .arg(self.keys().workers())
            .arg(id)
            .ignore();
        self.ask_all(&pipeline).await
    }

    /// The workers that gave a sign of life lately.
    pub async fn workers(&self) -> Result<Vec<WorkerHeartbeat>, StoreError> {
        let mut range = redis::cmd("ZRANGE");
        range.arg(self.keys().workers()).arg(-MOST_WORKERS).arg(-1);
        let ids: Vec<Vec<u8>> = self.ask(&range).await?;
        let mut workers = Vec::new();
        let ids = ids.into_iter().filter(|id| id.len() <= LONGEST_TEXT);
        for id in ids.filter_map(|id| String::from_utf8(id).ok()) {
            let key = self.keys().worker(&id);
            let answer = self.short_fields(&[key], &FIELDS, LONGEST_TEXT).await;
            let mut fields = match answer.map(|mut records| records.remove(0)) {
                Ok(fields) if fields.is_empty() => continue,
                Ok(fields) => fields,
                // Something else stands there: one bad record does not hide the others.
                Err(error) if error.is_about_this_key() => continue,
                Err(error) => return Err(error),
            };
            let mut take = |name: &str| {
                let value = fields.remove(name).unwrap_or_default();
                String::from_utf8_lossy(&value).into_owned()
            };
            workers.push(WorkerHeartbeat {
                version: take("version"),
                host: take("host"),
                started: take("started"),
                settings: settings_of(&take("settings")),
                shards: take("shards")
                    .split(',')
                    .filter(|s| !s.is_empty())
                    .take(MOST_SHARDS)
                    .map(str::to_owned)
                    .collect(),
                rows_per_second: take("rows_per_second").parse().unwrap_or_default(),
                id,
            });
        }
        Ok(workers)
    }
}

fn text_of(settings: &[(TenantId, Fingerprint)]) -> String {
    let pairs: Vec<String> = settings
        .iter()
        .map(|(tenant, fingerprint)| format!("{tenant}={fingerprint}"))
        .collect();
    pairs.join(",")
}

fn settings_of(text: &str) -> Vec<(TenantId, Fingerprint)> {
    text.split(',')
        .filter_map(|pair| {
            let (tenant, fingerprint) = pair.split_once('=')?;
            Some((TenantId::parse(tenant).ok()?, fingerprint.parse().ok()?))
        })
        .collect()
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

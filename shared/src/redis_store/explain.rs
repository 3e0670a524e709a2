//! What is stored, as it is stored: for people at a terminal.

use super::error::StoreError;
use super::line_codec::read_line;
use super::store::StockStore;
use crate::stock::{LineValue, Sku, TenantId};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedLine {
    pub warehouse: String,
    pub text: String,
    /// The text read as a line, if it is one.
    pub value: Option<LineValue>,
}

/// What a check of the server wants to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerFacts {
    pub version: String,
    /// `master` or `slave`.
    pub role: String,
    /// What happens when memory is full; only `noeviction` loses nothing.
    pub eviction_policy: String,
}

impl StockStore {
    /// All lines of a SKU as stored, and how long they live on.
    pub async fn stored_lines(
        &self,
        tenant: &TenantId,
        sku: &Sku,
    ) -> Result<(Vec<ExplainedLine>, Option<Duration>), StoreError> {
        let key = self.keys().stock(tenant, sku);
        let mut pipeline = redis::pipe();
        pipeline.cmd("HGETALL").arg(&key).cmd("PTTL").arg(&key);
        let (fields, ttl_ms): (BTreeMap<String, String>, i64) = self.ask_all(&pipeline).await?;
        let lines = fields
            .into_iter()
            .map(|(warehouse, text)| ExplainedLine {
                warehouse,
                value: read_line(text.as_bytes()),
                text,
            })
            .collect();
        Ok((lines, u64::try_from(ttl_ms).ok().map(Duration::from_millis)))
    }

    /// Whether this user may write a tenant's records, and Redis takes writes at all. Changes nothing:
    /// the command would move a shard that is on the schedule, and names none.
    ///
    /// # Errors
    /// What a write would be refused for.
    pub async fn check_writing(&self, tenant: &TenantId) -> Result<(), StoreError> {
        let mut add = redis::cmd("ZADD");
        add.arg(self.keys().due(tenant)).arg("XX").arg(0).arg("");
        self.ask(&add).await
    }

    pub async fn server_facts(&self) -> Result<ServerFacts, StoreError> {
        let info: String = self.ask(&redis::cmd("INFO")).await?;
        let fact = |name: &str| {
            info.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        Ok(ServerFacts {
            version: fact("redis_version"),
            role: fact("role"),
            eviction_policy: fact("maxmemory_policy"),
        })
    }
}

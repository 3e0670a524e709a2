//! Where a row plays: a Redis process, the simulator, and services on demand.

use crate::faults::outcome::RowError;
use d365_simulator::{Config, Handle, Kind, RequestRecord, Simulator, UtcMillis, WorldConfig};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::{Launch, Program, Service};
use integration_tests::connector_config::{ConfigFile, ConnectorConfig};
use integration_tests::eventually::NotInTime;
use integration_tests::oracle::{Oracle, Told, Verdict};
use integration_tests::redis_fixture::RedisFixture;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;

/// The two warehouses every row reads.
pub(crate) const WAREHOUSES: [&str; 2] = ["11", "24"];
/// SKUs of one question when all lines are read.
const SKUS_PER_QUESTION: usize = 500;
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// How large and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) items: usize,
    /// Time from one snapshot's start to the next.
    pub(crate) interval: Duration,
    /// How long a fault lasts where it has no length of its own.
    pub(crate) fault: Duration,
    /// Questions a second, and SKUs of each.
    pub(crate) browse: (u32, usize),
    pub(crate) is_full: bool,
}

impl Scale {
    pub(crate) const QUICK: Self = Self {
        items: 2_000,
        interval: Duration::from_secs(3),
        fault: Duration::from_secs(6),
        browse: (60, 20),
        is_full: false,
    };
    pub(crate) const FULL: Self = Self {
        items: 50_000,
        interval: Duration::from_mins(1),
        fault: Duration::from_mins(2),
        browse: (200, 50),
        is_full: true,
    };

    /// Two intervals and a little: long enough for two snapshots.
    pub(crate) fn two_cycles(self) -> Duration {
        self.interval * 3 + Duration::from_secs(30)
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} items x {} warehouses, a snapshot every {:?}, browse {}/s x {} SKUs",
            self.items,
            WAREHOUSES.len(),
            self.interval,
            self.browse.0,
            self.browse.1
        )
    }
}

/// What a row is given.
#[derive(Debug, Clone)]
pub(crate) struct Rig {
    pub(crate) seed: u64,
    pub(crate) scale: Scale,
    /// The guard that is off in this run.
    pub(crate) guard: Option<&'static str>,
    controls: PathBuf,
}

impl Rig {
    pub(crate) fn new(
        seed: u64,
        scale: Scale,
        guard: Option<&'static str>,
        controls: &Path,
    ) -> Self {
        Self {
            seed,
            scale,
            guard,
            controls: controls.to_owned(),
        }
    }

    /// The folder of the programs whose guards can be switched off.
    pub(crate) fn controls(&self) -> &Path {
        &self.controls
    }

    /// A world of the row's size that stands still.
    pub(crate) fn world(&self) -> Config {
        let world = WorldConfig {
            items: self.scale.items,
            seed: self.seed,
            ..WorldConfig::default()
        };
        Config {
            world: Some(world),
            ..Config::default()
        }
    }

    /// Redis and the simulator; `worker` are the lines of the section `[worker]`.
    pub(crate) async fn stage(&self, d365: Config, worker: &str) -> Result<Stage, RowError> {
        let redis = RedisFixture::start_process().await?;
        self.stage_with(redis, d365, worker, |_config| {})
    }

    /// The same with a Redis of the row's own and more to configure.
    pub(crate) fn stage_with(
        &self,
        redis: RedisFixture,
        d365: Config,
        worker: &str,
        change: impl FnOnce(&mut ConnectorConfig),
    ) -> Result<Stage, RowError> {
        let d365 = d365_simulator::start(d365)?;
        let warehouses = WAREHOUSES.map(str::to_owned).to_vec();
        let mut config = ConnectorConfig::new(&redis.url(), &d365.url(), warehouses);
        config.refresh_interval = format!("{}ms", self.scale.interval.as_millis());
        config.more = format!("[worker]\n{worker}\n");
        change(&mut config);
        let file = config.write()?;
        Ok(Stage {
            redis,
            d365,
            file,
            rig: self.clone(),
        })
    }
}

/// A row's own house.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) redis: RedisFixture,
    d365: Handle,
    file: ConfigFile,
    rig: Rig,
}

impl Stage {
    pub(crate) fn d365(&self) -> Arc<Simulator> {
        Arc::clone(self.d365.simulator())
    }

    pub(crate) fn now(&self) -> i64 {
        self.d365.simulator().now().unix_millis()
    }

    pub(crate) fn launch(&self, program: Program) -> Result<Launch, RowError> {
        let launch = Launch::new(program, self.file.path())?;
        Ok(match self.rig.guard {
            Some(guard) => launch
                .in_folder(&self.rig.controls)
                .with_env("CONNECTOR_GUARD_OFF", guard),
            None => launch,
        })
    }

    pub(crate) async fn worker(&self, name: &str) -> Result<Service, RowError> {
        Ok(self
            .launch(Program::PrefetchWorker)?
            .named(name)
            .start()
            .await?)
    }

    /// One cycle of every warehouse; whether all were complete.
    pub(crate) async fn once(&self) -> Result<bool, RowError> {
        let program = Program::PrefetchWorker;
        let path = match self.rig.guard {
            Some(_) => self.rig.controls.join(program.name()),
            None => program.path()?,
        };
        let mut command = Command::new(path);
        command
            .args(["once", "--config"])
            .arg(self.file.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        if let Some(guard) = self.rig.guard {
            command.env("CONNECTOR_GUARD_OFF", guard);
        }
        let ended = tokio::time::timeout(Duration::from_mins(3), command.status()).await??;
        Ok(ended.success())
    }

    pub(crate) async fn api(&self) -> Result<(Service, ApiClient), RowError> {
        let service = self.launch(Program::InventoryApi)?.start().await?;
        let client = ApiClient::new(&service.url())?;
        let knows_the_tenant = async || {
            let question = json!({ "organization": "nobody", "warehouseId": "1", "skus": ["1"] });
            let reply = client
                .post("/inventory/v1/inventories", &question)
                .await
                .ok()?;
            (reply.status == 404).then_some(())
        };
        self.within(Duration::from_mins(1), "the API", knows_the_tenant)
            .await?;
        Ok((service, client))
    }

    /// Waits for something; a look may remember what it has seen.
    pub(crate) async fn within<T>(
        &self,
        patience: Duration,
        what: &str,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, RowError> {
        let looking = async {
            loop {
                if let Some(seen) = look().await {
                    return seen;
                }
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
        };
        let not_in_time = NotInTime {
            condition: what.to_owned(),
            waited: patience,
        };
        Ok(tokio::time::timeout(patience, looking)
            .await
            .or(Err(not_in_time))?)
    }

    /// A Redis command's answer as text; numbers in digits, nothing as an empty text.
    pub(crate) async fn redis(&self, words: &[&str]) -> Result<String, RowError> {
        let mut connection = self.redis.connection().await?;
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(word);
        }
        Ok(match command.query_async(&mut connection).await? {
            redis::Value::Int(number) => number.to_string(),
            redis::Value::BulkString(text) => String::from_utf8(text)?,
            redis::Value::Nil => String::new(),
            other => format!("{other:?}"),
        })
    }

    /// Keys that match a pattern.
    pub(crate) async fn keys(&self, pattern: &str) -> Result<Vec<String>, RowError> {
        let mut connection = self.redis.connection().await?;
        Ok(redis::cmd("KEYS")
            .arg(pattern)
            .query_async(&mut connection)
            .await?)
    }

    pub(crate) async fn hash(&self, key: &str) -> Result<BTreeMap<String, String>, RowError> {
        let mut connection = self.redis.connection().await?;
        Ok(redis::cmd("HGETALL")
            .arg(key)
            .query_async(&mut connection)
            .await?)
    }

    pub(crate) async fn feed(&self, warehouse: &str) -> Result<BTreeMap<String, String>, RowError> {
        self.hash(&format!("inv:contoso:snapshot:{warehouse}"))
            .await
    }

    /// Waits until every warehouse has a complete snapshot that began at this instant or later.
    pub(crate) async fn snapshots_since(
        &self,
        since: i64,
        patience: Duration,
    ) -> Result<(), RowError> {
        for warehouse in WAREHOUSES {
            self.within(patience, "a complete snapshot", async || {
                let feed = self.feed(warehouse).await.ok()?;
                let watermark = UtcMillis::parse(feed.get("watermark")?)?;
                (watermark.unix_millis() >= since).then_some(())
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until every warehouse's cycle of this or a later generation has ended somehow.
    pub(crate) async fn cycles_ended(&self, more: u64, patience: Duration) -> Result<(), RowError> {
        for warehouse in WAREHOUSES {
            let sealed = async || {
                let feed = self.feed(warehouse).await.unwrap_or_default();
                feed.get("sealed")
                    .and_then(|sealed| sealed.parse::<u64>().ok())
                    .unwrap_or_default()
            };
            let before = sealed().await;
            self.within(patience, "the end of a cycle", async || {
                (sealed().await >= before + more).then_some(())
            })
            .await?;
        }
        Ok(())
    }

    /// The items of a warehouse that are there now.
    pub(crate) fn items(&self, warehouse: &str) -> Result<Vec<String>, RowError> {
        let rows = self.d365().truth("usmf", Some(warehouse), None)?;
        let mut items: Vec<String> = rows.into_iter().map(|row| row.item).collect();
        items.dedup();
        Ok(items)
    }

    /// What the API says about items of a warehouse.
    pub(crate) async fn told(
        &self,
        api: &ApiClient,
        warehouse: &str,
        items: &[String],
    ) -> Result<Vec<Told>, RowError> {
        let mut told = Vec::with_capacity(items.len());
        for items in items.chunks(SKUS_PER_QUESTION) {
            let skus: Vec<&str> = items.iter().map(String::as_str).collect();
            let asked = self.d365().now();
            let reply = api.fast(warehouse, &skus).await?;
            if !reply.status.is_success() {
                return Err(format!("{}: {}", reply.status, reply.text).into());
            }
            told.extend(Told::of_reply(&reply.json, asked, self.d365().now()));
        }
        Ok(told)
    }

    /// Judges lines; a page is read at most `window_ms` after its request began. What the product
    /// got wrong is shown.
    #[expect(clippy::print_stderr, reason = "an untruth is told with its line")]
    pub(crate) fn judge<'t>(
        &self,
        told: impl IntoIterator<Item = &'t Told>,
        window_ms: i64,
    ) -> Verdict {
        let verdict = Oracle::new(self.d365(), "usmf", window_ms).judge(told);
        if let (Some(example), None) = (&verdict.example, self.rig.guard) {
            eprintln!("{example}");
        }
        verdict
    }

    pub(crate) fn last_request(&self) -> u64 {
        self.d365().requests(0).last().map_or(0, |last| last.seq)
    }

    pub(crate) fn pages_since(&self, seq: u64) -> Vec<RequestRecord> {
        let mut requests = self.d365().requests(seq);
        requests.retain(|request| request.kind == Kind::Page);
        requests
    }

    /// Calls to D365 itself, whatever they asked for: tokens come from elsewhere.
    pub(crate) fn calls_since(&self, seq: u64) -> Vec<RequestRecord> {
        let mut requests = self.d365().requests(seq);
        requests.retain(|request| request.kind != Kind::Token);
        requests
    }

    pub(crate) fn faults_fired(&self) -> u64 {
        self.d365().faults().iter().map(|fault| fault.fired).sum()
    }

    /// The sum of a series of a service, over all labels that contain this text.
    pub(crate) async fn metric(
        &self,
        service: &Service,
        series: &str,
        label: &str,
    ) -> Result<f64, RowError> {
        let client = ApiClient::new(&service.management_url())?;
        let page = client.fetch("/metrics").await?;
        Ok(page
            .text
            .lines()
            .filter(|line| line.starts_with(series) && line.contains(label))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum())
    }

    /// The detail of a service's readiness.
    pub(crate) async fn readiness(&self, service: &Service) -> Result<Value, RowError> {
        let client = ApiClient::new(&service.management_url())?;
        Ok(client.fetch("/health/ready").await?.json)
    }
}

/// A number in a record; 0 if it is not there.
pub(crate) fn number(record: &BTreeMap<String, String>, field: &str) -> u64 {
    record
        .get(field)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// The most requests under way at once.
pub(crate) fn most_at_once(requests: &[RequestRecord]) -> i64 {
    let mut changes: Vec<(i64, i64)> = requests
        .iter()
        .flat_map(|request| {
            let end = request.answered.map_or(i64::MAX, UtcMillis::unix_millis);
            [(request.started.unix_millis(), 1), (end, -1)]
        })
        .collect();
    changes.sort_unstable();
    let mut now = 0;
    changes
        .iter()
        .map(|(_, change)| {
            now += change;
            now
        })
        .max()
        .unwrap_or_default()
}

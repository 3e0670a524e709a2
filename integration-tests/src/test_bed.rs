//! What a test of processes, a row of the fault rig and a benchmark stand on: a Redis, the simulator,
//! one configuration file, and the services on demand.

use crate::api_client::ApiClient;
use crate::binaries::{Launch, Program, Service};
use crate::connector_config::{ConfigFile, ConnectorConfig};
use crate::eventually::{eventually, eventually_within};
use crate::free_port::free_port;
use crate::oracle::{ReplyLine, Verdict, judge};
use crate::redis_fixture::RedisFixture;
use crate::tcp_proxy::TcpProxy;
use d365_simulator::{
    Config, Handle, Kind, RequestRecord, Simulator, StockChange, StockKey, UtcMillis, WorldConfig,
};
use redis::FromRedisValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::process::{Child, Command};

/// Whatever keeps a test from its end, in words.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A record in Redis.
pub type Hash = BTreeMap<String, String>;

/// The company the tests' tenant stands for.
const COMPANY: &str = "usmf";
/// SKUs of one question when all lines are read.
const SKUS_PER_QUESTION: usize = 500;

/// A running Redis and simulator, and the configuration of the services that use them.
#[derive(Debug)]
pub struct TestBed {
    /// Its Redis.
    pub redis: RedisFixture,
    d365: Handle,
    /// What the configuration file says; [`TestBed::reconfigure`] changes both.
    pub config: ConnectorConfig,
    file: ConfigFile,
}

/// A world of this size that stands still.
pub fn world(items: usize) -> Config {
    let world = WorldConfig {
        items,
        ..WorldConfig::default()
    };
    Config {
        world: Some(world),
        ..Config::default()
    }
}

/// A proxy before the simulator that is started with this configuration, and its address for the
/// services.
pub async fn proxy_before(d365: &mut Config) -> Result<(TcpProxy, String), Failure> {
    d365.listen = ([127, 0, 0, 1], free_port()?).into();
    let proxy = TcpProxy::before(d365.listen).await?;
    let url = format!("http://{}", proxy.address());
    d365.audiences.push(url.clone());
    Ok((proxy, url))
}

impl TestBed {
    /// With a Redis of its own.
    pub async fn start(d365: Config, warehouses: &[&str]) -> Result<Self, Failure> {
        Self::configured(d365, warehouses, |_as_it_is| {}).await
    }

    /// The same, with more to configure.
    pub async fn configured(
        d365: Config,
        warehouses: &[&str],
        change: impl FnOnce(&mut ConnectorConfig),
    ) -> Result<Self, Failure> {
        Self::on(RedisFixture::start().await?, d365, warehouses, change)
    }

    /// The same, on this Redis.
    pub fn on(
        redis: RedisFixture,
        d365: Config,
        warehouses: &[&str],
        change: impl FnOnce(&mut ConnectorConfig),
    ) -> Result<Self, Failure> {
        let d365 = d365_simulator::start(d365)?;
        let warehouses = warehouses.iter().map(|id| (*id).to_owned()).collect();
        let mut config = ConnectorConfig::new(&redis.url(), &d365.url(), warehouses);
        change(&mut config);
        let file = config.write()?;
        Ok(Self {
            redis,
            d365,
            config,
            file,
        })
    }

    /// Writes the configuration again after it was changed; running services keep the old one.
    pub fn reconfigure(
        &mut self,
        change: impl FnOnce(&mut ConnectorConfig),
    ) -> Result<(), Failure> {
        change(&mut self.config);
        self.file = self.config.write()?;
        Ok(())
    }

    /// The configuration file; another one after [`TestBed::reconfigure`].
    pub fn config_path(&self) -> &Path {
        self.file.path()
    }

    /// How a service is started with this configuration.
    pub fn launch(&self, program: Program) -> Result<Launch, Failure> {
        Ok(Launch::new(program, self.file.path())?)
    }

    /// A worker that runs until it is stopped.
    pub async fn worker(&self, name: &str) -> Result<Service, Failure> {
        let launch = self.launch(Program::PrefetchWorker)?;
        Ok(launch.named(name).start().await?)
    }

    /// An API that knows the tenants.
    pub async fn api(&self) -> Result<(Service, ApiClient), Failure> {
        let service = self.launch(Program::InventoryApi)?.start().await?;
        let api = ApiClient::new(&service.url())?;
        knows_tenants(&api).await?;
        Ok((service, api))
    }

    /// `prefetch-worker <arguments>`, under way.
    pub fn start_tool(&self, arguments: &[&str]) -> Result<Child, Failure> {
        Ok(Command::new(Program::PrefetchWorker.path()?)
            .args(arguments)
            .arg("--config")
            .arg(self.file.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?)
    }

    /// The same, to its end.
    pub async fn tool(&self, arguments: &[&str]) -> Result<Output, Failure> {
        Ok(self.start_tool(arguments)?.wait_with_output().await?)
    }

    /// One complete snapshot of every warehouse.
    pub async fn snapshot(&self) -> Result<(), Failure> {
        let done = self.tool(&["once"]).await?;
        if done.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&done.stdout).into())
    }

    /// The simulator's inside.
    pub fn d365(&self) -> Arc<Simulator> {
        Arc::clone(self.d365.simulator())
    }

    /// The simulator's clock, in ms since 1970.
    pub fn now(&self) -> i64 {
        self.d365().now().unix_millis()
    }

    /// Puts so many pieces of an item into a warehouse.
    pub fn put(&self, item: &str, warehouse: &str, pieces: &str) -> Result<(), Failure> {
        let key = StockKey::of(COMPANY, item, warehouse);
        let change = StockChange::on_hand(pieces);
        self.d365().put_stock(&key, &change)?;
        Ok(())
    }

    /// Takes a row of an item without dimensions away.
    pub fn remove(&self, item: &str, warehouse: &str) -> Result<(), Failure> {
        let key = StockKey::of(COMPANY, item, warehouse);
        self.d365().delete_stock(&key)?;
        Ok(())
    }

    /// The items of a warehouse that are there now.
    pub fn items(&self, warehouse: &str) -> Result<Vec<String>, Failure> {
        let rows = self.d365().truth(COMPANY, Some(warehouse), None)?;
        let mut items: Vec<String> = rows.into_iter().map(|row| row.item).collect();
        items.dedup();
        Ok(items)
    }

    /// The last request D365 has taken.
    pub fn last_request(&self) -> u64 {
        self.d365().requests(0).last().map_or(0, |last| last.seq)
    }

    /// Requests of a kind after that one.
    pub fn requests(&self, kind: Kind, after: u64) -> Vec<RequestRecord> {
        let mut requests = self.d365().requests(after);
        requests.retain(|request| request.kind == kind);
        requests
    }

    /// Requests to D365 itself after that one, whatever they asked for; tokens come from elsewhere.
    pub fn calls(&self, after: u64) -> Vec<RequestRecord> {
        let mut requests = self.d365().requests(after);
        requests.retain(|request| request.kind != Kind::Token);
        requests
    }

    /// How often the simulator's faults have struck.
    pub fn faults_fired(&self) -> u64 {
        self.d365().faults().iter().map(|fault| fault.fired).sum()
    }

    /// The answer to a Redis command.
    pub async fn redis<T: FromRedisValue>(&self, words: &[&str]) -> Result<T, Failure> {
        let mut connection = self.redis.connection().await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        Ok(command.query_async(&mut connection).await?)
    }

    /// A record in Redis; empty if there is none.
    pub async fn hash(&self, key: &str) -> Result<Hash, Failure> {
        self.redis(&["HGETALL", key]).await
    }

    /// The record of a warehouse's feed.
    pub async fn feed(&self, warehouse: &str) -> Result<Hash, Failure> {
        self.hash(&format!("inv:{}:snapshot:{warehouse}", self.config.tenant))
            .await
    }

    /// Makes a warehouse due now, unless it is already.
    pub async fn make_due(&self, warehouse: &str) -> Result<(), Failure> {
        let due = format!("inv:{}:due", self.config.tenant);
        self.redis(&["ZADD", &due, "LT", "0", warehouse]).await
    }

    /// Waits until each warehouse has a complete snapshot that began at this instant or later.
    pub async fn complete_since(&self, since: i64, patience: Duration) -> Result<(), Failure> {
        for warehouse in &self.config.warehouses {
            eventually_within(patience, "a complete snapshot", async || {
                let feed = self.feed(warehouse).await.ok()?;
                let watermark = UtcMillis::parse(feed.get("watermark")?)?;
                (watermark.unix_millis() >= since).then_some(())
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until so many more cycles of each warehouse have ended, however they ended.
    pub async fn cycles_ended(&self, more: u64, patience: Duration) -> Result<(), Failure> {
        for warehouse in &self.config.warehouses {
            let before = number(&self.feed(warehouse).await?, "sealed");
            eventually_within(patience, "the end of a cycle", async || {
                let feed = self.feed(warehouse).await.ok()?;
                (number(&feed, "sealed") >= before + more).then_some(())
            })
            .await?;
        }
        Ok(())
    }

    /// What FAST says of items of a warehouse.
    pub async fn lines(
        &self,
        api: &ApiClient,
        warehouse: &str,
        items: &[String],
    ) -> Result<Vec<ReplyLine>, Failure> {
        let mut lines = Vec::with_capacity(items.len());
        for items in items.chunks(SKUS_PER_QUESTION) {
            let skus: Vec<&str> = items.iter().map(String::as_str).collect();
            let asked = self.d365().now();
            let reply = api.fast(warehouse, &skus).await?;
            if !reply.status.is_success() {
                return Err(format!("{}: {}", reply.status, reply.text).into());
            }
            lines.extend(ReplyLine::of_reply(&reply.json, asked, self.d365().now()));
        }
        Ok(lines)
    }

    /// Judges lines by the journal; a page is read at most `window_ms` after its request began.
    #[expect(clippy::print_stderr, reason = "an untruth is shown with its line")]
    pub fn judge<'l>(
        &self,
        lines: impl IntoIterator<Item = &'l ReplyLine>,
        window_ms: i64,
    ) -> Verdict {
        let verdict = judge(&self.d365(), COMPANY, window_ms, lines);
        if let Some(example) = &verdict.example {
            eprintln!("{example}");
        }
        verdict
    }
}

/// Waits until an API has read the published tenants; until then an unknown one is "perhaps later".
pub async fn knows_tenants(api: &ApiClient) -> Result<(), Failure> {
    eventually("the API to know all tenants", async || {
        let question = json!({ "organization": "nobody", "warehouseId": "1", "skus": ["1"] });
        let path = "/inventory/v1/inventories";
        let reply = api.post(path, &question).await.ok()?;
        (reply.status == 404).then_some(())
    })
    .await?;
    Ok(())
}

/// The sum of a counter of a service over all series that contain this text.
pub async fn metric(service: &Service, name: &str, label: &str) -> Result<u64, Failure> {
    let client = ApiClient::new(&service.management_url())?;
    let page = client.fetch("/metrics").await?;
    let values = page
        .text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters and whole seconds"
    )]
    Ok(values.sum::<f64>() as u64)
}

/// The detail of a service's readiness.
pub async fn readiness(service: &Service) -> Result<Value, Failure> {
    let client = ApiClient::new(&service.management_url())?;
    Ok(client.fetch("/health/ready").await?.json)
}

/// A number in a record; 0 if it is not there.
pub fn number(record: &Hash, field: &str) -> u64 {
    let text = record.get(field);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// When requests were begun and answered, in ms after the first began.
pub fn spans(requests: &[RequestRecord]) -> String {
    let began = |request: &RequestRecord| request.started.unix_millis();
    let first = requests.first().map_or(0, began);
    let span = |request: &RequestRecord| {
        let end = request.answered.map(|end| end.unix_millis() - first);
        let end = end.map_or("?".to_owned(), |end| end.to_string());
        format!("{}-{end}", began(request) - first)
    };
    let spans: Vec<String> = requests.iter().map(span).collect();
    spans.join(", ")
}

/// The most requests under way at once.
pub fn most_at_once(requests: &[RequestRecord]) -> usize {
    let mut changes: Vec<(i64, bool)> = requests
        .iter()
        .flat_map(|request| {
            let end = request.answered.map_or(i64::MAX, UtcMillis::unix_millis);
            [(request.started.unix_millis(), true), (end, false)]
        })
        .collect();
    // What ends in a millisecond ends before what begins in it.
    changes.sort_unstable();
    let (mut now, mut most) = (0_usize, 0);
    for (_, is_begin) in changes {
        now = if is_begin {
            now + 1
        } else {
            now.saturating_sub(1)
        };
        most = most.max(now);
    }
    most
}

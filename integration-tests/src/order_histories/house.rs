//! The house histories happen in: Redis, the simulator, a worker, and two replicas of the API.

use crate::api_client::ApiClient;
use crate::binaries::{Launch, Program, Service};
use crate::chance::Chance;
use crate::connector_config::{ConfigFile, ConnectorConfig};
use crate::eventually::eventually;
use crate::redis_fixture::RedisFixture;
use d365_simulator::{Config, Handle, Simulator, StockChange, StockKey, StockRow};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Whatever keeps the house from standing, in words.
pub type HouseError = Box<dyn std::error::Error>;

pub(super) const COMPANY: &str = "usmf";
pub(super) const WAREHOUSE: &str = "11";
/// Most pieces the world begins with.
const MOST_PIECES: i64 = 30;

/// How many histories, and under which circumstances.
#[derive(Debug, Clone)]
pub struct Plan {
    /// One SKU each.
    pub histories: u64,
    /// The same seed draws the same events.
    pub seed: u64,
    /// Histories under way at the same time.
    pub at_once: usize,
    /// `api.orders.hold`.
    pub hold: Duration,
    /// How long Redis may take to forget the last hold; none: it is not waited for.
    pub forget_within: Option<Duration>,
}

/// A running house.
#[derive(Debug)]
pub(super) struct House {
    redis: RedisFixture,
    connection: redis::aio::MultiplexedConnection,
    d365: Handle,
    pub(super) replicas: [ApiClient; 2],
    pub(super) prefetcher: ApiClient,
    _services: [Service; 3],
    _file: ConfigFile,
}

/// The SKU of a history.
pub(super) fn sku(number: u64) -> String {
    format!("H{number:06}")
}

/// What the world begins with of a history's SKU: the first of its draws.
pub(super) fn pieces(chance: &mut Chance) -> i64 {
    chance.between(0, MOST_PIECES)
}

impl House {
    /// Builds it; no snapshot is complete yet.
    pub(super) async fn build(plan: &Plan) -> Result<Self, HouseError> {
        let redis = RedisFixture::start().await?;
        let stock = (0..plan.histories).map(|number| StockRow {
            row: StockKey::of(COMPANY, &sku(number), WAREHOUSE),
            set: StockChange::on_hand(&pieces(&mut Chance::stream(plan.seed, number)).to_string()),
        });
        let d365 = d365_simulator::start(Config {
            world: None,
            stock: stock.collect(),
            ..Config::default()
        })?;
        let warehouses = vec![WAREHOUSE.to_owned()];
        let mut config = ConnectorConfig::new(&redis.url(), &d365.url(), warehouses);
        config.more = format!(
            "[api.orders]\nhold = \"{}ms\"\n[api.limits]\nrequests_per_second_per_caller = 0\n",
            plan.hold.as_millis()
        );
        let file = config.write()?;
        let launch = |program: Program| -> Result<Launch, HouseError> {
            let launch = Launch::new(program, file.path())?;
            // The machine may be busy; how the connector does without Redis is another question.
            Ok(launch.with_env("CONNECTOR__REDIS__COMMAND_TIMEOUT", "3s"))
        };
        let worker = launch(Program::PrefetchWorker)?.start().await?;
        let one = launch(Program::InventoryApi)?.named("one").start().await?;
        let other = launch(Program::InventoryApi)?
            .named("other")
            .start()
            .await?;
        let house = Self {
            connection: redis.connection().await?,
            redis,
            d365,
            replicas: [ApiClient::new(&one.url())?, ApiClient::new(&other.url())?],
            prefetcher: ApiClient::new(&worker.url())?,
            _services: [worker, one, other],
            _file: file,
        };
        for api in &house.replicas {
            eventually("the API knows all tenants", async || {
                let question =
                    json!({ "organization": "nobody", "warehouseId": "1", "skus": ["1"] });
                let path = "/inventory/v1/inventories";
                let reply = api.post(path, &question).await.ok()?;
                (reply.status == 404).then_some(())
            })
            .await?;
        }
        Ok(house)
    }

    pub(super) fn d365(&self) -> Arc<Simulator> {
        Arc::clone(self.d365.simulator())
    }

    /// On the simulator's clock, which is the machine's as that of Redis is.
    pub(super) fn now(&self) -> i64 {
        self.d365.simulator().now().unix_millis()
    }

    /// A field of a hash in Redis; an empty text if it is not there.
    pub(super) async fn hash_field(&self, key: &str, field: &str) -> Result<String, HouseError> {
        let mut command = redis::cmd("HGET");
        command.arg(key).arg(field);
        let answer: Option<String> = command.query_async(&mut self.connection.clone()).await?;
        Ok(answer.unwrap_or_default())
    }

    /// The texts of all holds, SKU by SKU.
    pub(super) async fn holds(&self) -> Result<Vec<(String, String)>, HouseError> {
        let mut command = redis::cmd("HGETALL");
        command.arg("inv:contoso:held");
        Ok(command.query_async(&mut self.connection.clone()).await?)
    }

    /// How many SKUs Redis has an end of a hold for.
    pub(super) async fn ends(&self) -> Result<u64, HouseError> {
        let mut command = redis::cmd("ZCARD");
        command.arg("inv:contoso:held_until");
        Ok(command.query_async(&mut self.connection.clone()).await?)
    }

    /// Which Redis it is.
    pub(super) fn redis(&self) -> &RedisFixture {
        &self.redis
    }
}

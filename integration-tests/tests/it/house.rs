//! A whole house for one test: Redis, the simulator, the configuration, and the services on demand.

use d365_simulator::{Config, Handle, Simulator, WorldConfig};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::{Launch, Program, Service};
use integration_tests::connector_config::{ConfigFile, ConnectorConfig};
use integration_tests::eventually::eventually;
use integration_tests::redis_fixture::RedisFixture;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;
use tokio::process::{Child, Command};

pub(crate) struct House {
    pub(crate) redis: RedisFixture,
    pub(crate) d365: Handle,
    pub(crate) config: ConnectorConfig,
    file: ConfigFile,
}

/// A world of this size that stands still.
pub(crate) fn world(items: usize) -> Config {
    let world = WorldConfig {
        items,
        ..WorldConfig::default()
    };
    Config {
        world: Some(world),
        ..Config::default()
    }
}

impl House {
    pub(crate) async fn with(d365: Config, warehouses: &[&str]) -> Self {
        let redis = RedisFixture::start().await.unwrap();
        let d365 = d365_simulator::start(d365).unwrap();
        let warehouses = warehouses.iter().map(|id| (*id).to_owned()).collect();
        let config = ConnectorConfig::new(&redis.url(), &d365.url(), warehouses);
        let file = config.write().unwrap();
        Self {
            redis,
            d365,
            config,
            file,
        }
    }

    pub(crate) fn d365(&self) -> Arc<Simulator> {
        Arc::clone(self.d365.simulator())
    }

    /// Writes the configuration again after it was changed.
    pub(crate) fn reconfigure(&mut self, change: impl FnOnce(&mut ConnectorConfig)) {
        change(&mut self.config);
        self.file = self.config.write().unwrap();
    }

    /// The configuration file; another one after [`reconfigure`](Self::reconfigure).
    pub(crate) fn config_path(&self) -> &Path {
        self.file.path()
    }

    /// `prefetch-worker <arguments>` with this house's configuration, to its end.
    pub(crate) async fn worker(&self, arguments: &[&str]) -> Output {
        self.start_worker(arguments)
            .wait_with_output()
            .await
            .unwrap()
    }

    /// The same, under way.
    pub(crate) fn start_worker(&self, arguments: &[&str]) -> Child {
        Command::new(Program::PrefetchWorker.path().unwrap())
            .args(arguments)
            .arg("--config")
            .arg(self.file.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// A worker that runs until it is stopped.
    pub(crate) async fn running_worker(&self, name: &str) -> Service {
        let launch = Launch::new(Program::PrefetchWorker, self.file.path()).unwrap();
        launch.named(name).start().await.unwrap()
    }

    /// One complete snapshot of every warehouse.
    pub(crate) async fn snapshot(&self) {
        let done = self.worker(&["once"]).await;
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stdout)
        );
    }

    pub(crate) async fn api(&self) -> (Service, ApiClient) {
        let launch = Launch::new(Program::InventoryApi, self.file.path()).unwrap();
        let service = launch.start().await.unwrap();
        let client = ApiClient::new(&service.url()).unwrap();
        // Until the published tenants were read once, an unknown organization is "perhaps later".
        eventually("the API knows all tenants", async || {
            let question = json!({ "organization": "nobody", "warehouseId": "1", "skus": ["1"] });
            let reply = client
                .post("/inventory/v1/inventories", &question)
                .await
                .ok()?;
            (reply.status == 404).then_some(())
        })
        .await
        .unwrap();
        (service, client)
    }

    /// A hash as `redis-cli HGETALL` shows it.
    pub(crate) async fn hash(&self, key: &str) -> BTreeMap<String, String> {
        let mut connection = self.redis.connection().await.unwrap();
        redis::cmd("HGETALL")
            .arg(key)
            .query_async(&mut connection)
            .await
            .unwrap()
    }

    pub(crate) async fn feed(&self, warehouse: &str) -> BTreeMap<String, String> {
        self.hash(&format!("inv:contoso:snapshot:{warehouse}"))
            .await
    }
}

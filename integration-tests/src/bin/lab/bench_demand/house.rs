//! The house that is measured: Redis, two workers, an API for the crowd and one to look from.

use crate::bench_demand::{Fallible, Setting};
use d365_simulator::Handle;
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::{Launch, Program, Service};
use integration_tests::connector_config::{ConfigFile, ConnectorConfig};
use integration_tests::full_size;
use integration_tests::redis_fixture::RedisFixture;
use redis::aio::MultiplexedConnection;
use std::collections::BTreeMap;
use std::path::Path;

const WORKERS: usize = 2;
/// A Redis user that may read only: what its API is asked for is not counted as asked for.
const ONLOOKER: [&str; 2] = ["onlooker", "only-looks"];

/// Everything that runs.
pub(crate) struct House {
    pub(crate) crowds_api: ApiClient,
    pub(crate) onlookers_api: ApiClient,
    pub(crate) redis: MultiplexedConnection,
    services: Vec<Service>,
    _file: ConfigFile,
    _redis: RedisFixture,
}

impl House {
    pub(crate) async fn start(
        programs: &Path,
        d365: &Handle,
        warehouses: &[String],
        setting: Setting,
    ) -> Fallible<Self> {
        let redis = RedisFixture::start_process().await?;
        let mut connection = redis.connection().await?;
        let mut config = ConnectorConfig::new(&redis.url(), &d365.url(), warehouses.to_vec());
        config.longest_address = Some(setting.longest_address);
        config.more = format!(
            "[api.limits]\nrequests_per_second_per_caller = 0\n[worker]\npage_size = {}\ndemand_share = {}\n",
            setting.page_rows, setting.share
        );
        let file = config.write()?;
        full_size::learn_budget(&mut connection).await?;
        let [name, password] = ONLOOKER;
        redis::cmd("ACL")
            .arg("SETUSER")
            .arg(name)
            .arg("on")
            .arg(format!(">{password}"))
            .arg("%R~*")
            .arg("+@all")
            .exec_async(&mut connection)
            .await?;
        let launch = |program, name: &str| -> Fallible<Launch> {
            Ok(Launch::new(program, file.path())?
                .in_folder(programs)
                .named(name))
        };
        let crowds = launch(Program::InventoryApi, "the crowd's API")?
            .start()
            .await?;
        let onlookers = launch(Program::InventoryApi, "the onlooker's API")?
            .with_env("CONNECTOR__REDIS__USERNAME", name)
            .with_env("CONNECTOR__REDIS__PASSWORD", password)
            .start()
            .await?;
        let crowds_api = ApiClient::new(&crowds.url())?;
        let onlookers_api = ApiClient::new(&onlookers.url())?;
        let mut services = vec![crowds, onlookers];
        for number in 1..=WORKERS {
            let name = format!("worker {number}");
            services.push(launch(Program::PrefetchWorker, &name)?.start().await?);
        }
        Ok(Self {
            crowds_api,
            onlookers_api,
            redis: connection,
            services,
            _file: file,
            _redis: redis,
        })
    }

    /// The record of a warehouse's feed.
    pub(crate) async fn feed(&self, warehouse: &str) -> Fallible<BTreeMap<String, String>> {
        Ok(redis::cmd("HGETALL")
            .arg(format!("inv:contoso:snapshot:{warehouse}"))
            .query_async(&mut self.redis.clone())
            .await?)
    }

    /// The SKUs the connector takes for the most asked ones.
    pub(crate) async fn counted(&self, count: usize) -> Fallible<Vec<String>> {
        Ok(redis::cmd("ZREVRANGE")
            .arg("inv:contoso:asked")
            .arg(0)
            .arg(count.saturating_sub(1))
            .query_async(&mut self.redis.clone())
            .await?)
    }

    pub(crate) async fn stop(mut self) -> Fallible<()> {
        for service in &mut self.services {
            service.stop().await?;
        }
        Ok(())
    }
}

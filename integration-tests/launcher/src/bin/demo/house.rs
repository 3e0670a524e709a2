//! Everything the demo starts, in the order it is started; stopped in the opposite order.

use crate::console;
use crate::control::{Control, Warehouse};
use crate::error::DemoError;
use crate::flags::Flags;
use crate::ports::Ports;
use launcher::binaries::{Launch, Program, Service, Simulator, SimulatorFlags};
use launcher::connector_config::{ConfigFile, ConnectorConfig};
use launcher::environment;
use launcher::redis_process::RedisProcess;
use redis::aio::MultiplexedConnection;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

/// The tenant of the demo, and the company it stands for.
pub(crate) const TENANT: &str = "contoso";
const COMPANY: &str = "usmf";
/// A sales channel: the one the OpenAPI document's examples name.
const CHANNEL: &str = "inSPIRED-inTRONICS-Site";

/// Keys in a Redis of somebody else's carry this prefix, and are removed again.
const GUEST_PREFIX: &str = "inv-demo:";
const OWN_PREFIX: &str = "inv:";

/// Often enough that a second snapshot is seen while one looks around.
const REFRESH_INTERVAL: &str = "2m";

/// Where the programs' logs can be read while and after the demo runs.
const LOGS: &str = ".run";

/// What was started so far.
#[derive(Debug, Default)]
pub(crate) struct House {
    redis: Option<RedisProcess>,
    guest: Option<MultiplexedConnection>,
    simulator: Option<Simulator>,
    config: Option<ConfigFile>,
    services: Vec<Service>,
    shown: bool,
}

/// What a visitor needs to know of the running house.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) api_url: String,
    pub(crate) worker_url: String,
    pub(crate) redis_url: String,
    pub(crate) key_prefix: &'static str,
    /// The services' settings.
    pub(crate) config: PathBuf,
    pub(crate) control: Control,
    pub(crate) warehouses: Vec<Warehouse>,
    pub(crate) redis: MultiplexedConnection,
}

impl House {
    /// Starts everything.
    pub(crate) async fn open(&mut self, flags: &Flags, ports: Ports) -> Result<View, DemoError> {
        console::headline("Starting the house");
        let (redis_url, key_prefix) = self.provide_redis().await?;
        let redis = connect(&redis_url).await?;
        let simulator = Simulator::start(SimulatorFlags {
            port: ports.simulator,
            items: flags.items as usize,
            warehouses: flags.warehouses as usize,
        })
        .await?;
        let d365_url = simulator.url().to_owned();
        self.simulator = Some(simulator);
        let control = Control::new(&d365_url, COMPANY)?;
        let warehouses = control.warehouses().await?;
        let rows: u64 = warehouses.iter().map(|warehouse| warehouse.rows).sum();
        console::say(&format!(
            "D365 simulator    {d365_url}  ({} on-hand rows in {} warehouses of company {COMPANY})",
            console::count(rows),
            warehouses.len()
        ));

        let config = self.write_config(&redis_url, key_prefix, &d365_url, &warehouses)?;
        let worker = Launch::new(Program::PrefetchWorker, &config)?
            .named("prefetch-worker-1")
            .on_ports(ports.worker, ports.worker_management);
        let worker_url = self.start(worker).await?;
        let second = Launch::new(Program::PrefetchWorker, &config)?.named("prefetch-worker-2");
        self.start(second).await?;
        let api =
            Launch::new(Program::InventoryApi, &config)?.on_ports(ports.api, ports.api_management);
        let api_url = self.start(api).await?;
        console::say(&format!("logs              {LOGS}/*.log"));
        Ok(View {
            api_url,
            worker_url,
            redis_url,
            key_prefix,
            config,
            control,
            warehouses,
            redis,
        })
    }

    /// The given Redis, freed of what an earlier demo left, or a private one.
    async fn provide_redis(&mut self) -> Result<(String, &'static str), DemoError> {
        if let Some(url) = environment::redis_url() {
            let mut connection = connect(&url).await?;
            remove_keys(&mut connection, GUEST_PREFIX).await?;
            self.guest = Some(connection);
            console::say(&format!(
                "Redis             {}  (yours; our keys begin with {GUEST_PREFIX} and are removed at the end)",
                without_password(&url)
            ));
            return Ok((url, GUEST_PREFIX));
        }
        let redis = RedisProcess::start().await?;
        let url = format!("redis://127.0.0.1:{}", redis.port());
        console::say(&format!("Redis             {url}  (private, empty)"));
        self.redis = Some(redis);
        Ok((url, OWN_PREFIX))
    }

    fn write_config(
        &mut self,
        redis_url: &str,
        key_prefix: &str,
        d365_url: &str,
        warehouses: &[Warehouse],
    ) -> Result<PathBuf, DemoError> {
        let names = warehouses.iter().map(|found| found.id.clone()).collect();
        let mut config = ConnectorConfig::new(redis_url, d365_url, names);
        TENANT.clone_into(&mut config.tenant);
        COMPANY.clone_into(&mut config.legal_entity);
        REFRESH_INTERVAL.clone_into(&mut config.refresh_interval);
        key_prefix.clone_into(&mut config.key_prefix);
        config.more = format!("[[channels]]\nid = '{CHANNEL}'\ntenant = '{TENANT}'\n");
        let file = config.write()?;
        let path = file.path().to_owned();
        self.config = Some(file);
        Ok(path)
    }

    /// Starts a service and returns its address.
    async fn start(&mut self, launch: Launch) -> Result<String, DemoError> {
        let service = launch.shielded().log_into(Path::new(LOGS)).start().await?;
        console::say(&format!(
            "{:<17} {}  (probes and metrics: {})",
            service.name(),
            service.url(),
            service.management_url()
        ));
        let url = service.url();
        self.services.push(service);
        Ok(url)
    }

    /// The demo has shown what it promised: a Ctrl-C from now on is its proper end.
    pub(crate) fn shown(&mut self) {
        self.shown = true;
    }

    pub(crate) fn was_shown(&self) -> bool {
        self.shown
    }

    /// Fails if a service warned of something: in a healthy house nothing is to be warned of.
    pub(crate) fn check_logs(&self) -> Result<(), DemoError> {
        for service in &self.services {
            service.assert_log_clean(&[])?;
        }
        Ok(())
    }

    /// Fails if a program has ended.
    pub(crate) fn check_running(&mut self) -> Result<(), DemoError> {
        match self.ended() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Waits, as long as it takes, for a program to end by itself, which it should not.
    pub(crate) async fn first_to_end(&mut self) -> DemoError {
        loop {
            if let Some(error) = self.ended() {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn ended(&mut self) -> Option<DemoError> {
        let simulator = self.simulator.as_mut().map(Simulator::process);
        let services = self.services.iter_mut().map(Service::process);
        services.chain(simulator).find_map(|process| {
            (!process.is_running()).then(|| DemoError::Ended {
                name: process.name().to_owned(),
                tail: process.log().tail(15),
            })
        })
    }

    /// Stops everything, the API first and Redis last. Goes on after a failure and returns the first.
    pub(crate) async fn stop(&mut self) -> Result<(), DemoError> {
        if self.services.is_empty() && self.simulator.is_none() && self.redis.is_none() {
            return Ok(());
        }
        console::headline("Stopping everything");
        let mut outcome = Ok(());
        while let Some(mut service) = self.services.pop() {
            let stopped = service.stop().await;
            outcome = outcome.and(stopped.map_err(DemoError::from));
        }
        if let Some(mut simulator) = self.simulator.take() {
            outcome = outcome.and(simulator.stop().await.map_err(DemoError::from));
        }
        if let Some(mut guest) = self.guest.take() {
            outcome = outcome.and(remove_keys(&mut guest, GUEST_PREFIX).await);
        }
        if let Some(mut redis) = self.redis.take() {
            outcome = outcome.and(redis.stop().await.map_err(DemoError::from));
        }
        if outcome.is_ok() {
            console::say("stopped");
        }
        outcome
    }
}

async fn connect(url: &str) -> Result<MultiplexedConnection, DemoError> {
    let unusable = |source| DemoError::GivenRedis {
        address: without_password(url),
        source,
    };
    let client = redis::Client::open(url).map_err(unusable)?;
    client
        .get_multiplexed_async_connection()
        .await
        .map_err(unusable)
}

/// Removes our keys, a thousand at a time, so that the server's other users do not wait.
async fn remove_keys(
    connection: &mut MultiplexedConnection,
    prefix: &str,
) -> Result<(), DemoError> {
    let mut cursor = 0_u64;
    loop {
        let (next, keys): (u64, Vec<String>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(format!("{prefix}*"))
            .arg("COUNT")
            .arg(1000)
            .query_async(connection)
            .await?;
        if !keys.is_empty() {
            redis::cmd("UNLINK")
                .arg(keys)
                .exec_async(connection)
                .await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// The address without what stands before its `@`.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}{}", &url[..scheme + 3], &url[at + 1..])
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn a_password_is_not_shown() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://:geheim@host:1", "redis://host:1"),
            ("rediss://me:ge@heim@host:1", "rediss://host:1"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}

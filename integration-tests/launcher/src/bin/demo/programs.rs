//! Everything the demo starts, in the order it is started; stopped in the opposite order.

use crate::console::{count, headline, say};
use crate::control::{Control, Warehouse};
use crate::ports::Ports;
use crate::{Failure, Flags, INTERRUPTED};
use launcher::binaries::{Launch, Program, Service};
use launcher::connector_config::{ConfigFile, ConnectorConfig};
use launcher::environment;
use launcher::redis_process::RedisProcess;
use launcher::server_process::ServerProcess;
use redis::aio::MultiplexedConnection;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

/// The tenant of the demo, and the company it stands for.
pub(crate) const TENANT: &str = "contoso";
const COMPANY: &str = "usmf";
/// A sales channel: the one the OpenAPI document's examples name.
const CHANNEL: &str = "inSPIRED-inTRONICS-Site";

/// Keys in a given Redis carry this prefix, and are removed again.
const GUEST_PREFIX: &str = "inv-demo:";
const OWN_PREFIX: &str = "inv:";

/// Often enough that a second snapshot is seen while one looks around.
const REFRESH_INTERVAL: &str = "2m";

/// A million rows are made in seconds; a loaded machine needs longer.
const WORLD_WITHIN: Duration = Duration::from_mins(2);

/// Where the programs' logs can be read while and after the demo runs.
const LOGS: &str = ".run";

/// What was started so far.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    redis: Option<RedisProcess>,
    given_redis: Option<MultiplexedConnection>,
    simulator: Option<ServerProcess>,
    config: Option<ConfigFile>,
    services: Vec<Service>,
    /// The demo has shown what it promised: a Ctrl-C from now on is its proper end.
    pub(crate) was_shown: bool,
}

/// What one needs to know of what runs.
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

impl Programs {
    /// Starts everything.
    pub(crate) async fn start(&mut self, flags: &Flags, ports: Ports) -> Result<View, Failure> {
        headline("Starting everything");
        let (redis_url, key_prefix) = self.provide_redis().await?;
        let redis = connect(&redis_url).await?;
        let d365_url = self.start_simulator(flags, ports.simulator).await?;
        let control = Control::new(&d365_url, COMPANY)?;
        let warehouses = control.warehouses().await?;
        let rows: u64 = warehouses.iter().map(|warehouse| warehouse.rows).sum();
        say(&format!(
            "D365 simulator    {d365_url}  ({} on-hand rows in {} warehouses of company {COMPANY})",
            count(rows),
            warehouses.len()
        ));
        let ids = warehouses.iter().map(|found| found.id.clone()).collect();
        let mut config = ConnectorConfig::new(&redis_url, &d365_url, ids);
        TENANT.clone_into(&mut config.tenant);
        COMPANY.clone_into(&mut config.legal_entity);
        REFRESH_INTERVAL.clone_into(&mut config.refresh_interval);
        key_prefix.clone_into(&mut config.key_prefix);
        config.more = format!("[[channels]]\nid = '{CHANNEL}'\ntenant = '{TENANT}'\n");
        let file = config.write()?;
        let config = file.path().to_owned();
        self.config = Some(file);

        let worker = Launch::new(Program::PrefetchWorker, &config)?
            .named("prefetch-worker-1")
            .on_ports(ports.worker, ports.worker_management);
        let worker_url = self.start_service(worker).await?;
        let second = Launch::new(Program::PrefetchWorker, &config)?.named("prefetch-worker-2");
        self.start_service(second).await?;
        let api =
            Launch::new(Program::InventoryApi, &config)?.on_ports(ports.api, ports.api_management);
        let api_url = self.start_service(api).await?;
        say(&format!("logs              {LOGS}/*.log"));
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
    async fn provide_redis(&mut self) -> Result<(String, &'static str), Failure> {
        if let Some(url) = environment::redis_url() {
            let mut connection = connect(&url).await?;
            remove_keys(&mut connection).await?;
            self.given_redis = Some(connection);
            let address = without_password(&url);
            say(&format!(
                "Redis             {address}  (yours; our keys begin with {GUEST_PREFIX} and are removed at the end)"
            ));
            return Ok((url, GUEST_PREFIX));
        }
        let redis = RedisProcess::start().await?;
        let url = format!("redis://127.0.0.1:{}", redis.port());
        say(&format!("Redis             {url}  (private, empty)"));
        self.redis = Some(redis);
        Ok((url, OWN_PREFIX))
    }

    /// Starts the simulator, waits until its world is there and returns its address.
    async fn start_simulator(&mut self, flags: &Flags, port: u16) -> Result<String, Failure> {
        let program = Program::D365Simulator;
        let mut command = Command::new(program.path()?);
        command
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--items", &flags.items.to_string()])
            .args(["--warehouses", &flags.warehouses.to_string()]);
        let process = ServerProcess::start_shielded(program.name(), &mut command)?;
        let said = "listening on ";
        let url = process
            .wait_for(said, WORLD_WITHIN, |line| {
                Some(line.split_once(said)?.1.trim().to_owned())
            })
            .await?;
        self.simulator = Some(process);
        Ok(url)
    }

    /// Starts a service and returns its address.
    async fn start_service(&mut self, launch: Launch) -> Result<String, Failure> {
        let service = launch.shielded().log_into(Path::new(LOGS)).start().await?;
        let (name, url, management) = (service.name(), service.url(), service.management_url());
        say(&format!(
            "{name:<17} {url}  (probes and metrics: {management})"
        ));
        self.services.push(service);
        Ok(url)
    }

    /// How a demo ends that was interrupted.
    pub(crate) fn interrupted(&self) -> ExitCode {
        if self.was_shown {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(INTERRUPTED)
        }
    }

    /// Fails if a service warned of something: where all is well nothing is to be warned of.
    pub(crate) fn check_logs(&self) -> Result<(), Failure> {
        for service in &self.services {
            service.assert_log_clean(&[])?;
        }
        Ok(())
    }

    /// Fails if a program has ended.
    pub(crate) fn check_running(&mut self) -> Result<(), Failure> {
        let services = self.services.iter_mut().map(Service::process);
        for process in services.chain(&mut self.simulator) {
            if !process.is_running() {
                let (name, tail) = (process.name(), process.log().tail(15));
                return Err(
                    format!("{name} ended while it was needed; its last lines:\n{tail}").into(),
                );
            }
        }
        Ok(())
    }

    /// Waits, as long as it takes, for a program to end by itself, which it should not.
    pub(crate) async fn first_to_end(&mut self) -> Failure {
        loop {
            if let Err(ended) = self.check_running() {
                return ended;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Stops everything, the API first and Redis last. Goes on after a failure and returns the first.
    pub(crate) async fn stop(&mut self) -> Result<(), Failure> {
        headline("Stopping everything");
        let mut outcome: Result<(), Failure> = Ok(());
        while let Some(mut service) = self.services.pop() {
            outcome = outcome.and(service.stop().await.map_err(Into::into));
        }
        if let Some(mut simulator) = self.simulator.take() {
            outcome = outcome.and(simulator.stop().await.map(drop).map_err(Into::into));
        }
        if let Some(mut given) = self.given_redis.take() {
            outcome = outcome.and(remove_keys(&mut given).await.map_err(Into::into));
        }
        if let Some(mut redis) = self.redis.take() {
            outcome = outcome.and(redis.stop().await.map_err(Into::into));
        }
        if outcome.is_ok() {
            say("stopped");
        }
        outcome
    }
}

async fn connect(url: &str) -> Result<MultiplexedConnection, Failure> {
    let connecting = async {
        let client = redis::Client::open(url)?;
        client.get_multiplexed_async_connection().await
    };
    let unusable = |error| {
        format!(
            "the Redis at {} cannot be used: {error}",
            without_password(url)
        )
        .into()
    };
    connecting.await.map_err(unusable)
}

/// Removes our keys, a thousand at a time, so that the server's other users do not wait.
async fn remove_keys(connection: &mut MultiplexedConnection) -> redis::RedisResult<()> {
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(format!("{GUEST_PREFIX}*"));
        scan.arg("COUNT").arg(1000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(connection).await?;
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

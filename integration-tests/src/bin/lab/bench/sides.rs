//! What is compared, on one stage: a private Redis filled by a real prefetch from the simulator.

use super::load::{Load, Question, Rate};
use super::process::{Program, find_in_output, free_port, wait_for};
use std::fs;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const TENANT: &str = "bench";
const WAREHOUSE: &str = "24";
const ITEMS: usize = 5_000;

/// One side's result.
pub(crate) struct Measured {
    pub(crate) side: &'static str,
    pub(crate) requests_per_second: f64,
    pub(crate) server_us: f64,
    pub(crate) redis_us: f64,
}

/// Everything under way for the comparison.
pub(crate) struct Stage {
    redis: Program,
    redis_port: u16,
    api: Program,
    api_address: SocketAddr,
    webdis: Program,
    webdis_address: SocketAddr,
    skus: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Starts and fills everything.
    pub(crate) fn set_up(programs: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let redis_port = free_port()?;
        let (redis, redis_log) = Program::start(
            Command::new("redis-server")
                .args([
                    "--port",
                    &redis_port.to_string(),
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                ])
                .arg("--dir")
                .arg(folder.path()),
        )?;
        keep_reading(redis_log);
        let redis_address = SocketAddr::from(([127, 0, 0, 1], redis_port));
        wait_for(redis_address)?;

        let simulator_address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let (simulator, simulator_log) = Program::start(
            Command::new(programs.join("d365-simulator"))
                .args(["--listen", &simulator_address.to_string()])
                .args(["--items", &ITEMS.to_string(), "--warehouses", "10"])
                .args(["--entra-tenant", "bench", "--client-id", "bench"])
                .args(["--client-secret", "bench-secret"]),
        )?;
        keep_reading(simulator_log);
        wait_for(simulator_address)?;
        let configuration = folder.path().join("connector.toml");
        fs::write(
            &configuration,
            configuration_for(simulator_address, redis_address),
        )?;
        let filled = Command::new(programs.join("prefetch-worker"))
            .arg("once")
            .arg("--config")
            .arg(&configuration)
            .stdout(Stdio::null())
            .status()?;
        if !filled.success() {
            return Err(Error::other("the prefetch into the bench's Redis failed"));
        }
        drop(simulator);

        let (api, mut log) = Program::start(
            Command::new(programs.join("inventory-api"))
                // One caller makes all of the load.
                .env(
                    "CONNECTOR__API__LIMITS__REQUESTS_PER_SECOND_PER_CALLER",
                    "0",
                )
                .args([
                    "--listen",
                    "127.0.0.1:0",
                    "--management-listen",
                    "127.0.0.1:0",
                ])
                .args(["--log-filter", "warn,inventory_api=info", "--config"])
                .arg(&configuration),
        )?;
        let api_address = find_in_output(&mut log, |line| {
            let event: serde_json::Value = serde_json::from_str(line).ok()?;
            (event["message"] == "listening" && event["surface"] == "api")
                .then(|| event["address"].as_str()?.parse().ok())?
        })?;
        keep_reading(log);

        let (webdis, webdis_address) = start_webdis(folder.path(), redis_port)?;
        let skus = stored_skus(redis_port)?;
        Ok(Self {
            redis,
            redis_port,
            api,
            api_address,
            webdis,
            webdis_address,
            skus,
            _folder: folder,
        })
    }

    /// All sides once, one after the other.
    pub(crate) fn measure_all_sides(&self, batch: usize, load: &Load) -> Result<Vec<Measured>> {
        let question = self.api_question(batch);
        let reply_bytes = reply_size(&question)?;
        let api = self.measure("inventory-api", Some(&self.api), || load.http(&question))?;
        let webdis = self.measure("webdis, once per SKU", Some(&self.webdis), || {
            let path = format!("/HMGET/{}/{WAREHOUSE}", encoded(&self.stock_key(0)));
            let rate = load.http(&Question {
                url: format!("http://{}{path}", self.webdis_address),
                body: None,
            })?;
            let batch = f64::from(u32::try_from(batch).unwrap_or(u32::MAX));
            Ok(Rate {
                requests: rate.requests / batch,
                per_second: rate.per_second / batch,
            })
        })?;
        let (constant, mut output) = Program::start(
            Command::new(std::env::current_exe()?)
                .args(["constant-reply", &reply_bytes.to_string()]),
        )?;
        let address: SocketAddr = find_in_output(&mut output, |line| line.parse().ok())?;
        let constant = self.measure("actix, constant of the same size", Some(&constant), || {
            load.http(&Question {
                url: format!("http://{address}/"),
                body: question.body.clone(),
            })
        })?;
        let redis = self.measure("redis-benchmark, same commands", None, || {
            load.redis(
                self.redis_port,
                batch,
                &["HMGET", &self.stock_key(0), WAREHOUSE],
            )
        })?;
        Ok(vec![api, webdis, constant, redis])
    }

    fn measure(
        &self,
        side: &'static str,
        server: Option<&Program>,
        run: impl FnOnce() -> Result<Rate>,
    ) -> Result<Measured> {
        let cpu = |program: Option<&Program>| program.map_or(Ok(Duration::ZERO), Program::cpu_time);
        let before = (cpu(server)?, cpu(Some(&self.redis))?);
        let rate = run()?;
        let after = (cpu(server)?, cpu(Some(&self.redis))?);
        let per_request = |used: Duration| used.as_secs_f64() * 1e6 / rate.requests;
        Ok(Measured {
            side,
            requests_per_second: rate.per_second,
            server_us: per_request(after.0.saturating_sub(before.0)),
            redis_us: per_request(after.1.saturating_sub(before.1)),
        })
    }

    fn stock_key(&self, at: usize) -> String {
        format!("inv:{TENANT}:stock:{}", self.skus[at])
    }

    fn api_question(&self, batch: usize) -> Question {
        let body = serde_json::json!({ "warehouseId": WAREHOUSE, "skus": self.skus[..batch] });
        Question {
            url: format!("http://{}/inventory/v1/inventories", self.api_address),
            body: Some(body.to_string()),
        }
    }
}

fn configuration_for(simulator: SocketAddr, redis: SocketAddr) -> String {
    format!(
        r#"
[redis]
url = "redis://{redis}"
[api.auth]
insecure_no_authentication = true
[[tenants]]
id = "{TENANT}"
environment_url = "http://{simulator}"
legal_entity = "usmf"
warehouses = ["{WAREHOUSE}"]
refresh_interval = "1h"
[tenants.entra]
tenant_id = "bench"
client_id = "bench"
client_secret = "bench-secret"
authority = "http://{simulator}/"
[worker]
listen = "127.0.0.1:0"
management_listen = "127.0.0.1:0"
"#
    )
}

fn start_webdis(folder: &Path, redis_port: u16) -> Result<(Program, SocketAddr)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let settings = serde_json::json!({
        "redis_host": "127.0.0.1", "redis_port": redis_port,
        "http_host": "127.0.0.1", "http_port": address.port(),
        "threads": 2, "pool_size": 20, "daemonize": false, "websockets": false,
        "database": 0, "acl": [{ "enabled": ["*"] }], "verbosity": 0,
        "logfile": folder.join("webdis.log"),
    });
    let path: PathBuf = folder.join("webdis.json");
    fs::write(&path, settings.to_string())?;
    // It says on standard error how each closed connection was closed.
    let (webdis, log) = Program::start(Command::new("webdis").arg(&path).stderr(Stdio::null()))?;
    keep_reading(log);
    wait_for(address)?;
    Ok((webdis, address))
}

/// A program whose output nobody reads stops when the pipe is full.
fn keep_reading(mut output: impl std::io::Read + Send + 'static) {
    std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
}

fn stored_skus(redis_port: u16) -> Result<Vec<String>> {
    let output = Command::new("redis-cli")
        .args(["-p", &redis_port.to_string(), "--scan", "--pattern"])
        .arg(format!("inv:{TENANT}:stock:*"))
        .output()?;
    let prefix = format!("inv:{TENANT}:stock:");
    let mut skus: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|key| key.strip_prefix(&prefix))
        .filter(|sku| {
            sku.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
        .map(str::to_owned)
        .collect();
    skus.sort();
    if skus.len() < 200 {
        Err(Error::other("fewer than 200 SKUs are stored"))
    } else {
        Ok(skus)
    }
}

fn encoded(text: &str) -> String {
    text.replace('%', "%25")
        .replace('/', "%2f")
        .replace(' ', "%20")
}

fn reply_size(question: &Question) -> Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let reply = reqwest::Client::new()
            .post(&question.url)
            .header("content-type", "application/json")
            .body(question.body.clone().unwrap_or_default())
            .send()
            .await
            .map_err(Error::other)?;
        if !reply.status().is_success() {
            return Err(Error::other(format!("the API answered {}", reply.status())));
        }
        Ok(reply.bytes().await.map_err(Error::other)?.len())
    })
}

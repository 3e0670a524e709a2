//! What is compared, on one Redis that a real prefetch has filled.

use super::load::{Load, Rate};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::{Program, Service};
use integration_tests::eventually::eventually;
use integration_tests::free_port::free_port;
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::server_process::ServerProcess;
use integration_tests::test_bed::{Failure, TestBed, knows_tenants, world};
use integration_tests::usage::cpu_time;
use serde_json::json;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

const WAREHOUSE: &str = "24";
const ITEMS: usize = 5_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// One side's result.
pub(super) struct Measured {
    pub(super) side: &'static str,
    pub(super) per_second: f64,
    pub(super) server_us: f64,
    pub(super) redis_us: f64,
}

/// Everything under way for the comparison.
pub(super) struct Sides {
    bed: TestBed,
    api: Service,
    webdis: ServerProcess,
    webdis_port: u16,
    skus: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Sides {
    /// Starts and fills everything.
    pub(super) async fn start() -> Result<Self, Failure> {
        let redis = RedisFixture::start_process().await?;
        let bed = TestBed::on(redis, world(ITEMS), &[WAREHOUSE], |config| {
            // One caller makes all of the load.
            "[api.limits]\nrequests_per_second_per_caller = 0\n".clone_into(&mut config.more);
        })?;
        bed.snapshot().await?;
        let quiet = ["--log-filter", "warn,inventory_api=info"];
        let launch = bed.launch(Program::InventoryApi)?;
        let api = launch.with_arg(quiet[0]).with_arg(quiet[1]).start().await?;
        knows_tenants(&ApiClient::new(&api.url())?).await?;
        let folder = tempfile::tempdir()?;
        let webdis_port = free_port()?;
        let settings = json!({
            "redis_host": "127.0.0.1", "redis_port": bed.redis.port(),
            "http_host": "127.0.0.1", "http_port": webdis_port,
            "threads": 2, "pool_size": 20, "daemonize": false, "websockets": false,
            "database": 0, "acl": [{ "enabled": ["*"] }], "verbosity": 0,
            "logfile": folder.path().join("webdis.log"),
        });
        let path = folder.path().join("webdis.json");
        std::fs::write(&path, settings.to_string())?;
        let webdis = ServerProcess::start("webdis", Command::new("webdis").arg(&path))?;
        let port = webdis_port;
        eventually("webdis", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .ok()
        })
        .await?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let mut skus = bed.items(WAREHOUSE)?;
        skus.retain(|sku| sku.bytes().all(is_plain));
        Ok(Self {
            bed,
            api,
            webdis,
            webdis_port,
            skus,
            _folder: folder,
        })
    }

    /// All sides once, one after the other.
    pub(super) async fn measure_all(
        &self,
        batch: u32,
        load: &Load,
    ) -> Result<Vec<Measured>, Failure> {
        let skus = &self.skus[..batch as usize];
        let body = json!({ "warehouseId": WAREHOUSE, "skus": skus }).to_string();
        let url = format!("{}/inventory/v1/inventories", self.api.url());
        let reply_bytes = reply_size(&url, &body).await?;
        let on_api = load.http(&url, Some(&body));
        let api = self
            .measure("inventory-api", Some(self.api.id()), on_api)
            .await?;

        let key = format!("inv:contoso:stock:{}", self.skus[0]);
        let port = self.webdis_port;
        let address = format!("http://127.0.0.1:{port}/HMGET/{key}/{WAREHOUSE}");
        let on_webdis = async {
            let rate = load.http(&address, None).await?;
            Ok(Rate {
                requests: rate.requests / f64::from(batch),
                per_second: rate.per_second / f64::from(batch),
            })
        };
        let webdis = Some(self.webdis.id());
        let webdis = self
            .measure("webdis, once per SKU", webdis, on_webdis)
            .await?;

        let mut constant = Command::new(std::env::current_exe()?);
        constant.args(["constant-reply", &reply_bytes.to_string()]);
        let constant = ServerProcess::start("constant", &mut constant)?;
        let address = |line: &str| line.parse::<SocketAddr>().ok();
        let address = constant.wait_for("its address", PATIENCE, address).await?;
        let url = format!("http://{address}/");
        let on_constant = load.http(&url, Some(&body));
        let side = "actix, constant of the same size";
        let constant = self.measure(side, Some(constant.id()), on_constant).await?;

        let command = ["HMGET", key.as_str(), WAREHOUSE];
        let on_redis = load.redis(self.bed.redis.port(), batch, &command);
        let side = "redis-benchmark, same commands";
        let redis = self.measure(side, None, on_redis).await?;
        Ok(vec![api, webdis, constant, redis])
    }

    async fn measure(
        &self,
        side: &'static str,
        server: Option<u32>,
        load: impl Future<Output = Result<Rate, Failure>>,
    ) -> Result<Measured, Failure> {
        let server_cpu = || server.map_or(Ok(Duration::ZERO), cpu_time);
        let (server_before, redis_before) = (server_cpu()?, self.redis_cpu().await?);
        let rate = load.await?;
        let per_request = |used: Duration| used.as_secs_f64() * 1e6 / rate.requests;
        Ok(Measured {
            side,
            per_second: rate.per_second,
            server_us: per_request(server_cpu()?.saturating_sub(server_before)),
            redis_us: per_request(self.redis_cpu().await?.saturating_sub(redis_before)),
        })
    }

    async fn redis_cpu(&self) -> Result<Duration, Failure> {
        let info: String = self.bed.redis(&["INFO", "cpu"]).await?;
        let seconds = |field: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(field));
            line.and_then(|text| text.parse::<f64>().ok())
                .unwrap_or_default()
        };
        let used = seconds("used_cpu_sys:") + seconds("used_cpu_user:");
        Ok(Duration::from_secs_f64(used))
    }
}

async fn reply_size(url: &str, body: &str) -> Result<usize, Failure> {
    let request = reqwest::Client::new().post(url).body(body.to_owned());
    let request = request.header("content-type", "application/json");
    Ok(request
        .send()
        .await?
        .error_for_status()?
        .bytes()
        .await?
        .len())
}

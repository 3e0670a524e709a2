//! A running service with its own Redis and a scripted ERP.

use inventory_api::{Ended, Listeners, run};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use shared::d365::{OnHandSource, ScriptedSource};
use shared::process::clock::Clock;
use shared::process::shutdown::Shutdown;
use shared::process::tasks::Tasks;
use shared::redis_store::{CycleEnd, ItemRange, Sealed, StockStore};
use shared::settings::{Layers, Settings};
use shared::stock::{
    AsOf, Generation, ItemNumber, LineContent, LineValue, OnHandRow, Origin, ProductDimensions,
    Quantities, Quantity, Sku, StockLine, TenantId, WarehouseId,
};
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use test_redis::TestRedis;
use tokio::sync::oneshot;

const SETTINGS: &str = r#"
[redis]
command_timeout = "1s"

[api]
workers = 1
drain_timeout = "5s"

[api.auth]
insecure_no_authentication = true

[[tenants]]
id = "contoso"
environment_url = "http://127.0.0.1:1"
legal_entity = "usmf"
warehouses = ["11", "24"]
refresh_interval = "15m"

[tenants.entra]
tenant_id = "t"
client_id = "c"
client_secret = "s"

[[channels]]
id = "lenient"
tenant = "contoso"
warehouses = ["11"]
live_failure = { policy = "accept-if-fresh", max_age = "10m", buffer = "2" }

[[channels]]
id = "trusting"
tenant = "contoso"
warehouses = ["11"]
live_failure = { policy = "accept" }

[[channels]]
id = "coy"
tenant = "contoso"
warehouses = ["11"]
show_quantity = false
buffer = "1"
unknown_product = "unspecified"
"#;

pub(crate) const STOCK: &str = "/inventory/v1/inventories";
pub(crate) const CHECK: &str = "/inventory/v1/availability-checks";

/// Longest wait for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Rig {
    pub(crate) redis: TestRedis,
    pub(crate) store: StockStore,
    pub(crate) source: Arc<ScriptedSource>,
    pub(crate) shutdown: Shutdown,
    pub(crate) client: Client,
    pub(crate) api: String,
    management: String,
    ended: oneshot::Receiver<Ended>,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// With more settings in TOML after the usual ones.
    pub(crate) async fn start_with(more: &str) -> Self {
        Self::start_as(&format!("{SETTINGS}\n{more}")).await
    }

    /// With these settings instead.
    pub(crate) async fn start_as(settings: &str) -> Self {
        let redis = TestRedis::start().unwrap();
        let settings = settings_of(settings, &redis);
        let store = StockStore::open(&settings.redis).unwrap();
        store.clock().sample().await.unwrap();
        let clock: Arc<dyn Clock> = store.clock().clone();
        let source = Arc::new(ScriptedSource::new(clock));
        let listeners = Listeners {
            api: TcpListener::bind("127.0.0.1:0").unwrap(),
            management: TcpListener::bind("127.0.0.1:0").unwrap(),
        };
        let address = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (api, management) = (address(&listeners.api), address(&listeners.management));
        let shutdown = Shutdown::new();
        let (tell_end, ended) = oneshot::channel();
        let scripted = Arc::clone(&source);
        let service = run(
            settings,
            listeners,
            store.clone(),
            Arc::new(move |_| Ok(Arc::clone(&scripted) as Arc<dyn OnHandSource>)),
            shutdown.clone(),
        );
        Tasks::new().spawn("service", async move {
            let _ = tell_end.send(service.await.unwrap());
        });
        let rig = Self {
            redis,
            store,
            source,
            shutdown,
            client: Client::builder().no_gzip().build().unwrap(),
            api,
            management,
            ended,
        };
        rig.eventually("the service is ready", async || {
            rig.ready().await["ready"] == true
        })
        .await;
        rig
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.api)).json(body)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.api))
    }

    /// Asks for stock; status and body.
    pub(crate) async fn stock(&self, question: Value) -> (u16, Value) {
        told(self.post(STOCK, &question).send().await.unwrap()).await
    }

    /// Asks for an order; status and body.
    pub(crate) async fn check(&self, question: Value) -> (u16, Value) {
        told(self.post(CHECK, &question).send().await.unwrap()).await
    }

    pub(crate) async fn ready(&self) -> Value {
        let reply = self
            .client
            .get(format!("{}/health/ready", self.management))
            .send()
            .await;
        match reply {
            Ok(reply) => reply.json().await.unwrap(),
            Err(_) => Value::Null,
        }
    }

    pub(crate) async fn metrics(&self) -> String {
        let reply = self
            .client
            .get(format!("{}/metrics", self.management))
            .send();
        reply.await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn eventually(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let wait = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, wait).await.is_ok(),
            "never: {what}"
        );
    }

    /// Waits for the end.
    pub(crate) async fn end(self) -> Ended {
        tokio::time::timeout(PATIENCE, self.ended)
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) fn now(&self) -> AsOf {
        self.store.clock().now()
    }

    /// An instant so long ago.
    pub(crate) fn ago(&self, time: Duration) -> AsOf {
        let ms = self.now().unix_ms() - i64::try_from(time.as_millis()).unwrap();
        AsOf::from_unix_ms(ms).unwrap()
    }

    /// Writes lines `(sku, warehouse, available)` as a prefetcher that read them then, and seals a
    /// complete snapshot of each warehouse named.
    pub(crate) async fn snapshot(
        &self,
        read: AsOf,
        warehouses: &[&str],
        lines: &[(&str, &str, &str)],
    ) {
        let tenant = tenant();
        for place in warehouses {
            let warehouse = WarehouseId::parse(*place).unwrap();
            let ids = std::slice::from_ref(&warehouse);
            let seen = self.store.snapshots(&tenant, ids).await.unwrap()[0].generation;
            let ranges = ItemRange::between(&[]);
            let generation = self
                .store
                .open_cycle(&tenant, &warehouse, seen, read, &ranges, Duration::ZERO)
                .await
                .unwrap()
                .unwrap();
            let lines: Vec<StockLine> = lines
                .iter()
                .filter(|(_, of, _)| of == place)
                .map(|(sku, place, available)| {
                    line(sku, place, available, read, Origin::Snapshot(generation))
                })
                .collect();
            self.write(&lines).await;
            let end = CycleEnd {
                generation,
                started: read,
                completed: self.now(),
                rows: 1,
                pages: 1,
                borders: Vec::new(),
                next_due: read.plus(Duration::from_mins(15)),
                sealed: Sealed::Complete {
                    hash: "0".to_owned(),
                },
            };
            assert!(self.store.seal(&tenant, &warehouse, &end).await.unwrap());
        }
    }

    pub(crate) async fn write(&self, lines: &[StockLine]) {
        self.store.apply(&tenant(), lines).await.unwrap();
    }

    /// What the ERP says from now on: `(item, warehouse, available)`.
    pub(crate) fn erp_has(&self, rows: &[(&str, &str, &str)]) {
        let rows = rows.iter().map(|(item, place, available)| OnHandRow {
            item: ItemNumber::parse(*item).unwrap(),
            dimensions: ProductDimensions::default(),
            site: None,
            warehouse: WarehouseId::parse(*place).unwrap(),
            quantities: quantities(available),
        });
        self.source.set_stock(rows.collect());
    }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("contoso").unwrap()
}

pub(crate) fn line(
    sku: &str,
    place: &str,
    available: &str,
    as_of: AsOf,
    origin: Origin,
) -> StockLine {
    StockLine {
        sku: Sku::parse(sku).unwrap(),
        warehouse: WarehouseId::parse(place).unwrap(),
        value: LineValue {
            content: LineContent::Quantities(quantities(available)),
            as_of,
            origin,
        },
    }
}

pub(crate) const PREFETCHED: Origin = Origin::Snapshot(Generation(1));

fn quantities(available: &str) -> Quantities {
    let available: Quantity = available.parse().unwrap();
    Quantities {
        available,
        on_hand: available.checked_add(Quantity::from(5)).unwrap(),
        reserved: Quantity::from(5),
        ordered: Quantity::ZERO,
    }
}

fn settings_of(text: &str, redis: &TestRedis) -> Settings {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Layers::default()
        .file(Some(file.path()))
        .flag("redis.url", Some(redis.url()))
        .load()
        .unwrap()
}

/// Status and body of a reply, which is always JSON.
pub(crate) async fn told(reply: Response) -> (u16, Value) {
    let status = reply.status().as_u16();
    assert_eq!(reply.headers()["content-type"], "application/json");
    (status, reply.json().await.unwrap())
}

/// A FAST question about one warehouse.
pub(crate) fn fast(warehouse: &str, skus: &[&str]) -> Value {
    json!({ "warehouseId": warehouse, "skus": skus })
}

/// An EXACT question about one warehouse.
pub(crate) fn exact(warehouse: &str, skus: &[&str]) -> Value {
    json!({ "warehouseId": warehouse, "severity": "EXACT", "skus": skus })
}

/// The code of the first error.
pub(crate) fn code(body: &Value) -> &str {
    body["errors"][0]["code"].as_str().unwrap_or_default()
}

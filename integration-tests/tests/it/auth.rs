//! Who may call the running services, and what about.

use d365_simulator::Config as SimulatorConfig;
use integration_tests::binaries::{Launch, Program, Service};
use integration_tests::connector_config::{ConfigFile, ConnectorConfig};
use integration_tests::password_hash::hash_of;
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::token_issuer::{KeyServer, Kind, SigningKey, good_claims, section};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

const PASSWORD: &str = "k3ep-th1s-to-yourself";
const INVENTORIES: &str = "/inventory/v1/inventories";
const CHECKS: &str = "/inventory/v1/availability-checks";

/// A Redis and services that take known callers only.
pub(crate) struct Guarded {
    redis: RedisFixture,
    _file: ConfigFile,
    services: Vec<Service>,
    http: Client,
}

impl Guarded {
    /// With this section about callers; two tenants, `contoso` and `fabrikam`.
    pub(crate) async fn start(programs: &[Program], callers: &str) -> Self {
        let redis = RedisFixture::start_process().await.unwrap();
        // Nobody is asked for stock here.
        let d365 = "http://127.0.0.1:1";
        let mut config = ConnectorConfig::new(&redis.url(), d365, vec!["11".to_owned()]);
        config.open_door = false;
        config.more = format!("{callers}\n{}", config.second_tenant("fabrikam", "dat"));
        let file = config.write().unwrap();
        let mut services = Vec::new();
        for program in programs {
            let launch = Launch::new(*program, file.path()).unwrap();
            services.push(launch.start().await.unwrap());
        }
        Self {
            redis,
            _file: file,
            services,
            http: Client::new(),
        }
    }

    pub(crate) async fn api(callers: &str) -> Self {
        Self::start(&[Program::InventoryApi], callers).await
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let url = format!("{}{path}", self.services[0].url());
        self.http.post(url).json(body)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.services[0].url()))
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.parse().unwrap();
        let url = format!("{}{path}", self.services[0].url());
        self.http.request(method, url)
    }

    /// Everything the services wrote.
    pub(crate) fn logs(&mut self) -> String {
        let services = self.services.iter_mut();
        let logs = services.map(|service| service.process().log().tail(usize::MAX));
        logs.collect()
    }

    /// The process of the first service.
    pub(crate) fn process_id(&mut self) -> u32 {
        self.services[0].process().id()
    }

    pub(crate) async fn stop(mut self) {
        for service in &mut self.services {
            service.stop().await.unwrap();
        }
        self.redis.stop().await.unwrap();
    }
}

/// Status and code of a reply; the code is empty where all is well.
pub(crate) async fn told(request: RequestBuilder) -> (u16, String) {
    let reply = request.send().await.unwrap();
    let status = reply.status().as_u16();
    let body: Value = reply.json().await.unwrap_or_default();
    let code = body["errors"][0]["code"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

fn user(name: &str, hash: &str, more: &str) -> String {
    format!("[[api.auth.basic]]\nname = \"{name}\"\npassword_hash = \"{hash}\"\n{more}\n")
}

/// A question about a warehouse that does not exist: whoever may ask is told so.
fn question(tenant: &str, channel: Option<&str>) -> Value {
    let mut question = json!({
        "organization": tenant, "warehouseId": "nowhere",
        "products": [{ "sku": "1000", "quantity": 1 }]
    });
    if let Some(channel) = channel {
        question["channel"] = json!(channel);
        question["warehouseId"] = json!("11");
    }
    question
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_what_its_roles_tenants_and_channels_allow() {
    let hash = hash_of(PASSWORD).unwrap();
    let callers = [
        user("reader", &hash, "roles = [\"browse\"]"),
        user("buyer", &hash, "roles = [\"order\"]\ntenants = [\"contoso\"]"),
        user("shop", &hash, "roles = [\"browse\"]\nchannels = [\"shop\"]"),
        user("nobody", &hash, "roles = [\"operate\"]"),
        "[[channels]]\nid = \"shop\"\ntenant = \"contoso\"\n[[channels]]\nid = \"other\"\ntenant = \"contoso\"".to_owned(),
    ]
    .join("\n");
    let mut house = Guarded::api(&callers).await;
    let (missing, role) = (
        "inventory.authentication.error",
        "inventory.authorization.error",
    );
    let no_warehouse = "inventory.warehouse.not_found.error";
    for (name, path, tenant, channel, expected) in [
        ("reader", INVENTORIES, "contoso", None, (404, no_warehouse)),
        ("reader", INVENTORIES, "fabrikam", None, (404, no_warehouse)),
        ("reader", CHECKS, "contoso", None, (403, role)),
        ("buyer", CHECKS, "contoso", None, (404, no_warehouse)),
        ("buyer", INVENTORIES, "contoso", None, (403, role)),
        ("nobody", INVENTORIES, "contoso", None, (403, role)),
        ("shop", INVENTORIES, "contoso", Some("other"), (403, role)),
        (
            "shop",
            INVENTORIES,
            "contoso",
            Some("shop"),
            (503, "inventory.cache.cold.error"),
        ),
        ("stranger", INVENTORIES, "contoso", None, (401, missing)),
    ] {
        let asked = house.post(path, &question(tenant, channel));
        let (status, code) = told(asked.basic_auth(name, Some(PASSWORD))).await;
        assert_eq!(
            (status, code.as_str()),
            expected,
            "{name} {path} {tenant} {channel:?}"
        );
    }
    // A warehouse that exists: what remains is the right to ask about the tenant, or as no channel.
    for (name, path, tenant) in [
        ("buyer", CHECKS, "fabrikam"),
        ("shop", INVENTORIES, "contoso"),
    ] {
        let mut asked = question(tenant, None);
        asked["warehouseId"] = json!("11");
        let asked = house.post(path, &asked).basic_auth(name, Some(PASSWORD));
        assert_eq!(told(asked).await, (403, role.to_owned()), "{name}");
    }
    let wrong = house
        .post(INVENTORIES, &question("contoso", None))
        .basic_auth("reader", Some("n0t-th3-password"));
    let refused = wrong.send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let taken: Vec<_> = refused
        .headers()
        .get_all("www-authenticate")
        .iter()
        .collect();
    assert_eq!(taken, ["Basic realm=\"inventory\", charset=\"UTF-8\""]);
    for path in ["/inventory/api", "/inventory/v1/limits", "/somewhere"] {
        assert_eq!(told(house.get(path)).await.0, 401, "{path}");
    }
    let limits = house
        .get("/inventory/v1/limits")
        .basic_auth("nobody", Some(PASSWORD));
    assert_eq!(told(limits).await.0, 200);
    let logs = house.logs();
    for secret in [
        PASSWORD,
        "n0t-th3-password",
        &hash[30..],
        SimulatorConfig::CLIENT_SECRET,
    ] {
        assert!(!logs.contains(secret), "a secret is in the log");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workers_refreshes_are_for_operators_and_its_events_have_a_key_of_their_own() {
    let key = SigningKey::new(Kind::Es256, "one").unwrap();
    let issuer = KeyServer::start(&[&key]).await.unwrap();
    let events = "[worker.events]\nsecret = \"the-key-of-all-events\"";
    let callers = section(Kind::Es256, &issuer.url(), events);
    let mut house = Guarded::start(&[Program::PrefetchWorker], &callers).await;
    let (refreshes, status) = (
        "/inventoryPrefetcher/v1/refreshes",
        "/inventoryPrefetcher/v1/status",
    );
    let refresh = json!({ "tenant": "nobody", "skus": ["1000"] });
    let with_roles = |roles: Value| {
        let mut claims = good_claims();
        claims["roles"] = roles;
        key.token(&claims).unwrap()
    };
    let (operator, reader) = (
        with_roles(json!(["operate"])),
        with_roles(json!(["browse"])),
    );
    assert_eq!(told(house.post(refreshes, &refresh)).await.0, 401);
    assert_eq!(told(house.get(status)).await.0, 401);
    assert_eq!(
        told(house.get("/inventoryPrefetcher/api/page/")).await.0,
        401
    );
    let asked = house.post(refreshes, &refresh).bearer_auth(&reader);
    assert_eq!(
        told(asked).await,
        (403, "inventory.authorization.error".to_owned())
    );
    let asked = house.post(refreshes, &refresh).bearer_auth(&operator);
    assert_eq!(
        told(asked).await,
        (404, "inventory.organization.not_found.error".to_owned())
    );
    assert_eq!(told(house.get(status).bearer_auth(&operator)).await.0, 200);
    let event = house.post("/inventoryPrefetcher/v1/events", &json!({}));
    assert_eq!(
        told(event.bearer_auth(&operator)).await.0,
        401,
        "another key"
    );
    let event = house.post("/inventoryPrefetcher/v1/events", &json!({}));
    assert_eq!(
        told(event.header("x-connector-key", "the-key-of-all-events"))
            .await
            .0,
        200
    );
    let logs = house.logs();
    assert!(
        !logs.contains(&operator)
            && !logs.contains(&reader)
            && !logs.contains("the-key-of-all-events")
    );
    house.stop().await;
}

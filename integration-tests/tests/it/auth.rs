//! Who may call the running services, and what about. What a token must be is proved in `shared`.

use d365_simulator::Config as SimulatorConfig;
use integration_tests::binaries::{Launch, Program, Service};
use integration_tests::connector_config::{ConfigFile, ConnectorConfig};
use integration_tests::password_hash::hash_of;
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::token_issuer::{KeyServer, SigningKey, good_claims};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "k3ep-th1s-to-yourself";
const INVENTORIES: &str = "/inventory/v1/inventories";
const CHECKS: &str = "/inventory/v1/availability-checks";
const LIMITS: &str = "/inventory/v1/limits";
const MISSING: &str = "inventory.authentication.error";
const FORBIDDEN: &str = "inventory.authorization.error";

/// A Redis and a service that takes known callers only.
pub(crate) struct Guarded {
    redis: RedisFixture,
    _file: ConfigFile,
    service: Service,
    http: Client,
}

impl Guarded {
    /// With this section about callers; two tenants, `contoso` and `fabrikam`.
    pub(crate) async fn start(program: Program, callers: &str) -> Self {
        let redis = RedisFixture::start_process().await.unwrap();
        // Nobody is asked for stock here.
        let d365 = "http://127.0.0.1:1";
        let mut config = ConnectorConfig::new(&redis.url(), d365, vec!["11".to_owned()]);
        config.open_to_all = false;
        config.more = format!("{callers}\n{}", config.second_tenant("fabrikam", "dat"));
        let file = config.write().unwrap();
        let launch = Launch::new(program, file.path()).unwrap();
        let service = launch.start().await.unwrap();
        Self {
            redis,
            _file: file,
            service,
            http: Client::new(),
        }
    }

    pub(crate) async fn api(callers: &str) -> Self {
        Self::start(Program::InventoryApi, callers).await
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.service.url());
        self.http.request(method.parse().unwrap(), url)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request("POST", path).json(body)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request("GET", path)
    }

    /// Stops it, and sees that its log shows none of these.
    pub(crate) async fn stop(mut self, secrets: &[&str]) {
        let log = self.service.process().log().tail(usize::MAX);
        assert!(!log.is_empty());
        for secret in secrets {
            assert!(!log.contains(secret), "a secret is in the log");
        }
        self.service.stop().await.unwrap();
        self.redis.stop().await.unwrap();
    }

    /// The process of the service.
    pub(crate) fn process_id(&mut self) -> u32 {
        self.service.process().id()
    }
}

/// Status and code of a reply; the code is empty where all is well.
pub(crate) async fn outcome(request: RequestBuilder) -> (u16, String) {
    let reply = request.send().await.unwrap();
    let status = reply.status().as_u16();
    let body: Value = reply.json().await.unwrap_or_default();
    let code = body["errors"][0]["code"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

/// A caller with [`PASSWORD`].
pub(crate) fn user(name: &str, more: &str) -> String {
    let hash = hash_of(PASSWORD).unwrap();
    format!("[[api.auth.basic]]\nname = \"{name}\"\npassword_hash = \"{hash}\"\n{more}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_what_its_roles_tenants_and_channels_allow() {
    let callers = [
        user("reader", "roles = [\"browse\"]"),
        user("buyer", "roles = [\"order\"]\ntenants = [\"contoso\"]"),
        user("shop", "roles = [\"browse\"]\nchannels = [\"shop\"]"),
        user("nobody", "roles = [\"operate\"]"),
        "[[channels]]\nid = \"shop\"\ntenant = \"contoso\"\n[[channels]]\nid = \"other\"\ntenant = \"contoso\"".to_owned(),
    ]
    .join("\n");
    let bed = Guarded::api(&callers).await;
    // A caller who may ask about a warehouse that does not exist is told so.
    let no_warehouse = "inventory.warehouse.not_found.error";
    let cold = "inventory.cache.cold.error";
    for (name, path, tenant, channel, warehouse, expected) in [
        (
            "reader",
            INVENTORIES,
            "contoso",
            None,
            "no",
            (404, no_warehouse),
        ),
        (
            "reader",
            INVENTORIES,
            "fabrikam",
            None,
            "no",
            (404, no_warehouse),
        ),
        ("reader", CHECKS, "contoso", None, "no", (403, FORBIDDEN)),
        ("buyer", CHECKS, "contoso", None, "no", (404, no_warehouse)),
        ("buyer", CHECKS, "fabrikam", None, "11", (403, FORBIDDEN)),
        (
            "buyer",
            INVENTORIES,
            "contoso",
            None,
            "no",
            (403, FORBIDDEN),
        ),
        (
            "nobody",
            INVENTORIES,
            "contoso",
            None,
            "no",
            (403, FORBIDDEN),
        ),
        ("shop", INVENTORIES, "contoso", None, "11", (403, FORBIDDEN)),
        (
            "shop",
            INVENTORIES,
            "contoso",
            Some("other"),
            "11",
            (403, FORBIDDEN),
        ),
        (
            "shop",
            INVENTORIES,
            "contoso",
            Some("shop"),
            "11",
            (503, cold),
        ),
        (
            "unknown",
            INVENTORIES,
            "contoso",
            None,
            "no",
            (401, MISSING),
        ),
    ] {
        let mut question = json!({
            "organization": tenant, "warehouseId": warehouse,
            "products": [{ "sku": "1000", "quantity": 1 }]
        });
        if let Some(channel) = channel {
            question["channel"] = json!(channel);
        }
        let asked = bed.post(path, &question).basic_auth(name, Some(PASSWORD));
        let (status, code) = outcome(asked).await;
        let case = format!("{name} {path} {tenant} {channel:?}");
        assert_eq!((status, code.as_str()), expected, "{case}");
    }
    let wrong = bed
        .get(LIMITS)
        .basic_auth("reader", Some("n0t-th3-password"));
    let refused = wrong.send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let taken = refused.headers().get_all("www-authenticate");
    let taken: Vec<_> = taken.iter().collect();
    assert_eq!(taken, ["Basic realm=\"inventory\", charset=\"UTF-8\""]);
    for path in ["/inventory/api", LIMITS, "/somewhere"] {
        assert_eq!(outcome(bed.get(path)).await.0, 401, "{path}");
    }
    let limits = bed.get(LIMITS).basic_auth("nobody", Some(PASSWORD));
    assert_eq!(outcome(limits).await.0, 200);
    bed.stop(&[PASSWORD, "n0t-th3-password", SimulatorConfig::CLIENT_SECRET])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workers_refreshes_are_for_operators_and_its_events_have_a_key_of_their_own() {
    const REFRESHES: &str = "/inventoryPrefetcher/v1/refreshes";
    const STATUS: &str = "/inventoryPrefetcher/v1/status";
    const EVENTS: &str = "/inventoryPrefetcher/v1/events";
    const EVENT_KEY: &str = "the-key-of-all-events";
    let key = SigningKey::new("one").unwrap();
    let issuer = KeyServer::start(&[&key]).await.unwrap();
    let callers = format!(
        "{}[worker.events]\nsecret = \"{EVENT_KEY}\"",
        issuer.section()
    );
    let bed = Guarded::start(Program::PrefetchWorker, &callers).await;
    let [operator, reader] = ["operate", "browse"].map(|role| {
        let mut claims = good_claims();
        claims["roles"] = json!([role]);
        key.token(&claims).unwrap()
    });
    let refresh = json!({ "tenant": "nobody", "skus": ["1000"] });
    let unknown_tenant = "inventory.organization.not_found.error";
    for (path, body, token, expected) in [
        (REFRESHES, Some(&refresh), None, (401, MISSING)),
        (STATUS, None, None, (401, MISSING)),
        ("/inventoryPrefetcher/api/page/", None, None, (401, MISSING)),
        (REFRESHES, Some(&refresh), Some(&reader), (403, FORBIDDEN)),
        (
            REFRESHES,
            Some(&refresh),
            Some(&operator),
            (404, unknown_tenant),
        ),
        (STATUS, None, Some(&operator), (200, "")),
        // Events have another key.
        (EVENTS, Some(&json!({})), Some(&operator), (401, MISSING)),
    ] {
        let request = body.map_or_else(|| bed.get(path), |body| bed.post(path, body));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let (status, code) = outcome(request).await;
        assert_eq!((status, code.as_str()), expected, "{path}");
    }
    let event = bed
        .post(EVENTS, &json!({}))
        .header("x-connector-key", EVENT_KEY);
    assert_eq!(outcome(event).await.0, 200);
    bed.stop(&[&operator, &reader, EVENT_KEY]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuers_keys_are_awaited_taken_up_and_withdrawn_and_serve_while_it_is_away() {
    let [old, new, unknown] = ["old", "new", "unknown"].map(|id| SigningKey::new(id).unwrap());
    let [by_old, by_new, by_unknown] =
        [&old, &new, &unknown].map(|key| key.token(&good_claims()).unwrap());
    let issuer = KeyServer::start(&[]).await.unwrap();
    issuer.publish_text("<html>");
    let bed = Guarded::api(&issuer.section()).await;
    let reply = bed.get(LIMITS).bearer_auth(&by_old).send().await.unwrap();
    assert_eq!(reply.status(), 503, "no key was ever read");
    assert!(reply.headers().contains_key("retry-after"));
    bed.stop(&[&by_old]).await;

    issuer.publish(&[&old]);
    let bed = Guarded::api(&issuer.section()).await;
    let looks = issuer.looks();
    let status_of = async |token: &str| outcome(bed.get(LIMITS).bearer_auth(token)).await.0;
    assert_eq!(status_of(&by_old).await, 200);
    issuer.publish(&[&new]);
    assert_eq!(status_of(&by_old).await, 200, "nobody has looked yet");
    assert_eq!(
        status_of(&by_new).await,
        200,
        "the first use of a key finds it"
    );
    assert_eq!(status_of(&by_old).await, 401, "its key is withdrawn");
    for _ in 0..10 {
        assert_eq!(status_of(&by_unknown).await, 401);
    }
    assert_eq!(issuer.looks(), looks + 1, "one for all unknown keys");
    drop(issuer);
    assert_eq!(status_of(&by_new).await, 200, "its key is known already");
    bed.stop(&[&by_old, &by_new, &by_unknown]).await;
}

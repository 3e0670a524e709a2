use super::*;
use actix_web::http::Method;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::{Value, json};
use shared::http::auth::{Authenticator, hash_password};
use shared::process::clock::{Clock, SystemClock};
use shared::process::shutdown::Shutdown;
use shared::redis_store::{StockStore, WorkerHeartbeat};
use shared::settings::{Layers, Secret, Settings};
use test_redis::TestRedis;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const REFRESHES: &str = "/inventoryPrefetcher/v1/refreshes";
const EVENTS: &str = "/inventoryPrefetcher/v1/events";
const STATUS: &str = "/inventoryPrefetcher/v1/status";
const KEY: &str = "the-key-of-all-events";
const OPEN: &str = "[api.auth]\ninsecure_no_authentication = true\n";
// `name:correct horse`, as basic authentication writes it.
const UNBOUND: &str = "Basic YW55Ym9keTpjb3JyZWN0IGhvcnNl";
const OF_CONTOSO: &str = "Basic b3Vyczpjb3JyZWN0IGhvcnNl";
const OF_SHOP: &str = "Basic c2hvcDpjb3JyZWN0IGhvcnNl";
const OF_BOTH: &str = "Basic Ym90aDpjb3JyZWN0IGhvcnNl";
const OF_NOTHING: &str = "Basic bm90aGluZzpjb3JyZWN0IGhvcnNl";

/// One operator for each way to be bound.
fn operators() -> String {
    let hash = hash_password(&Secret::new("correct horse")).unwrap();
    let bounds = [
        ("anybody", ""),
        ("ours", "tenants = [\"contoso\"]"),
        ("shop", "channels = [\"shop\"]"),
        (
            "both",
            "channels = [\"shop\"]\ntenants = [\"contoso\", \"fabrikam\"]",
        ),
        ("nothing", "tenants = []"),
    ];
    let entry = |(name, bound): (&str, &str)| {
        format!(
            "[[api.auth.basic]]\nname = \"{name}\"\npassword_hash = \"{hash}\"\n\
             roles = [\"operate\"]\n{bound}\n"
        )
    };
    bounds.map(entry).concat()
}

/// Two tenants, contoso and fabrikam, with warehouse 24 each.
fn settings(redis: &str, more: &str) -> Settings {
    let tenant = |id: &str| {
        format!(
            "[[tenants]]\nid = \"{id}\"\nenvironment_url = \"http://127.0.0.1:9\"\n\
             legal_entity = \"usmf\"\nwarehouses = [\"24\"]\n[tenants.entra]\n\
             tenant_id = \"11111111-2222-3333-4444-555555555555\"\n\
             authority = \"http://127.0.0.1:9\"\nclient_id = \"connector\"\n\
             client_secret = \"not-asked-for\"\n"
        )
    };
    let tenants = ["contoso", "fabrikam"].map(tenant).concat();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.toml");
    std::fs::write(
        &path,
        format!("[redis]\nurl = \"{redis}\"\n{more}{tenants}"),
    )
    .unwrap();
    Layers::default().file(Some(&path)).load().unwrap()
}

/// A Redis nobody listens at, for what is decided without it.
fn away(more: &str) -> Settings {
    settings("redis://127.0.0.1:9", more)
}

/// One request.
struct Asked<'a> {
    method: Method,
    path: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a str,
}

const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");

impl<'a> Asked<'a> {
    fn event(key: Option<&'a str>, headers: &[(&'a str, &'a str)], body: &'a str) -> Self {
        let key = key.map(|key| ("x-connector-key", key));
        Self {
            method: Method::POST,
            path: EVENTS,
            headers: headers.iter().copied().chain(key).collect(),
            body,
        }
    }

    fn refresh(credentials: Option<&'a str>, body: &'a str) -> Self {
        let shown = credentials.map(|shown| ("authorization", shown));
        Self {
            method: Method::POST,
            path: REFRESHES,
            headers: shown.into_iter().chain([JSON]).collect(),
            body,
        }
    }

    fn status(credentials: Option<&'a str>) -> Self {
        Self {
            method: Method::GET,
            path: STATUS,
            ..Self::refresh(credentials, "")
        }
    }
}

/// Status and body of each reply of a worker with these settings.
async fn ask(settings: &Settings, all: Vec<Asked<'_>>) -> Vec<(u16, Value)> {
    let worker = Worker::build(settings, Shutdown::new()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let authenticator = Authenticator::new(&settings.api.auth, &clock).unwrap();
    let app = App::new()
        .app_data(Data::new(Refreshes::start(&worker)))
        .app_data(Data::new(Hints::default()))
        .app_data(Data::new(AuthGuard::new(Arc::new(authenticator), access)))
        .app_data(Data::new(worker))
        .configure(configure)
        .wrap(from_fn(guard::pass));
    let app = init_service(app).await;
    let mut replies = Vec::new();
    for asked in all {
        let mut request = TestRequest::with_uri(asked.path).method(asked.method);
        for header in asked.headers {
            request = request.insert_header(header);
        }
        let request = request.set_payload(asked.body.to_owned()).to_request();
        let reply = call_service(&app, request).await;
        let status = reply.status().as_u16();
        let body = read_body(reply).await;
        replies.push((status, serde_json::from_slice(&body).unwrap()));
    }
    replies
}

/// Status of each reply, and the code of a refusal or the tenant that was taken.
async fn outcomes(settings: &Settings, all: Vec<Asked<'_>>) -> Vec<(u16, String)> {
    let replies = ask(settings, all).await.into_iter();
    let outcomes = replies.map(|(status, body)| {
        let said = body["errors"][0]["code"]
            .as_str()
            .or(body["tenant"].as_str());
        (status, said.unwrap_or_default().to_owned())
    });
    outcomes.collect()
}

const NOT_ALLOWED: (u16, &str) = (403, "inventory.authorization.error");
const NO_TENANT: (u16, &str) = (404, "inventory.organization.not_found.error");
const NO_WAREHOUSE: (u16, &str) = (404, "inventory.warehouse.not_found.error");
const INVALID: (u16, &str) = (422, "inventory.request.invalid.error");
const MEDIA_TYPE: (u16, &str) = (415, "inventory.media_type.unsupported.error");

#[actix_web::test]
async fn an_event_without_the_key_is_refused_before_its_body_is_read() {
    let with_key = away(&format!("{OPEN}[worker.events]\nsecret = \"{KEY}\"\n"));
    let refused = (401, "inventory.authentication.error");
    let off = (404, "inventory.events.off.error");
    for (settings, key, expected) in [
        (&with_key, None, refused),
        (&with_key, Some("another-key"), refused),
        (&away(OPEN), Some(KEY), off),
    ] {
        // Each would be refused in its own way, if anybody looked at it.
        let asked = vec![
            Asked::event(key, &[JSON], "{ no json"),
            Asked::event(key, &[], "[]"),
            Asked::event(key, &[JSON, GZIP], "not gzip"),
        ];
        let expected = (expected.0, expected.1.to_owned());
        assert_eq!(
            outcomes(settings, asked).await,
            [(); 3].map(|()| expected.clone())
        );
    }
}

#[actix_web::test]
async fn bodies_that_are_compressed_too_large_or_no_json_are_refused() {
    let settings = away(&format!("{OPEN}[worker.events]\nsecret = \"{KEY}\"\n"));
    let large = format!("\"{}\"", "x".repeat(BODY_LIMIT));
    let with = |headers: &[(&'static str, &'static str)]| Asked {
        headers: headers.to_vec(),
        ..Asked::refresh(None, "{}")
    };
    let asked = vec![
        Asked::event(Some(KEY), &[JSON, GZIP], "[]"),
        with(&[JSON, GZIP]),
        with(&[]),
        Asked::refresh(None, "{ no json"),
        Asked::refresh(None, &large),
    ];
    let expected = [
        MEDIA_TYPE,
        MEDIA_TYPE,
        MEDIA_TYPE,
        (400, "inventory.request.malformed.error"),
        (413, "inventory.request.too_large.error"),
    ];
    let expected = expected.map(|(status, code)| (status, code.to_owned()));
    assert_eq!(outcomes(&settings, asked).await, expected);
}

#[actix_web::test]
async fn a_caller_may_operate_its_own_tenants_and_does_not_learn_of_others() {
    let bound = away(&operators());
    let open = away(OPEN);
    let own = r#"{"tenant":"contoso","skus":["1000"]}"#;
    let unnamed = r#"{"skus":["1000"]}"#;
    let own_elsewhere = r#"{"tenant":"contoso","warehouseId":"99"}"#;
    let other = r#"{"tenant":"fabrikam","skus":["1000"]}"#;
    let other_elsewhere = r#"{"tenant":"fabrikam","warehouseId":"99"}"#;
    let nowhere = r#"{"tenant":"adatum","skus":["1000"]}"#;
    let taken = (202, "contoso");
    for (settings, caller, body, expected) in [
        (&bound, Some(OF_CONTOSO), own, taken),
        (&bound, Some(OF_CONTOSO), unnamed, taken),
        (&bound, Some(OF_CONTOSO), own_elsewhere, NO_WAREHOUSE),
        (&bound, Some(OF_CONTOSO), other, NOT_ALLOWED),
        (&bound, Some(OF_CONTOSO), other_elsewhere, NOT_ALLOWED),
        (&bound, Some(OF_CONTOSO), nowhere, NOT_ALLOWED),
        (&bound, Some(UNBOUND), own, taken),
        (&bound, Some(UNBOUND), unnamed, INVALID),
        (&bound, Some(UNBOUND), nowhere, NO_TENANT),
        (&bound, Some(OF_SHOP), own, NOT_ALLOWED),
        (&bound, Some(OF_SHOP), unnamed, NOT_ALLOWED),
        (&bound, Some(OF_BOTH), own, NOT_ALLOWED),
        (&bound, Some(OF_BOTH), nowhere, NOT_ALLOWED),
        (&bound, Some(OF_NOTHING), own, NOT_ALLOWED),
        (&bound, Some(OF_NOTHING), unnamed, NOT_ALLOWED),
        (&open, None, other, (202, "fabrikam")),
        (&open, None, nowhere, NO_TENANT),
        (&open, None, unnamed, INVALID),
    ] {
        let got = outcomes(settings, vec![Asked::refresh(caller, body)]).await;
        assert_eq!(
            got,
            [(expected.0, expected.1.to_owned())],
            "{caller:?} {body}"
        );
    }
}

#[actix_web::test]
async fn the_status_shows_a_caller_its_own_tenants_and_what_workers_read_of_them() {
    let redis = TestRedis::start().unwrap();
    let bound = settings(&redis.url(), &operators());
    let store = StockStore::open(&bound.redis).unwrap();
    store.clock().sample().await.unwrap();
    let shards = ["contoso/24", "fabrikam/24", "contoso/24:7:1", "adatum/1"];
    let busy = WorkerHeartbeat {
        id: "busy".to_owned(),
        shards: shards.map(str::to_owned).to_vec(),
        ..WorkerHeartbeat::default()
    };
    store.beat(&busy, store.clock().now()).await.unwrap();
    let open = settings(&redis.url(), OPEN);
    let both = json!(["contoso", "fabrikam"]);
    let ours = json!(["contoso/24", "contoso/24:7:1"]);
    for (settings, caller, tenants, read) in [
        (&bound, Some(UNBOUND), both.clone(), json!(shards)),
        (&bound, Some(OF_CONTOSO), json!(["contoso"]), ours),
        (&bound, Some(OF_SHOP), json!([]), json!([])),
        (&bound, Some(OF_BOTH), json!([]), json!([])),
        (&bound, Some(OF_NOTHING), json!([]), json!([])),
        (&open, None, both, json!(shards)),
    ] {
        let (status, body) = ask(settings, vec![Asked::status(caller)]).await.remove(0);
        assert_eq!(status, 200, "{body}");
        let shown = body["tenants"].as_array().unwrap().iter();
        let shown: Vec<&Value> = shown.map(|tenant| &tenant["id"]).collect();
        assert_eq!(json!(shown), tenants, "{caller:?}");
        assert_eq!(body["workers"][0]["shards"], read, "{caller:?}");
    }
}

#[actix_web::test]
async fn one_address_does_not_take_all_connections() {
    let settings = away(OPEN);
    let worker = Worker::build(&settings, Shutdown::new()).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let authenticator = Authenticator::new(&settings.api.auth, &clock).unwrap();
    let parts = Parts {
        auth: &settings.api.auth,
        refreshes: Refreshes::start(&worker),
        hints: Hints::default(),
        auth_guard: AuthGuard::new(Arc::new(authenticator), access),
        connections: Connections::new("worker", LIMITS, clock),
        worker: worker.clone(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = serve(listener, parts, None).unwrap();
    let handle = server.handle();
    worker.tasks.spawn("api", async { server.await.unwrap() });
    let mut open = Vec::new();
    for _ in 0..=LIMITS.per_address {
        open.push(TcpStream::connect(address).await.unwrap());
    }
    let mut last = open.pop().unwrap();
    let mut end = [0; 1];
    let end = last.read(&mut end);
    // Sooner than the library gives a silent connection up.
    let end = tokio::time::timeout(LIMITS.header_timeout / 2, end).await;
    assert!(matches!(end.unwrap(), Ok(0) | Err(_)));
    handle.stop(false).await;
}

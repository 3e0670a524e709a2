use super::*;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::{Value, json};
use shared::http::auth::{Authenticator, hash_password};
use shared::process::clock::{Clock, SystemClock};
use shared::process::shutdown::Shutdown;
use shared::redis_store::test_server::TestRedis;
use shared::redis_store::{StockStore, WorkerHeartbeat};
use shared::settings::{Layers, Secret, Settings};
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

impl<'a> Asked<'a> {
    fn event(headers: &[(&'a str, &'a str)], body: &'a str) -> Self {
        Self {
            method: Method::POST,
            path: EVENTS,
            headers: headers.to_vec(),
            body,
        }
    }

    fn refresh(credentials: Option<&'a str>, body: &'a str) -> Self {
        let mut headers = vec![(CONTENT_TYPE.as_str(), "application/json")];
        headers.extend(credentials.map(|shown| (AUTHORIZATION.as_str(), shown)));
        Self {
            method: Method::POST,
            path: REFRESHES,
            headers,
            body,
        }
    }

    fn status(credentials: Option<&'a str>) -> Self {
        Self {
            method: Method::GET,
            path: STATUS,
            headers: credentials
                .map(|shown| (AUTHORIZATION.as_str(), shown))
                .into_iter()
                .collect(),
            body: "",
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
        .app_data(Data::new(Door::new(Arc::new(authenticator), need)))
        .app_data(Data::new(worker))
        .configure(configure)
        .wrap(from_fn(door::pass));
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

/// Status and code of each refusal.
async fn refusals(settings: &Settings, all: Vec<Asked<'_>>) -> Vec<(u16, String)> {
    let replies = ask(settings, all).await.into_iter();
    let told = replies.map(|(status, body)| {
        let code = body["errors"][0]["code"].as_str().unwrap_or_default();
        (status, code.to_owned())
    });
    told.collect()
}

fn all_alike(refusals: &[(u16, String)], status: u16, code: &str) {
    for (at, told) in refusals.iter().enumerate() {
        assert_eq!(told, &(status, code.to_owned()), "request {at}");
    }
}

/// Bodies that would be refused, each in its own way, if anybody looked at them.
fn events_no_reader_takes<'a>(key: Option<&'a str>) -> Vec<Asked<'a>> {
    let json = (CONTENT_TYPE.as_str(), "application/json");
    let gzip = (CONTENT_ENCODING.as_str(), "gzip");
    let key = key.map(|key| ("x-connector-key", key));
    let with_key = |headers: &[(&'a str, &'a str)]| {
        let headers = headers.iter().copied().chain(key);
        headers.collect::<Vec<_>>()
    };
    vec![
        Asked::event(&with_key(&[json]), "{ no json"),
        Asked::event(&with_key(&[]), "[]"),
        Asked::event(&with_key(&[json, gzip]), "not gzip"),
    ]
}

#[actix_web::test]
async fn a_stranger_s_event_is_refused_before_its_body_is_read() {
    let with_key = away(&format!("{OPEN}[worker.events]\nsecret = \"{KEY}\"\n"));
    for shown in [None, Some("another-key")] {
        let told = refusals(&with_key, events_no_reader_takes(shown)).await;
        all_alike(&told, 401, "inventory.authentication.error");
    }
    let told = refusals(&away(OPEN), events_no_reader_takes(Some(KEY))).await;
    all_alike(&told, 404, "inventory.events.off.error");
}

#[actix_web::test]
async fn compressed_bodies_are_refused_also_of_those_who_may_send() {
    let settings = away(&format!("{OPEN}[worker.events]\nsecret = \"{KEY}\"\n"));
    let gzip = (CONTENT_ENCODING.as_str(), "gzip");
    let json = (CONTENT_TYPE.as_str(), "application/json");
    let mut refresh = Asked::refresh(None, "{}");
    refresh.headers.push(gzip);
    let event = Asked::event(&[json, gzip, ("x-connector-key", KEY)], "[]");
    let told = refusals(&settings, vec![event, refresh]).await;
    all_alike(&told, 415, "inventory.media_type.unsupported.error");
}

#[actix_web::test]
async fn what_is_too_large_or_no_json_is_told_as_before() {
    let settings = away(OPEN);
    let large = format!("\"{}\"", "x".repeat(BODY_LIMIT));
    let mut untyped = Asked::refresh(None, "{}");
    untyped.headers.clear();
    let asked = vec![
        Asked::refresh(None, "{ no json"),
        Asked::refresh(None, &large),
        untyped,
    ];
    let told = refusals(&settings, asked).await;
    let expected = [
        (400, "inventory.request.malformed.error"),
        (413, "inventory.request.too_large.error"),
        (415, "inventory.media_type.unsupported.error"),
    ];
    let expected = expected.map(|(status, code)| (status, code.to_owned()));
    assert_eq!(told, expected);
}

#[actix_web::test]
async fn a_tenant_that_is_not_the_caller_s_is_refused_whether_it_exists_or_not() {
    let settings = away(&operators());
    let other = r#"{"tenant":"fabrikam","warehouseId":"24"}"#;
    let elsewhere = r#"{"tenant":"fabrikam","warehouseId":"99"}"#;
    let nowhere = r#"{"tenant":"adatum","skus":["1000"]}"#;
    let own = r#"{"tenant":"contoso","warehouseId":"24"}"#;
    let asked = [
        (OF_CONTOSO, vec![other, elsewhere, nowhere]),
        (OF_SHOP, vec![own, other, nowhere, "{}"]),
        (OF_BOTH, vec![own, other, nowhere, "{}"]),
        (OF_NOTHING, vec![own, other, nowhere, "{}"]),
    ];
    for (caller, bodies) in asked {
        let bodies = bodies.into_iter();
        let asked = bodies.map(|body| Asked::refresh(Some(caller), body));
        let told = refusals(&settings, asked.collect()).await;
        all_alike(&told, 403, "inventory.authorization.error");
    }
}

#[actix_web::test]
async fn a_caller_s_own_tenant_is_taken_and_need_not_be_named() {
    let settings = away(&operators());
    let named = r#"{"tenant":"contoso","skus":["1000"]}"#;
    let unnamed = r#"{"skus":["1000"]}"#;
    let elsewhere = r#"{"tenant":"contoso","warehouseId":"99"}"#;
    let nowhere = r#"{"tenant":"adatum","skus":["1000"]}"#;
    let asked = [
        (OF_CONTOSO, named),
        (OF_CONTOSO, unnamed),
        (OF_CONTOSO, elsewhere),
        (UNBOUND, named),
        (UNBOUND, unnamed),
        (UNBOUND, nowhere),
    ];
    let asked = asked.map(|(caller, body)| Asked::refresh(Some(caller), body));
    let replies = ask(&settings, asked.into()).await;
    let told = replies
        .iter()
        .map(|(status, body)| (*status, body["tenant"].as_str()));
    let told: Vec<_> = told.collect();
    let expected = [
        (202, Some("contoso")),
        (202, Some("contoso")),
        (404, None),
        (202, Some("contoso")),
        (422, None),
        (404, None),
    ];
    assert_eq!(told, expected);
}

#[actix_web::test]
async fn the_status_shows_a_caller_its_own_tenants() {
    let redis = TestRedis::start().unwrap();
    let shown = async |more: &str, callers: &[Option<&str>]| {
        let asked = callers.iter().map(|caller| Asked::status(*caller));
        let replies = ask(&settings(&redis.url(), more), asked.collect()).await;
        let ids = replies.into_iter().map(|(status, body)| {
            assert_eq!(status, 200, "{body}");
            let tenants = body["tenants"].as_array().unwrap();
            json!(
                tenants
                    .iter()
                    .map(|tenant| &tenant["id"])
                    .collect::<Vec<_>>()
            )
        });
        ids.collect::<Vec<_>>()
    };
    let callers = [UNBOUND, OF_CONTOSO, OF_SHOP, OF_BOTH, OF_NOTHING].map(Some);
    let both = json!(["contoso", "fabrikam"]);
    let expected = [
        both.clone(),
        json!(["contoso"]),
        json!([]),
        json!([]),
        json!([]),
    ];
    assert_eq!(shown(&operators(), &callers).await, expected);
    assert_eq!(shown(OPEN, &[None]).await, [both]);
}

#[actix_web::test]
async fn the_status_shows_what_workers_read_of_the_callers_tenants_only() {
    let redis = TestRedis::start().unwrap();
    let settings = settings(&redis.url(), &operators());
    let store = StockStore::open(&settings.redis).unwrap();
    store.clock().sample().await.unwrap();
    let shards = ["contoso/24", "fabrikam/24", "contoso/24:7:1", "adatum/1"];
    let busy = WorkerHeartbeat {
        id: "busy".to_owned(),
        shards: shards.map(str::to_owned).to_vec(),
        ..WorkerHeartbeat::default()
    };
    store.beat(&busy, store.clock().now()).await.unwrap();
    let callers = [UNBOUND, OF_CONTOSO, OF_SHOP, OF_NOTHING];
    let asked = callers.map(|caller| Asked::status(Some(caller)));
    let replies = ask(&settings, asked.into()).await.into_iter();
    let shown: Vec<_> = replies
        .map(|(_, body)| {
            assert_eq!(body["workers"][0]["id"], "busy", "{body}");
            body["workers"][0]["shards"].clone()
        })
        .collect();
    let ours = json!(["contoso/24", "contoso/24:7:1"]);
    assert_eq!(shown, [json!(shards), ours, json!([]), json!([])]);
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
        door: Door::new(Arc::new(authenticator), need),
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

#[actix_web::test]
async fn an_open_door_leaves_all_tenants_open() {
    let asked = [
        r#"{"tenant":"fabrikam","skus":["1000"]}"#,
        r#"{"tenant":"adatum","skus":["1000"]}"#,
        r#"{"skus":["1000"]}"#,
    ];
    let asked = asked.map(|body| Asked::refresh(None, body));
    let replies = ask(&away(OPEN), asked.into()).await;
    let told: Vec<_> = replies.iter().map(|(status, _)| *status).collect();
    assert_eq!(told, [202, 404, 422]);
}

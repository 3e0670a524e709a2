//! No secret shows in `Debug`, in an error, in a log, or in a panic, however it got there.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::d365::{D365Client, OnHandSource, ProcessThrottleGate, Purpose};
use shared::http::auth::{Authenticator, hash_password};
use shared::http::caller_key::CallerKey;
use shared::process::clock::{Clock, SystemClock};
use shared::process::tasks::Tasks;
use shared::redis_store::StockStore;
use shared::settings::{Layers, Secret, Settings};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

const MARK: &str = "c4n4ry";

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

fn settings() -> Settings {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let hash = hash_password(&Secret::new(format!("{MARK}-basic-password"))).unwrap();
    write!(
        file,
        r#"
[redis]
url = "redis://127.0.0.1:1"
password = "{MARK}-redis"
[[api.auth.basic]]
name = "icm"
roles = ["order"]
password_hash = "{hash}"
[worker.events]
secret = "{MARK}-events-0123456789abcdef"
[[tenants]]
id = "contoso"
environment_url = "http://127.0.0.1:1"
legal_entity = "usmf"
warehouses = ["11"]
[tenants.entra]
tenant_id = "t"
authority = "http://127.0.0.1:1"
client_id = "c"
client_secret = "{MARK}-prefetch"
[tenants.entra.live]
client_id = "l"
client_secret = "{MARK}-live"
"#
    )
    .unwrap();
    Layers::with_environment(BTreeMap::new())
        .file(Some(file.path()))
        .load()
        .unwrap()
}

/// Where the canary shows, as it is or as basic credentials write it.
fn hits(texts: &[(&str, String)]) -> Vec<String> {
    let encoded = STANDARD.encode(format!("icm:{MARK}"));
    let needles = [MARK, encoded.trim_end_matches('=')];
    texts
        .iter()
        .filter(|(_, text)| needles.iter().any(|needle| text.contains(needle)))
        .map(|(place, text)| format!("{place}: {text}"))
        .collect()
}

#[tokio::test]
async fn no_secret_shows_in_debug_errors_logs_or_panics() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let settings = settings();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = StockStore::open(&settings.redis).unwrap();
    let gate = Arc::new(ProcessThrottleGate::new(Arc::clone(&clock)));
    let client = D365Client::new(
        &settings.tenants[0],
        Purpose::Live,
        Arc::clone(&clock),
        gate,
    )
    .unwrap();
    let authenticator = Authenticator::new(&settings.api.auth, &clock).unwrap();
    let mut texts = vec![
        ("settings", format!("{settings:?} {settings:#?}")),
        ("shown settings", settings.shown().unwrap()),
        ("store", format!("{store:?}")),
        ("client", format!("{client:?}")),
        ("authenticator", format!("{authenticator:?}")),
    ];
    let unreachable = store.ping().await.unwrap_err();
    texts.push(("store error", format!("{unreachable} {unreachable:?}")));
    let no_token = client.warehouses().await.unwrap_err();
    texts.push(("D365 error", format!("{no_token} {no_token:?}")));
    for credentials in [
        format!("Basic {}", STANDARD.encode(format!("icm:{MARK}-wrong"))),
        format!("Basic {}", STANDARD.encode(format!("{MARK}:{MARK}"))),
        format!("Bearer {MARK}.{MARK}.{MARK}"),
        format!("Basic {MARK}"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::try_from(credentials).unwrap());
        let refused = authenticator
            .caller(&headers, &CallerKey::Nobody)
            .await
            .unwrap_err();
        texts.push(("refusal", format!("{refused} {refused:?}")));
    }
    let tasks = Tasks::new();
    let carried = settings.clone();
    tasks.spawn("breaks", async move { panic!("broken with {carried:?}") });
    tasks.close_and_wait(Duration::from_secs(5)).await;
    let logged = log.text();
    assert!(logged.contains("broken with"), "the panic was not logged");
    texts.push(("log", logged));
    assert_eq!(hits(&texts), Vec::<String>::new());

    // The hunter finds what is there to be found.
    let planted = format!("{:?}", std::env::args().chain([format!("{MARK}-planted")]));
    assert_eq!(hits(&[("planted", planted)]).len(), 1);
}

//! No secret shows in anything the services say, and the search would have found one.
//!
//! Each secret of both services is a canary, and everything they say is searched. Both run as in production,
//! with TLS, Redis users and callers who must sign in, and log all they can. They are asked well and badly, by
//! callers with right and wrong passwords and tokens, are given wrong secrets, and made to print what they can
//! print. Apps that show D365's token endpoint a certificate or a federated token are tried as well.

mod apps;
mod callers;

use apps::Apps;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use callers::Callers;
use d365_simulator::{Config, Handle, WorldConfig};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::{Launch, Program, Service};
use integration_tests::certificates::{Authority, CertificateFiles};
use integration_tests::connector_config::{ConfigFile, ConnectorConfig};
use integration_tests::eventually::{eventually, eventually_within};
use integration_tests::guarded_redis::GuardedRedis;
use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::json;
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

/// What every canary begins with; no other text holds it.
const MARK: &str = "k4n4ry";
const EVENT_KEY: &str = "k4n4ry-event-key-0123456789";
const WARM_UP: Duration = Duration::from_secs(30);
const BOTH: [Program; 2] = [Program::PrefetchWorker, Program::InventoryApi];

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_shows_anywhere() {
    let search = search_everything(false).await;
    assert_eq!(search.hits, Vec::<String>::new());
    let Search {
        texts,
        bytes,
        let_in,
        turned_away,
        ..
    } = search;
    assert!(texts > 500 && bytes > 1_000_000, "{texts} {bytes}");
    assert!(let_in >= 54 && turned_away >= 162, "{let_in} {turned_away}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_canary_is_found_in_each_kind_of_text() {
    let search = search_everything(true).await;
    for kind in ["reply of", "metrics of", "log of"] {
        let is_found = search.hits.iter().any(|hit| hit.starts_with(kind));
        assert!(is_found, "a canary in a {kind} a service was not found");
    }
}

/// What was searched and found.
#[derive(Default)]
struct Search {
    /// Where a secret was found, and around it what.
    hits: Vec<String>,
    texts: u64,
    bytes: usize,
    /// Questions of callers who were let in, and of others.
    let_in: u64,
    turned_away: u64,
    needles: Vec<String>,
}

impl Search {
    /// Looks for whatever holds the mark, as it is or in base64, and for these.
    fn with(secrets: Vec<String>) -> Self {
        // Three bytes become four characters, so a text looks different at each of three offsets.
        let encoded = (0..3).map(|offset| {
            let text = STANDARD.encode(format!("{}{MARK}", "x".repeat(offset)));
            // Characters that depend on what stands before or after are left out.
            text[if offset == 0 { 0 } else { 4 }..text.len() - 4].to_owned()
        });
        let mut needles: Vec<String> = encoded.chain(secrets).collect();
        // How every token begins.
        needles.extend([MARK, "eyJ", &Config::CLIENT_SECRET[..14]].map(str::to_owned));
        Self {
            needles,
            ..Self::default()
        }
    }

    fn look_at(&mut self, place: &str, text: &str) {
        self.texts += 1;
        self.bytes += text.len();
        for needle in &self.needles {
            if let Some(at) = text.find(needle.as_str()) {
                let begin = text.floor_char_boundary(at.saturating_sub(120));
                let end = text.ceil_char_boundary((at + 60).min(text.len()));
                self.hits
                    .push(format!("{place}: {needle:?} in …{}…", &text[begin..end]));
            }
        }
    }

    fn look_at_output(&mut self, place: &str, output: &Output) {
        for printed in [&output.stdout, &output.stderr] {
            self.look_at(place, &String::from_utf8_lossy(printed));
        }
    }
}

fn password_of(user: &str) -> String {
    format!("{MARK}-redis-{user}")
}

fn https(service: &Service) -> String {
    service.url().replacen("http:", "https:", 1)
}

/// Puts a canary between the lines of a text.
fn with_canary(text: &str, canary: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(lines.len() / 2, canary);
    lines.join("\n")
}

/// Searches everything. With `planted` a canary stands in a reply, among the metrics, and in the log of each
/// service.
async fn search_everything(planted: bool) -> Search {
    let bed = TestBed::start().await;
    let mut search = Search::with(bed.secrets());
    let mut services = [
        bed.service(BOTH[0], &[]).await,
        bed.service(BOTH[1], &[]).await,
    ];
    let [worker_url, api_url] = [https(&services[0]), https(&services[1])];
    eventually("a snapshot that the API knows", async || {
        let question = json!({ "warehouseId": "24", "skus": ["nothing"] });
        let text = bed.ask_as_known_caller(&api_url, &question).await;
        text.contains("ABSENT").then_some(())
    })
    .await
    .unwrap();
    let asked = questions(&api_url, &worker_url, planted);
    bed.ask_all(&mut search, &asked).await;
    for service in &services {
        let management = ApiClient::new(&service.management_url()).unwrap();
        for path in ["/health/ready", "/health/live", "/metrics"] {
            let mut text = management.fetch(path).await.unwrap().text;
            if planted && path == "/metrics" {
                // As a part of a header would stand there.
                let encoded = STANDARD.encode(format!("icm:{MARK}-planted"));
                text = with_canary(&text, &format!("planted{{caller=\"{encoded}\"}} 1"));
            }
            let kind = path.trim_start_matches('/');
            search.look_at(&format!("{kind} of {}", service.name()), &text);
        }
    }
    bed.look_at_redis(&mut search).await;
    for service in &mut services {
        service.stop().await.unwrap();
        let mut log = bed.log_of(service);
        if planted {
            let line = format!("{{\"level\":\"TRACE\",\"password\":\"{MARK}-planted\"}}");
            log = with_canary(&log, &line);
        }
        search.look_at(&format!("log of {}", service.name()), &log);
    }
    if !planted {
        bed.look_at_failures(&mut search).await;
        bed.look_at_apps(&mut search).await;
        bed.look_at_tools(&mut search);
    }
    search
}

/// Good and bad questions to both services.
fn questions(api: &str, worker: &str, planted: bool) -> Vec<(Method, String, String)> {
    let (stock, order) = (
        "/inventory/v1/inventories",
        "/inventory/v1/availability-checks",
    );
    let live = json!({ "warehouseId": "24", "severity": "EXACT", "skus": ["D0001"] }).to_string();
    let ordered = json!({ "warehouseId": "24", "products": [{ "sku": "D0001", "quantity": 1 }] });
    let ordered = ordered.to_string();
    let event = json!({ "id": "1", "subject": "on-hand",
        "data": { "LegalEntity": "USMF", "ItemNumber": "D0001" } });
    let event = event.to_string();
    let deep = "[".repeat(100);
    let events = "/inventoryPrefetcher/v1/events";
    let with_key = format!("{events}?code={EVENT_KEY}");
    let with_wrong_key = format!("{events}?code={MARK}-wrong-key-of-a-sender");
    let mut asked = vec![
        (Method::POST, api, stock, live.as_str()),
        (Method::POST, api, order, &ordered),
        (Method::POST, api, stock, "{"),
        (Method::POST, api, stock, &deep),
        (Method::POST, api, stock, "{\"skus\": 1}"),
        (Method::POST, api, order, "{\"products\": [{}]}"),
        (Method::DELETE, api, stock, ""),
        (
            Method::GET,
            api,
            "/inventory/v1/inventories?warehouseId=24&sku=%ff",
            "",
        ),
        (Method::GET, api, "/nothing", ""),
        (Method::GET, api, "/inventory/v1/limits", ""),
        (Method::GET, api, "/inventory/v1/drift", ""),
        (Method::GET, api, "/inventory/api", ""),
        (Method::GET, worker, "/inventoryPrefetcher/v1/status", ""),
        (
            Method::POST,
            worker,
            "/inventoryPrefetcher/v1/refreshes",
            "{",
        ),
        (Method::POST, worker, &with_key, &event),
        (Method::POST, worker, &with_wrong_key, &event),
        (Method::POST, worker, &with_key, "{"),
        // The key in the head.
        (Method::POST, worker, events, &event),
    ];
    let question = json!({ "organization": format!("{MARK}-planted"), "skus": ["A"] }).to_string();
    if planted {
        asked.push((Method::POST, api, stock, &question));
    }
    let asked = asked.into_iter();
    asked
        .map(|(method, service, path, body)| (method, format!("{service}{path}"), body.to_owned()))
        .collect()
}

struct TestBed {
    redis: GuardedRedis,
    _d365: Handle,
    callers: Callers,
    apps: Apps,
    config: ConfigFile,
    authority: Authority,
    files: CertificateFiles,
    folder: TempDir,
}

impl TestBed {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new().unwrap();
        let files = authority.sign_into(folder.path(), 7).unwrap();
        let redis = GuardedRedis::start(password_of).await.unwrap();
        let apps = Apps::new(folder.path());
        let mut d365 = Config {
            world: Some(WorldConfig {
                items: 30,
                ..WorldConfig::default()
            }),
            ..Config::default()
        };
        d365.apps.extend(apps.registered());
        let d365 = d365_simulator::start(d365).unwrap();
        let callers = Callers::new().await;
        let mut config = ConnectorConfig::new(&redis.url(), &d365.url(), vec!["24".to_owned()]);
        "2s".clone_into(&mut config.refresh_interval);
        config.open_to_all = false;
        config.more = format!(
            "[worker.events]\nsecret = \"{EVENT_KEY}\"\n{}",
            callers.sections()
        );
        Self {
            redis,
            _d365: d365,
            callers,
            apps,
            config: config.write().unwrap(),
            authority,
            files,
            folder,
        }
    }

    /// How a program is told its secrets.
    fn environment(&self, program: Program) -> Vec<(&'static str, String)> {
        let certificate = self.files.certificate.display().to_string();
        let key = self.files.key.display().to_string();
        vec![
            ("CONNECTOR__REDIS__USERNAME", program.name().to_owned()),
            ("CONNECTOR__REDIS__PASSWORD", password_of(program.name())),
            (
                "CONNECTOR__REDIS__CA_FILE",
                self.redis.ca_file().display().to_string(),
            ),
            ("CONNECTOR__API__TLS__CERTIFICATE_FILE", certificate.clone()),
            ("CONNECTOR__API__TLS__KEY_FILE", key.clone()),
            ("CONNECTOR__WORKER__TLS__CERTIFICATE_FILE", certificate),
            ("CONNECTOR__WORKER__TLS__KEY_FILE", key),
        ]
    }

    /// A service that logs all it can, with some settings of its own.
    async fn service(&self, program: Program, more: &[(&str, &str)]) -> Service {
        // All lines, from a file: memory keeps the last ones only.
        let mut launch = Launch::new(program, self.config.path())
            .unwrap()
            .with_arg("--log-filter=trace")
            .log_into(self.folder.path());
        for (name, value) in self.environment(program) {
            launch = launch.with_env(name, &value);
        }
        for (name, value) in more {
            launch = launch.with_env(name, value);
        }
        launch.start().await.unwrap()
    }

    fn log_of(&self, service: &Service) -> String {
        let path = self.folder.path().join(format!("{}.log", service.name()));
        std::fs::read_to_string(path).unwrap()
    }

    fn output(&self, program: Program, arguments: &[&str], more: &[(&str, &str)]) -> Output {
        Command::new(program.path().unwrap())
            .args(arguments)
            .arg("--log-filter=trace")
            .arg("--config")
            .arg(self.config.path())
            .envs(self.environment(program))
            .envs(more.iter().copied())
            .output()
            .unwrap()
    }

    fn client(&self) -> Client {
        Client::builder()
            .add_root_certificate(Certificate::from_pem(self.authority.pem().as_bytes()).unwrap())
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap()
    }

    /// Every secret that holds no mark.
    fn secrets(&self) -> Vec<String> {
        let mut secrets = self.callers.secrets();
        let tls_key = std::fs::read_to_string(&self.files.key).unwrap();
        // Of an EC key's file the first line and the beginning of the second are the same in all.
        secrets.extend(tls_key.lines().nth(1).map(|line| line[30..].to_owned()));
        secrets.extend(self.apps.secrets());
        secrets
    }

    /// The reply to a question about stock; empty if there is none.
    async fn ask_as_known_caller(&self, api: &str, question: &serde_json::Value) -> String {
        let (name, right) = self.callers.right();
        let request = self
            .client()
            .post(format!("{api}/inventory/v1/inventories"));
        match request.header(name, right).json(question).send().await {
            Ok(reply) => reply.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Every question by every caller. Those who should be let in must be, and no others: otherwise what the
    /// callers showed was not looked at, and the search proves nothing.
    async fn ask_all(&self, search: &mut Search, asked: &[(Method, String, String)]) {
        let client = self.client();
        for (method, url, body) in asked {
            for shown in &self.callers.shown {
                let request = client.request(method.clone(), url);
                let request = request.header("content-type", "application/json");
                let request = request.header(shown.name, &shown.value).body(body.clone());
                let reply = request.send().await.unwrap();
                let is_let_in = reply.status() != StatusCode::UNAUTHORIZED;
                let what = shown.what;
                // Events have a key of their own.
                let is_expected = is_let_in == shown.is_good || url.contains("/events");
                assert!(is_expected, "{what}: {} for {method} {url}", reply.status());
                search.let_in += u64::from(is_let_in);
                search.turned_away += u64::from(!is_let_in);
                let place = format!("reply of {method} to {what}");
                search.look_at(&place, &format!("{:?}", reply.headers()));
                search.look_at(&place, &reply.text().await.unwrap());
            }
        }
    }

    /// Everything that is stored: the services publish settings there.
    async fn look_at_redis(&self, search: &mut Search) {
        let mut admin = self.redis.admin().await.unwrap();
        let mut all = redis::cmd("KEYS");
        let keys: Vec<String> = all.arg("*").query_async(&mut admin).await.unwrap();
        for key in keys {
            let kind = redis::cmd("TYPE").arg(&key).query_async(&mut admin).await;
            let kind: String = kind.unwrap();
            let (read, range) = match kind.as_str() {
                "hash" => ("HGETALL", &[][..]),
                "string" => ("GET", &[][..]),
                "set" => ("SMEMBERS", &[][..]),
                "list" => ("LRANGE", &["0", "-1"][..]),
                "zset" => ("ZRANGE", &["0", "-1"][..]),
                other => panic!("{key} is a {other}"),
            };
            let mut command = redis::cmd(read);
            let answer = command.arg(&key).arg(range).query_async(&mut admin).await;
            let answer: redis::Value = answer.unwrap();
            search.look_at(&format!("Redis key {key}"), &format!("{answer:?}"));
        }
    }

    /// What is said when a secret is wrong.
    async fn look_at_failures(&self, search: &mut Search) {
        for settings in [
            ("CONNECTOR__REDIS__PASSWORD", "k4n4ry-wrong-password"),
            (
                "CONNECTOR__TENANTS__CONTOSO__ENTRA__CLIENT_SECRET",
                "k4n4ry-wrong-client-secret",
            ),
        ] {
            for program in BOTH {
                let mut service = self.service(program, &[settings]).await;
                if program == Program::InventoryApi {
                    let text = self
                        .ask_as_known_caller(&https(&service), &live_question())
                        .await;
                    search.look_at("reply with a wrong secret", &text);
                }
                let log = service.process().log().clone();
                eventually_within(WARM_UP, "a failure is logged", async || {
                    let levels = ["\"level\":\"WARN\"", "\"level\":\"ERROR\""];
                    let mut lines = log.lines().into_iter();
                    let is_logged =
                        lines.any(|line| levels.iter().any(|level| line.contains(level)));
                    is_logged.then_some(())
                })
                .await
                .unwrap();
                service.process().kill().unwrap();
                let log = self.log_of(&service);
                search.look_at(&format!("log of {program}, wrong {}", settings.0), &log);
            }
        }
    }

    /// What is said where D365's token is got with a certificate or a federated token, and where these
    /// are wrong. The right ones must be of use, or they were not sent.
    async fn look_at_apps(&self, search: &mut Search) {
        for (settings, is_right) in self.apps.of_prefetching() {
            let output = self.output(Program::PrefetchWorker, &["once"], &borrowed(&settings));
            search.look_at_output("once, with a certificate", &output);
            assert_eq!(output.status.success(), is_right, "once, {settings:?}");
        }
        for (settings, is_right) in self.apps.of_live_look_ups() {
            let mut api = self
                .service(Program::InventoryApi, &borrowed(&settings))
                .await;
            let text = self
                .ask_as_known_caller(&https(&api), &live_question())
                .await;
            api.stop().await.unwrap();
            search.look_at("live answer, with a federated token", &text);
            search.look_at("log of a federated token", &self.log_of(&api));
            assert_eq!(text.contains("\"LIVE\""), is_right, "{settings:?}: {text}");
        }
    }

    /// What the commands print, and what a mistake in the settings says.
    fn look_at_tools(&self, search: &mut Search) {
        for (program, arguments) in [
            (Program::InventoryApi, &["check"][..]),
            (Program::InventoryApi, &["openapi"]),
            (Program::PrefetchWorker, &["check"]),
            (Program::PrefetchWorker, &["--check"]),
            (Program::PrefetchWorker, &["once"]),
            (Program::PrefetchWorker, &["explain", "D0001"]),
        ] {
            let output = self.output(program, arguments, &[]);
            search.look_at_output(&format!("{program} {arguments:?}"), &output);
        }
        let with_user = "http://k4n4ry:k4n4ry@example.org";
        for mistake in [
            (
                "CONNECTOR__REDIS__URL",
                "redis://:k4n4ry-in-the-address@host:port",
            ),
            ("CONNECTOR__REDIS__URL", "k4n4ry"),
            ("CONNECTOR__API__TLS", "k4n4ry"),
            ("CONNECTOR__API__AUTH__BASIC", "k4n4ry"),
            ("CONNECTOR__API__AUTH__BASIC__0__PASSWORD_HASH", "k4n4ry"),
            ("CONNECTOR__API__AUTH__JWT__JWKS_URL", with_user),
            ("CONNECTOR__WORKER__EVENTS__SECRET", "k4n4ry"),
            ("CONNECTOR__TENANTS__CONTOSO__ENTRA__TOKEN_URL", with_user),
            ("CONNECTOR__TENANTS__CONTOSO__ENVIRONMENT_URL", "k4n4ry"),
            ("CONNECTOR__TENANTS__CONTOSO__ENTRA", "k4n4ry"),
        ] {
            for program in BOTH {
                let output = self.output(program, &["run"], &[mistake]);
                search.look_at_output(&format!("{program}, wrong {}", mistake.0), &output);
            }
        }
    }
}

fn live_question() -> serde_json::Value {
    json!({ "organization": "contoso", "warehouseId": "24", "severity": "EXACT", "skus": ["D0001"] })
}

fn borrowed<'s>(settings: &'s [(&'static str, String)]) -> Vec<(&'s str, &'s str)> {
    let borrowed = settings.iter().map(|(name, value)| (*name, value.as_str()));
    borrowed.collect()
}

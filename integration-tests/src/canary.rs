//! Hunts secrets: each secret of both services is a canary, and everything they say is searched.
//!
//! Both run as they would in production, with TLS, Redis users and callers who must show who they
//! are, and log all they can. Then they are asked well and badly, by callers with right and wrong
//! passwords and tokens, told wrong secrets, and made to print what they can print. Apps that show
//! D365's token endpoint a certificate or a federated token are tried as well.

mod apps;
mod callers;
mod panics;

use crate::api_client::ApiClient;
use crate::binaries::{Launch, Program, Service};
use crate::certificates::{Authority, CertificateFiles};
use crate::connector_config::{ConfigFile, ConnectorConfig};
use crate::eventually::{eventually, eventually_within};
use crate::guarded_redis::GuardedRedis;
use apps::Apps;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use callers::Callers;
use d365_simulator::{Config, Handle, WorldConfig};
use reqwest::{Certificate, Client, Method, StatusCode};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

/// What every canary begins with; no other text holds it.
const MARK: &str = "k4n4ry";
const WEBHOOK_KEY: &str = "k4n4ry-webhook-key-0123456789";
const WARM_UP: Duration = Duration::from_secs(30);
/// How the places begin in which a canary is planted: a kind of text each.
const PLANTED_IN: [&str; 3] = ["reply of", "metrics of", "log of"];

/// Why the hunt could not be held.
pub type HuntError = Box<dyn std::error::Error + Send + Sync>;

/// What was searched and found.
#[derive(Debug, Default)]
pub struct Hunt {
    /// Where a secret was found, and around it what.
    pub hits: Vec<String>,
    /// Texts that were searched.
    pub texts: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Questions of callers who were let in.
    pub let_in: u64,
    /// Questions of callers who were turned away.
    pub turned_away: u64,
    /// Panics whose words were searched.
    pub panics: u64,
    needles: Vec<String>,
}

impl Hunt {
    /// Looks for whatever holds the mark, as it is or in base64, and for these.
    fn for_all(secrets: Vec<String>) -> Self {
        // Three bytes become four characters, so a text looks different at each of three offsets.
        let encoded = (0..3).map(|offset| {
            let padded = format!("{}{MARK}", "x".repeat(offset));
            let text = STANDARD.encode(padded);
            // Characters that depend on what stands before or after are left out.
            text[if offset == 0 { 0 } else { 4 }..text.len() - 4].to_owned()
        });
        let mut needles: Vec<String> = encoded.collect();
        needles.extend([
            MARK.to_owned(),
            Config::CLIENT_SECRET.to_owned(),
            Config::CLIENT_SECRET.chars().take(14).collect(),
            // How every token begins.
            "eyJ".to_owned(),
        ]);
        needles.extend(secrets);
        Self {
            needles,
            ..Self::default()
        }
    }

    fn search(&mut self, place: &str, text: &str) {
        self.texts += 1;
        self.bytes += text.len() as u64;
        for needle in &self.needles {
            if let Some(at) = text.find(needle.as_str()) {
                let begin = text.floor_char_boundary(at.saturating_sub(120));
                let end = text.ceil_char_boundary((at + 60).min(text.len()));
                self.hits
                    .push(format!("{place}: {needle:?} in …{}…", &text[begin..end]));
            }
        }
    }

    /// Complains unless each kind of text that holds a planted canary was seen to hold one.
    fn check_planted(&self) -> Result<(), HuntError> {
        for kind in PLANTED_IN {
            if !self.hits.iter().any(|hit| hit.starts_with(kind)) {
                return Err(format!("a canary in a {kind} a service was not found").into());
            }
        }
        Ok(())
    }

    fn search_output(&mut self, place: &str, output: &Output) {
        self.search(place, &String::from_utf8_lossy(&output.stdout));
        self.search(place, &String::from_utf8_lossy(&output.stderr));
    }
}

struct Scene {
    redis: GuardedRedis,
    _d365: Handle,
    callers: Callers,
    apps: Apps,
    config: ConfigFile,
    authority: Authority,
    files: CertificateFiles,
    folder: TempDir,
}

fn password_of(user: &str) -> String {
    format!("{MARK}-redis-{user}")
}

impl Scene {
    async fn set() -> Result<Self, HuntError> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new()?;
        let files = authority.sign_into(folder.path(), 7)?;
        let redis = GuardedRedis::start(password_of).await?;
        let world = WorldConfig {
            items: 30,
            ..WorldConfig::default()
        };
        let apps = Apps::new(folder.path())?;
        let mut d365 = Config {
            world: Some(world),
            ..Config::default()
        };
        d365.apps.extend(apps.registered());
        let d365 = d365_simulator::start(d365)?;
        let callers = Callers::new().await?;
        let mut config = ConnectorConfig::new(&redis.url(), &d365.url(), vec!["24".to_owned()]);
        "2s".clone_into(&mut config.refresh_interval);
        config.open_door = false;
        config.more = format!(
            "[worker.events]\nsecret = \"{WEBHOOK_KEY}\"\n{}",
            callers.sections()
        );
        Ok(Self {
            redis,
            _d365: d365,
            callers,
            apps,
            config: config.write()?,
            authority,
            files,
            folder,
        })
    }

    /// How a program is told its secrets.
    fn environment(&self, program: Program) -> Vec<(&'static str, String)> {
        let path = |path: &PathBuf| path.display().to_string();
        vec![
            ("CONNECTOR__REDIS__USERNAME", program.name().to_owned()),
            ("CONNECTOR__REDIS__PASSWORD", password_of(program.name())),
            (
                "CONNECTOR__REDIS__CA_FILE",
                self.redis.ca_file().display().to_string(),
            ),
            ("CONNECTOR__REDIS__CONNECT_TIMEOUT", "5s".to_owned()),
            (
                "CONNECTOR__API__TLS__CERTIFICATE_FILE",
                path(&self.files.certificate),
            ),
            ("CONNECTOR__API__TLS__KEY_FILE", path(&self.files.key)),
            (
                "CONNECTOR__WORKER__TLS__CERTIFICATE_FILE",
                path(&self.files.certificate),
            ),
            ("CONNECTOR__WORKER__TLS__KEY_FILE", path(&self.files.key)),
        ]
    }

    /// A service that logs all it can, with some settings of its own.
    async fn service(&self, program: Program, more: &[(&str, &str)]) -> Result<Service, HuntError> {
        Ok(self.launch(program, more)?.start().await?)
    }

    fn launch(&self, program: Program, more: &[(&str, &str)]) -> Result<Launch, HuntError> {
        // All lines, from a file: memory keeps the last ones only.
        let mut launch = Launch::new(program, self.config.path())?
            .with_arg("--log-filter=trace")
            .log_into(self.folder.path());
        for (name, value) in self.environment(program) {
            launch = launch.with_env(name, &value);
        }
        for (name, value) in more {
            launch = launch.with_env(name, value);
        }
        Ok(launch)
    }

    fn log_of(&self, service: &Service) -> Result<String, HuntError> {
        let path = self.folder.path().join(format!("{}.log", service.name()));
        Ok(std::fs::read_to_string(path)?)
    }

    fn output(
        &self,
        program: Program,
        arguments: &[&str],
        more: &[(&str, &str)],
    ) -> Result<Output, HuntError> {
        let mut command = Command::new(program.path()?);
        command
            .args(arguments)
            .arg("--log-filter=trace")
            .arg("--config")
            .arg(self.config.path())
            .envs(self.environment(program))
            .envs(more.iter().copied());
        Ok(command.output()?)
    }

    /// What makes requests.
    fn caller(&self) -> Result<Client, HuntError> {
        Ok(Client::builder()
            .add_root_certificate(Certificate::from_pem(self.authority.pem().as_bytes())?)
            .timeout(Duration::from_secs(10))
            .build()?)
    }

    /// Every secret that holds no mark.
    fn needles(&self) -> Result<Vec<String>, HuntError> {
        let mut needles = self.callers.needles();
        let tls_key = std::fs::read_to_string(&self.files.key)?;
        // Of an EC key's file the first line and the beginning of the second are the same in all.
        needles.extend(tls_key.lines().nth(1).map(|line| line[30..].to_owned()));
        needles.extend(self.apps.needles());
        Ok(needles)
    }
}

fn https(service: &Service) -> String {
    service.url().replacen("http:", "https:", 1)
}

/// Puts a canary between the lines of a text, behind the middle one.
fn with_canary(text: &str, canary: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.insert(lines.len() / 2, canary);
    lines.join("\n")
}

/// Searches everything. With `planted` one reply holds a canary that a caller sent, and so does a line
/// among the metrics and one in the log of each service: the hunter must find one of each kind. With a
/// folder of services that can be made to panic, what they say of it is searched as well.
pub async fn hunt(planted: bool, breakable: Option<&Path>) -> Result<Hunt, HuntError> {
    let scene = Scene::set().await?;
    let mut hunt = Hunt::for_all(scene.needles()?);
    let mut worker = scene.service(Program::PrefetchWorker, &[]).await?;
    let mut api = scene.service(Program::InventoryApi, &[]).await?;
    let (worker_url, api_url) = (https(&worker), https(&api));
    let caller = scene.caller()?;
    let (name, right) = scene.callers.right();
    eventually("a snapshot that the API knows", async || {
        let question = json!({ "warehouseId": "24", "skus": ["nothing"] });
        let request = caller.post(format!("{api_url}/inventory/v1/inventories"));
        let request = request.header(name, right).json(&question);
        let text = request.send().await.ok()?.text().await.ok()?;
        text.contains("ABSENT").then_some(())
    })
    .await?;
    let asked = questions(&api_url, &worker_url, planted);
    ask_all(&scene, &mut hunt, &asked).await?;
    for service in [&worker, &api] {
        let management = ApiClient::new(&service.management_url())?;
        for path in ["/health/ready", "/health/live"] {
            let place = format!("{} {path}", service.name());
            hunt.search(&place, &management.fetch(path).await?.text);
        }
        let mut metrics = management.fetch("/metrics").await?.text;
        if planted {
            // As a part of a header would stand there.
            let encoded = STANDARD.encode(format!("icm:{MARK}-planted"));
            let series = format!("inventory_planted{{caller=\"{encoded}\"}} 1");
            metrics = with_canary(&metrics, &series);
        }
        hunt.search(&format!("metrics of {}", service.name()), &metrics);
    }
    search_redis(&scene, &mut hunt).await?;
    for service in [&mut worker, &mut api] {
        service.stop().await?;
        let mut log = scene.log_of(service)?;
        if planted {
            let line = format!("{{\"level\":\"TRACE\",\"password\":\"{MARK}-planted\"}}");
            log = with_canary(&log, &line);
        }
        hunt.search(&format!("log of {}", service.name()), &log);
    }
    if planted {
        hunt.check_planted()?;
    }
    search_failures(&scene, &mut hunt).await?;
    search_apps(&scene, &mut hunt).await?;
    search_tools(&scene, &mut hunt)?;
    if let Some(breakable) = breakable {
        panics::search(&scene, &mut hunt, breakable).await?;
    }
    Ok(hunt)
}

/// Every question by every caller. Who should be let in must be, and nobody else: otherwise what the
/// callers showed was not looked at, and the search proves nothing.
async fn ask_all(
    scene: &Scene,
    hunt: &mut Hunt,
    asked: &[(Method, String, String)],
) -> Result<(), HuntError> {
    let caller = scene.caller()?;
    for (method, url, body) in asked {
        for shown in &scene.callers.shown {
            let reply = caller
                .request(method.clone(), url)
                .header("content-type", "application/json")
                .header(shown.name, &shown.value)
                .body(body.clone())
                .send()
                .await?;
            let is_let_in = reply.status() != StatusCode::UNAUTHORIZED;
            // Events have a key of their own.
            if is_let_in != shown.is_good && !url.contains("/events") {
                let what = shown.what;
                return Err(format!("{what}: {} for {method} {url}", reply.status()).into());
            }
            *(if is_let_in {
                &mut hunt.let_in
            } else {
                &mut hunt.turned_away
            }) += 1;
            let place = format!("reply of {method} to {}", shown.what);
            hunt.search(&place, &format!("{:?}", reply.headers()));
            hunt.search(&place, &reply.text().await?);
        }
    }
    Ok(())
}

/// Good and bad questions to both services.
fn questions(api: &str, worker: &str, planted: bool) -> Vec<(Method, String, String)> {
    let stock = format!("{api}/inventory/v1/inventories");
    let order = format!("{api}/inventory/v1/availability-checks");
    let live = json!({ "warehouseId": "24", "severity": "EXACT", "skus": ["D0001"] });
    let ordered = json!({ "warehouseId": "24", "products": [{ "sku": "D0001", "quantity": 1 }] });
    let event = json!({ "id": "1", "subject": "on-hand",
        "data": { "LegalEntity": "USMF", "ItemNumber": "D0001" } });
    let events = format!("{worker}/inventoryPrefetcher/v1/events");
    let mut asked = vec![
        (Method::POST, stock.clone(), live.to_string()),
        (Method::POST, order.clone(), ordered.to_string()),
        (Method::POST, stock.clone(), "{".to_owned()),
        (Method::POST, stock.clone(), "[".repeat(100)),
        (Method::POST, stock.clone(), "{\"skus\": 1}".to_owned()),
        (Method::POST, order, "{\"products\": [{}]}".to_owned()),
        (Method::DELETE, stock.clone(), String::new()),
        (
            Method::GET,
            format!("{stock}?warehouseId=24&sku=%ff"),
            String::new(),
        ),
        (Method::GET, format!("{api}/nothing"), String::new()),
        (
            Method::GET,
            format!("{api}/inventory/v1/limits"),
            String::new(),
        ),
        (
            Method::GET,
            format!("{api}/inventory/v1/drift"),
            String::new(),
        ),
        (Method::GET, format!("{api}/inventory/api"), String::new()),
        (
            Method::GET,
            format!("{worker}/inventoryPrefetcher/v1/status"),
            String::new(),
        ),
        (
            Method::POST,
            format!("{worker}/inventoryPrefetcher/v1/refreshes"),
            "{".to_owned(),
        ),
        (
            Method::POST,
            format!("{events}?code={WEBHOOK_KEY}"),
            event.to_string(),
        ),
        (
            Method::POST,
            format!("{events}?code={MARK}-wrong-key-of-a-sender"),
            event.to_string(),
        ),
        (
            Method::POST,
            format!("{events}?code={WEBHOOK_KEY}"),
            "{".to_owned(),
        ),
        // The key in the head.
        (Method::POST, events, event.to_string()),
    ];
    if planted {
        let question = json!({ "organization": format!("{MARK}-planted"), "skus": ["A"] });
        asked.push((Method::POST, stock, question.to_string()));
    }
    asked
}

/// Everything that is stored: the services publish settings there.
async fn search_redis(scene: &Scene, hunt: &mut Hunt) -> Result<(), HuntError> {
    let mut admin = scene.redis.admin().await?;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut admin).await?;
    for key in keys {
        let mut answer = Err(redis::RedisError::from((
            redis::ErrorKind::UnexpectedReturnType,
            "nothing read yet",
        )));
        for read in [
            vec!["HGETALL"],
            vec!["GET"],
            vec!["SMEMBERS"],
            vec!["LRANGE", "0", "-1"],
            vec!["ZRANGE", "0", "-1"],
        ] {
            let mut command = redis::cmd(read[0]);
            command.arg(&key).arg(&read[1..]);
            answer = command.query_async::<redis::Value>(&mut admin).await;
            if answer.is_ok() {
                break;
            }
        }
        hunt.search(&format!("Redis key {key}"), &format!("{:?}", answer?));
    }
    Ok(())
}

/// What is said when a secret is wrong.
async fn search_failures(scene: &Scene, hunt: &mut Hunt) -> Result<(), HuntError> {
    let wrong_password = [("CONNECTOR__REDIS__PASSWORD", "k4n4ry-wrong-password")];
    let wrong_secret = [(
        "CONNECTOR__TENANTS__CONTOSO__ENTRA__CLIENT_SECRET",
        "k4n4ry-wrong-client-secret",
    )];
    for (what, settings) in [("password", &wrong_password), ("secret", &wrong_secret)] {
        for program in [Program::PrefetchWorker, Program::InventoryApi] {
            let mut service = scene.service(program, settings).await?;
            if program == Program::InventoryApi {
                let url = format!("{}/inventory/v1/inventories", https(&service));
                let live = json!({ "organization": "contoso", "warehouseId": "24",
                    "severity": "EXACT", "skus": ["D0001"] });
                let (name, right) = scene.callers.right();
                let request = scene.caller()?.post(url).header(name, right);
                let reply = request.json(&live).send().await?;
                hunt.search("reply with a wrong secret", &reply.text().await?);
            }
            let log = service.process().log().clone();
            eventually_within(WARM_UP, "a failure is told", async || {
                let told = log.lines().iter().any(|line| {
                    line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\"")
                });
                told.then_some(())
            })
            .await?;
            service.process().kill()?;
            let text = scene.log_of(&service)?;
            hunt.search(&format!("log of {program}, wrong {what}"), &text);
        }
    }
    Ok(())
}

/// What is said where D365's token is got with a certificate or a federated token, and where these
/// are wrong. The right ones must be of use, or they were not sent.
async fn search_apps(scene: &Scene, hunt: &mut Hunt) -> Result<(), HuntError> {
    for (settings, is_right) in scene.apps.of_prefetching() {
        let output = scene.output(Program::PrefetchWorker, &["once"], &borrowed(&settings))?;
        hunt.search_output("once, with a certificate", &output);
        if output.status.success() != is_right {
            return Err(format!("once, {settings:?}: {}", output.status).into());
        }
    }
    for (settings, is_right) in scene.apps.of_live_look_ups() {
        let mut api = scene
            .service(Program::InventoryApi, &borrowed(&settings))
            .await?;
        let live = json!({ "organization": "contoso", "warehouseId": "24",
            "severity": "EXACT", "skus": ["D0001"] });
        let (name, right) = scene.callers.right();
        let url = format!("{}/inventory/v1/inventories", https(&api));
        let request = scene.caller()?.post(url).header(name, right);
        let text = request.json(&live).send().await?.text().await?;
        api.stop().await?;
        hunt.search("live answer, with a federated token", &text);
        hunt.search("log of a federated token", &scene.log_of(&api)?);
        if text.contains("\"LIVE\"") != is_right {
            return Err(format!("live answer, {settings:?}: {text}").into());
        }
    }
    Ok(())
}

fn borrowed<'s>(settings: &'s [(&'static str, String)]) -> Vec<(&'s str, &'s str)> {
    let borrowed = settings.iter().map(|(name, value)| (*name, value.as_str()));
    borrowed.collect()
}

/// What the commands print, and what a mistake in the settings says.
fn search_tools(scene: &Scene, hunt: &mut Hunt) -> Result<(), HuntError> {
    for (program, arguments) in [
        (Program::InventoryApi, vec!["check"]),
        (Program::InventoryApi, vec!["openapi"]),
        (Program::PrefetchWorker, vec!["check"]),
        (Program::PrefetchWorker, vec!["--check"]),
        (Program::PrefetchWorker, vec!["once"]),
        (Program::PrefetchWorker, vec!["explain", "D0001"]),
    ] {
        let output = scene.output(program, &arguments, &[])?;
        hunt.search_output(&format!("{program} {arguments:?}"), &output);
    }
    for mistake in [
        (
            "CONNECTOR__REDIS__URL",
            "redis://:k4n4ry-in-the-address@host:port",
        ),
        ("CONNECTOR__REDIS__URL", "k4n4ry"),
        ("CONNECTOR__API__TLS", "k4n4ry"),
        ("CONNECTOR__API__AUTH__BASIC", "k4n4ry"),
        ("CONNECTOR__API__AUTH__BASIC__0__PASSWORD_HASH", "k4n4ry"),
        (
            "CONNECTOR__API__AUTH__JWT__JWKS_URL",
            "http://k4n4ry:k4n4ry@example.org",
        ),
        ("CONNECTOR__WORKER__EVENTS__SECRET", "k4n4ry"),
        (
            "CONNECTOR__TENANTS__CONTOSO__ENTRA__TOKEN_URL",
            "http://k4n4ry:k4n4ry@example.org",
        ),
        ("CONNECTOR__TENANTS__CONTOSO__ENVIRONMENT_URL", "k4n4ry"),
        ("CONNECTOR__TENANTS__CONTOSO__ENTRA", "k4n4ry"),
    ] {
        for program in [Program::InventoryApi, Program::PrefetchWorker] {
            let output = scene.output(program, &["run"], &[mistake])?;
            hunt.search_output(&format!("{program}, wrong {}", mistake.0), &output);
        }
    }
    Ok(())
}

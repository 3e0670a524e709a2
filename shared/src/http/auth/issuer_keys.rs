//! The issuer's keys, kept fresh by one task.
//!
//! The task looks at start, on its interval, and when a token names an unknown key: that at most once in five
//! minutes, however many such tokens come, and however many callers give up meanwhile. The known keys serve
//! while the issuer is away.

use super::metrics;
use super::tokens::Keys;
use crate::d365::body::{NotWhole, network_cause, whole_body};
use crate::process::clock::Clock;
use crate::settings::{JwtAlgorithm, JwtSettings, read_file};
use arc_swap::ArcSwapOption;
use reqwest::Client;
use reqwest::header::ACCEPT;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use url::Url;

/// Time between two looks at the keys.
const REFRESH: Duration = Duration::from_mins(15);
/// Longest time for one look, connecting included.
const TIME_LIMIT: Duration = Duration::from_secs(3);
/// Longest time a caller with an unknown key waits for a look; the look itself goes on.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// Largest document; real ones have 1 to 20 kB.
const LARGEST_DOCUMENT: usize = 256 * 1024;
/// Unknown keys lead to one look in such a time.
const FOR_UNKNOWN_EVERY: Duration = Duration::from_mins(5);
/// Wait after a failed look while no key is known, and while earlier ones serve.
const WITHOUT_KEYS: Duration = Duration::from_secs(10);
const WITH_OLD_KEYS: Duration = Duration::from_mins(5);

/// Where the document is.
#[derive(Debug)]
enum Source {
    Address(Client, Url),
    File(PathBuf),
}

/// A set of keys and its number: another one each time the keys change.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) keys: Keys,
    pub(super) generation: u64,
}

/// Looks because of unknown keys.
#[derive(Debug, Default)]
struct ForUnknown {
    last: Option<Duration>,
    is_under_way: bool,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    source: Source,
    algorithm: JwtAlgorithm,
    known: ArcSwapOption<Known>,
    for_unknown: Mutex<ForUnknown>,
    look_now: Notify,
    /// Looks that have ended.
    looks: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
}

impl IssuerKeys {
    /// Knows nothing yet; [`IssuerKeys::keep_fresh`] changes that.
    pub(super) fn new(settings: &JwtSettings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let source = match (&settings.jwks_url, &settings.jwks_file) {
            (Some(url), _) => Source::Address(http_client(settings)?, url.clone()),
            (None, Some(path)) => Source::File(path.clone()),
            (None, None) => return Err("neither jwks_url nor jwks_file is set".to_owned()),
        };
        Ok(Self {
            source,
            algorithm: settings.algorithm,
            known: ArcSwapOption::empty(),
            for_unknown: Mutex::default(),
            look_now: Notify::new(),
            looks: watch::Sender::new(0),
            clock,
        })
    }

    /// The keys; none before the first good look.
    pub(super) fn known(&self) -> Option<Arc<Known>> {
        self.known.load_full()
    }

    /// Waits until a first look has ended, well or not.
    pub(super) async fn looked_once(&self) {
        // The sender lives as long as this does.
        let _ = self.looks.subscribe().wait_for(|looks| *looks > 0).await;
    }

    /// Has the issuer asked because of an unknown key, if that is allowed now, and waits for what comes of it.
    pub(super) async fn look_for_unknown(&self) {
        let mut looks = self.looks.subscribe();
        if self.may_look_for_unknown() {
            // Whatever came of it shows in the keys.
            let _ = tokio::time::timeout(LONGEST_WAIT, looks.changed()).await;
        }
    }

    fn may_look_for_unknown(&self) -> bool {
        let now = self.clock.monotonic();
        let mut for_unknown = self.lock();
        if !for_unknown.is_under_way {
            let since = for_unknown.last.map(|last| now.saturating_sub(last));
            if since.is_some_and(|since| since < FOR_UNKNOWN_EVERY) {
                return false;
            }
            *for_unknown = ForUnknown {
                last: Some(now),
                is_under_way: true,
            };
            self.look_now.notify_one();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, ForUnknown> {
        self.for_unknown
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks until `stop`.
    pub(super) async fn keep_fresh(&self, stop: CancellationToken) {
        loop {
            let has_keys = self.look().await;
            let pause = match (has_keys, self.known.load().is_some()) {
                (true, _) => REFRESH,
                (false, true) => WITH_OLD_KEYS,
                (false, false) => WITHOUT_KEYS,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.look_now.notified() => {}
            }
        }
    }

    async fn look(&self) -> bool {
        let document = tokio::time::timeout(TIME_LIMIT, self.document())
            .await
            .unwrap_or_else(|_| Err("there was no answer in time".to_owned()));
        let keys = document.and_then(|document| Keys::read(&document, self.algorithm));
        let is_good = keys.as_ref().is_ok_and(|keys| !keys.is_empty());
        match keys {
            Ok(keys) => self.note(keys),
            Err(problem) => {
                let old_keys_serve = self.known.load().is_some();
                tracing::warn!(%problem, old_keys_serve, "the token issuer's keys could not be read");
            }
        }
        metrics::key_look(if is_good { "ok" } else { "failed" });
        self.lock().is_under_way = false;
        self.looks.send_modify(|looks| *looks += 1);
        is_good
    }

    fn note(&self, keys: Keys) {
        let before = self.known.load();
        if before.as_ref().is_some_and(|before| before.keys == keys) {
            return;
        }
        if keys.is_empty() {
            tracing::error!(
                algorithm = ?self.algorithm,
                "the token issuer lists no key for this algorithm any more: no token is accepted"
            );
        }
        let generation = before.as_ref().map_or(1, |before| before.generation + 1);
        tracing::info!(ids = ?keys, "the token issuer's keys were read");
        self.known.store(Some(Arc::new(Known { keys, generation })));
    }

    async fn document(&self) -> Result<Vec<u8>, String> {
        match &self.source {
            Source::Address(http, url) => download(http, url).await,
            Source::File(path) => {
                let file = path.clone();
                let document = tokio::task::spawn_blocking(move || read_file(&file)).await;
                let document = document.unwrap_or_else(|ending| Err(ending.into()));
                document.map_err(|cause| format!("{}: {cause}", path.display()))
            }
        }
    }
}

/// No redirects: the address is where the keys are, or they are not believed.
fn http_client(settings: &JwtSettings) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("inventory-connector/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(TIME_LIMIT);
    if let Some(file) = &settings.ca_file {
        let problem = |cause: String| format!("ca_file {}: {cause}", file.display());
        let pem = read_file(file).map_err(|cause| problem(cause.to_string()))?;
        let authorities = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|cause| problem(cause.to_string()))?;
        builder = builder.tls_certs_only(authorities);
    }
    builder
        .build()
        .map_err(|cause| format!("the HTTP client: {cause}"))
}

async fn download(http: &Client, url: &Url) -> Result<Vec<u8>, String> {
    let request = http.get(url.clone()).header(ACCEPT, "application/json");
    let answer = request.send().await.map_err(network_cause)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("the answer has status {}", answer.status()));
    }
    whole_body(answer, LARGEST_DOCUMENT, TIME_LIMIT)
        .await
        .map_err(|problem| match problem {
            NotWhole::TooLarge => {
                format!("the answer is larger than {LARGEST_DOCUMENT} bytes")
            }
            NotWhole::Silent => format!("nothing came for {TIME_LIMIT:?}"),
            NotWhole::Broken(cause) => cause,
        })
}

#[cfg(test)]
mod tests;

//! Credentials of a request -> the caller.

use super::caller::Caller;
use super::credential_cache::{CredentialCache, OfToken};
use super::issuer_keys::IssuerKeys;
use super::metrics;
use super::passwords::Passwords;
use super::refused::Refused;
use super::tokens::{TokenProblem, TokenRules};
use crate::http::caller_key::CallerKey;
use crate::http::rate_limiter::{RateLimiter, TooOften};
use crate::process::clock::Clock;
use crate::settings::AuthSettings;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest `Authorization` header, in bytes: the longest token, or a pair beyond reason.
const LONGEST_HEADER: usize = 9 * 1024;
/// Wrong passwords of one address: a guesser's pace, and enough for a caller with an old password,
/// who may sign in half a second after it was put right.
pub const WRONG_PER_SECOND: u32 = 2;
/// Of them at once, after half a minute without one.
pub const WRONG_AT_ONCE: u32 = 60;
/// Longest wait for the issuer's keys at start.
const FIRST_KEYS: Duration = Duration::from_secs(4);
/// How often a service that lets everybody in says so.
const WARN_EVERY: Duration = Duration::from_mins(1);

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("setting api.auth: {0}")]
pub struct AuthSetupError(String);

/// Who may call.
#[derive(Debug)]
pub struct Authenticator(Mode);

#[derive(Debug)]
enum Mode {
    Open(Arc<Caller>),
    Checked(Box<Checked>),
}

#[derive(Debug)]
struct Checked {
    passwords: Option<Passwords>,
    tokens: Option<Tokens>,
    cache: CredentialCache,
    wrong_passwords: RateLimiter,
    clock: Arc<dyn Clock>,
    challenges: Vec<HeaderValue>,
}

/// Tokens of one issuer.
#[derive(Debug)]
struct Tokens {
    rules: TokenRules,
    keys: IssuerKeys,
}

impl Authenticator {
    /// By these settings. `clock` times what is remembered; tokens are judged by the wall clock.
    pub fn new(settings: &AuthSettings, clock: &Arc<dyn Clock>) -> Result<Self, AuthSetupError> {
        if settings.insecure_no_authentication {
            return Ok(Self(Mode::Open(Arc::new(Caller::everybody()))));
        }
        let mut challenges = Vec::new();
        let tokens = match &settings.jwt {
            None => None,
            Some(jwt) => {
                challenges.push(HeaderValue::from_static(r#"Bearer realm="inventory""#));
                let keys = IssuerKeys::new(jwt, Arc::clone(clock)).map_err(AuthSetupError)?;
                let rules = TokenRules::of(jwt);
                Some(Tokens { rules, keys })
            }
        };
        let passwords = Passwords::of(&settings.basic).map_err(AuthSetupError)?;
        if passwords.is_some() {
            let challenge = r#"Basic realm="inventory", charset="UTF-8""#;
            challenges.push(HeaderValue::from_static(challenge));
        }
        Ok(Self(Mode::Checked(Box::new(Checked {
            passwords,
            tokens,
            cache: CredentialCache::new(Arc::clone(clock)).map_err(AuthSetupError)?,
            wrong_passwords: RateLimiter::new(WRONG_PER_SECOND, WRONG_AT_ONCE),
            clock: Arc::clone(clock),
            challenges,
        }))))
    }

    fn keys(&self) -> Option<&IssuerKeys> {
        match &self.0 {
            Mode::Open(_) => None,
            Mode::Checked(checked) => checked.tokens.as_ref().map(|tokens| &tokens.keys),
        }
    }

    /// Background work until `stop`: keeps the issuer's keys fresh, or says again every minute
    /// that everybody is let in.
    pub async fn run(&self, stop: CancellationToken) {
        if matches!(self.0, Mode::Open(_)) {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(WARN_EVERY) => warn_of_open(),
                }
            }
        } else if let Some(keys) = self.keys() {
            keys.keep_fresh(stop).await;
        }
    }

    /// What comes before the first caller: says that everybody is let in, or waits for the first look at the
    /// issuer's keys, a few seconds at most. A process that has not looked yet would turn good tokens
    /// away. [`Authenticator::run`] must be running.
    pub async fn settled(&self) {
        if matches!(self.0, Mode::Open(_)) {
            warn_of_open();
        } else if let Some(keys) = self.keys() {
            // Without keys tokens are refused, with the reason, until there are some.
            let _ = tokio::time::timeout(FIRST_KEYS, keys.looked_once()).await;
        }
    }

    /// The caller these headers name; they came from this address.
    pub async fn caller(
        &self,
        headers: &HeaderMap,
        address: &CallerKey,
    ) -> Result<Arc<Caller>, Refused> {
        match &self.0 {
            Mode::Open(caller) => Ok(Arc::clone(caller)),
            Mode::Checked(checked) => {
                let caller = checked.caller(headers, address).await;
                if let Err(refused) = &caller {
                    metrics::refused(*refused);
                }
                caller
            }
        }
    }

    /// What is taken here, as a refusal tells it.
    pub(super) fn challenges(&self) -> &[HeaderValue] {
        match &self.0 {
            Mode::Open(_) => &[],
            Mode::Checked(checked) => &checked.challenges,
        }
    }
}

impl Checked {
    async fn caller(
        &self,
        headers: &HeaderMap,
        address: &CallerKey,
    ) -> Result<Arc<Caller>, Refused> {
        let mut shown = headers.get_all(AUTHORIZATION);
        let header = match (shown.next(), shown.next()) {
            (Some(only), None) if only.len() <= LONGEST_HEADER => only.as_bytes(),
            _ => return Err(Refused::NoCredentials),
        };
        let keys = self.tokens.as_ref().and_then(|tokens| tokens.keys.known());
        let generation = keys.map(|keys| keys.generation);
        if let Some(caller) = self.cache.caller(header, generation) {
            metrics::accepted("remembered");
            return Ok(caller);
        }
        let space = header.iter().position(|byte| *byte == b' ');
        let (scheme, credentials) = header.split_at(space.ok_or(Refused::NoCredentials)?);
        let credentials = credentials.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"bearer")
            && let Some(tokens) = &self.tokens
        {
            let (caller, token) = tokens.caller(credentials).await?;
            self.cache.note(header, &caller, Some(token));
            metrics::accepted("token");
            return Ok(caller);
        }
        if scheme.eq_ignore_ascii_case(b"basic")
            && let Some(passwords) = &self.passwords
        {
            let caller = self.with_password(passwords, credentials, address).await?;
            self.cache.note(header, &caller, None);
            metrics::accepted("password");
            return Ok(caller);
        }
        Err(Refused::WrongScheme)
    }

    /// Wrong tokens are not counted: looking at one costs less than the reply.
    async fn with_password(
        &self,
        passwords: &Passwords,
        credentials: &[u8],
        address: &CallerKey,
    ) -> Result<Arc<Caller>, Refused> {
        // Taken before it is known to be wrong, so that many at once, or callers who do not wait for
        // the answer, are counted too.
        self.wrong_passwords
            .take(address.clone(), self.clock.monotonic())
            .map_err(|TooOften(wait)| Refused::TooOften(wait.as_secs() + 1))?;
        let caller = passwords.caller(credentials).await;
        if !matches!(caller, Err(Refused::WrongPassword)) {
            self.wrong_passwords.give_back(address);
        }
        caller
    }
}

impl Tokens {
    /// Checks what stands after `Bearer `. The keys are looked for once if the token's is not among them.
    async fn caller(&self, token: &[u8]) -> Result<(Arc<Caller>, OfToken), Refused> {
        let mut known = self.keys.known().ok_or(Refused::KeysUnknown)?;
        let mut accepted = self.rules.caller(token, &known.keys);
        if accepted == Err(TokenProblem::UnknownKey) {
            self.keys.look_for_unknown().await;
            let generation = known.generation;
            known = self.keys.known().ok_or(Refused::KeysUnknown)?;
            if known.generation != generation {
                accepted = self.rules.caller(token, &known.keys);
            }
        }
        let accepted = accepted?;
        let token = OfToken {
            good_for: accepted.good_for,
            generation: known.generation,
        };
        Ok((Arc::new(accepted.caller), token))
    }
}

fn warn_of_open() {
    tracing::warn!(
        setting = "api.auth.insecure_no_authentication",
        "callers are not authenticated: everybody who reaches this listener may do everything"
    );
}

//! Credentials of a request -> the caller.

use super::basic::Basic;
use super::bearer::Bearer;
use super::caller::Caller;
use super::refused::Refused;
use super::remembered::{LONGEST, Remembered};
use super::{metrics, open_door};
use crate::http::allowance::{Allowance, TooOften};
use crate::http::caller_key::CallerKey;
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
/// Of them at once, after a rest of half a minute.
pub const WRONG_AT_ONCE: u32 = 60;
/// Longest wait for the issuer's keys at start.
const FIRST_KEYS: Duration = Duration::from_secs(4);

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("setting api.auth: {0}")]
pub struct AuthSetupError(String);

/// Who may call.
#[derive(Debug)]
pub struct Authenticator(Doors);

#[derive(Debug)]
enum Doors {
    Open(Arc<Caller>),
    Guarded(Box<Guarded>),
}

#[derive(Debug)]
struct Guarded {
    basic: Option<Basic>,
    bearer: Option<Bearer>,
    remembered: Remembered,
    wrong: Allowance,
    clock: Arc<dyn Clock>,
    challenges: Vec<HeaderValue>,
}

impl Authenticator {
    /// By these settings. `clock` tells the wall clock's time, which tokens are judged by: it must
    /// not be one that a cache can put back.
    pub fn new(settings: &AuthSettings, clock: &Arc<dyn Clock>) -> Result<Self, AuthSetupError> {
        if settings.insecure_no_authentication {
            return Ok(Self(Doors::Open(Arc::new(Caller::everybody()))));
        }
        let basic = Basic::of(&settings.basic).map_err(AuthSetupError)?;
        let bearer = settings
            .jwt
            .as_ref()
            .map(|jwt| Bearer::new(jwt, Arc::clone(clock)))
            .transpose()
            .map_err(AuthSetupError)?;
        let mut challenges = Vec::new();
        if bearer.is_some() {
            challenges.push(HeaderValue::from_static(r#"Bearer realm="inventory""#));
        }
        if basic.is_some() {
            let challenge = r#"Basic realm="inventory", charset="UTF-8""#;
            challenges.push(HeaderValue::from_static(challenge));
        }
        Ok(Self(Doors::Guarded(Box::new(Guarded {
            basic,
            bearer,
            remembered: Remembered::new(Arc::clone(clock)).map_err(AuthSetupError)?,
            wrong: Allowance::new(WRONG_PER_SECOND, WRONG_AT_ONCE),
            clock: Arc::clone(clock),
            challenges,
        }))))
    }

    /// Background work until told to stop: keeps the issuer's keys fresh, or says again every
    /// minute that the door is open.
    pub async fn run(&self, stop: CancellationToken) {
        match &self.0 {
            Doors::Open(_) => open_door::keep_saying(stop, open_door::say).await,
            Doors::Guarded(guarded) => {
                if let Some(bearer) = &guarded.bearer {
                    bearer.keys.keep_fresh(stop).await;
                }
            }
        }
    }

    /// What comes before the first caller: says that the door is open, or waits for the first look
    /// at the issuer's keys, a few seconds at most, since a process that has not looked yet would
    /// turn good tokens away. [`Authenticator::run`] must be running.
    pub async fn settled(&self) {
        match &self.0 {
            Doors::Open(_) => open_door::say(),
            Doors::Guarded(guarded) => {
                if let Some(bearer) = &guarded.bearer {
                    // Without keys tokens are refused, with the reason, until there are some.
                    let _ = tokio::time::timeout(FIRST_KEYS, bearer.keys.looked_once()).await;
                }
            }
        }
    }

    /// The caller these headers name; they came from this address.
    pub async fn caller(
        &self,
        headers: &HeaderMap,
        address: &CallerKey,
    ) -> Result<Arc<Caller>, Refused> {
        match &self.0 {
            Doors::Open(caller) => Ok(Arc::clone(caller)),
            Doors::Guarded(guarded) => {
                let caller = guarded.caller(headers, address).await;
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
            Doors::Open(_) => &[],
            Doors::Guarded(guarded) => &guarded.challenges,
        }
    }
}

impl Guarded {
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
        let generation = self
            .bearer
            .as_ref()
            .and_then(|bearer| Some(bearer.keys.known()?.generation));
        if let Some(caller) = self.remembered.caller(header, generation) {
            metrics::accepted("remembered");
            return Ok(caller);
        }
        let space = header.iter().position(|byte| *byte == b' ');
        let (scheme, credentials) = header.split_at(space.ok_or(Refused::NoCredentials)?);
        let credentials = credentials.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"bearer")
            && let Some(bearer) = &self.bearer
        {
            let verified = bearer.caller(credentials).await?;
            let generation = Some(verified.generation);
            self.remembered
                .note(header, &verified.caller, verified.good_for, generation);
            metrics::accepted("token");
            return Ok(verified.caller);
        }
        if scheme.eq_ignore_ascii_case(b"basic")
            && let Some(basic) = &self.basic
        {
            let caller = self.with_password(basic, credentials, address).await?;
            self.remembered.note(header, &caller, LONGEST, None);
            metrics::accepted("password");
            return Ok(caller);
        }
        Err(Refused::WrongScheme)
    }

    /// Of tokens as many may be wrong as come: looking at one costs less than the reply.
    async fn with_password(
        &self,
        basic: &Basic,
        credentials: &[u8],
        address: &CallerKey,
    ) -> Result<Arc<Caller>, Refused> {
        // Taken before it is known to be wrong, so that many at once, or callers who do not wait for
        // the answer, are counted too.
        self.wrong
            .take(address.clone(), self.clock.monotonic())
            .map_err(|TooOften(wait)| Refused::TooOften(wait.as_secs() + 1))?;
        let caller = basic.caller(credentials).await;
        if !matches!(caller, Err(Refused::WrongPassword)) {
            self.wrong.give_back(address);
        }
        caller
    }
}

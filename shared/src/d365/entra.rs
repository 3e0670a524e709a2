//! Access tokens: cached, renewed early in the background, one request at a time.
//!
//! The old token serves until it expires, whatever becomes of its renewal. A failing endpoint is
//! asked at most twice a minute; a mistake in the configuration is not hammered at all.

use crate::d365::error::D365Error;
use crate::d365::metrics::Labels;
use crate::d365::token_request::{Granted, NotGranted, TokenRequest};
use crate::process::clock::Clock;
use crate::process::tasks::Tasks;
use crate::settings::Secret;
use futures_util::FutureExt;
use futures_util::future::Shared;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Wait after a failure that may pass by itself.
const AFTER_PASSING_FAULT: Duration = Duration::from_secs(5);
/// Wait after a failure that somebody must repair.
const AFTER_CONFIGURATION_FAULT: Duration = Duration::from_secs(30);
/// Two failed requests lie in any such span at most.
const TWO_FAILURES_IN: Duration = Duration::from_mins(1);
/// A token this young that D365 refuses would be refused again if it were new.
const TOO_YOUNG_TO_REPLACE: Duration = Duration::from_secs(30);

/// A bearer token and its times on the monotonic clock.
#[derive(Debug)]
pub(super) struct Token {
    text: Secret,
    requested_at: Duration,
    renew_at: Duration,
    expires_at: Duration,
}

impl Token {
    fn new(granted: Granted, requested_at: Duration, minimum_life: Duration) -> Self {
        let life = granted.life;
        // What the request itself may take, so that no token runs out on its way.
        let margin = Duration::from_secs(5).min(life / 10);
        // A minimum above half of the life would renew a short-lived token all the time.
        let early = life.saturating_sub(minimum_life);
        let share = life * 4 / 5;
        let renew_after = if early < life / 2 {
            share
        } else {
            early.min(share)
        };
        Self {
            text: granted.access_token,
            requested_at,
            renew_at: requested_at + renew_after,
            expires_at: requested_at + life.saturating_sub(margin),
        }
    }

    /// The token itself, for the one place that sends it.
    pub(super) fn expose(&self) -> &str {
        self.text.expose()
    }
}

type Outcome = Result<Arc<Token>, D365Error>;
type Pending = Shared<oneshot::Receiver<Outcome>>;

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Token>>,
    pending: Option<Pending>,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    error: D365Error,
    at: Duration,
    not_before: Duration,
}

/// The tokens of one app registration for one environment.
#[derive(Debug, Clone)]
pub(super) struct Entra {
    request: Arc<TokenRequest>,
    minimum_life: Duration,
    clock: Arc<dyn Clock>,
    labels: Labels,
    state: Arc<Mutex<State>>,
    tasks: Tasks,
}

impl Entra {
    /// No token yet; none is requested before the first call needs it.
    pub(super) fn new(request: TokenRequest, minimum_life: Duration, labels: Labels) -> Self {
        Self {
            clock: Arc::clone(&request.clock),
            request: Arc::new(request),
            minimum_life,
            labels,
            state: Arc::default(),
            tasks: Tasks::new(),
        }
    }

    /// A token that is good now. Waits only if there is none; a token that is due for renewal is
    /// given out while its successor is being fetched.
    pub(super) async fn token(&self) -> Outcome {
        let pending = {
            let mut state = self.state();
            let now = self.clock.monotonic();
            match &state.current {
                Some(token) if now < token.expires_at => {
                    let token = Arc::clone(token);
                    if now >= token.renew_at {
                        // The task that meets a failure of the renewal logs it.
                        let _renewal = self.pending(&mut state, now);
                    }
                    return Ok(token);
                }
                _ => self.pending(&mut state, now)?,
            }
        };
        self.outcome(pending).await
    }

    /// Another token, because D365 refused this one. None if a new one would not help: it is only
    /// seconds old.
    pub(super) async fn token_instead_of(
        &self,
        refused: &Arc<Token>,
    ) -> Result<Option<Arc<Token>>, D365Error> {
        let pending = {
            let mut state = self.state();
            let now = self.clock.monotonic();
            match &state.current {
                Some(token) if !Arc::ptr_eq(token, refused) => {
                    return Ok(Some(Arc::clone(token)));
                }
                _ if now < refused.requested_at + TOO_YOUNG_TO_REPLACE => return Ok(None),
                _ => self.pending(&mut state, now)?,
            }
        };
        self.outcome(pending).await.map(Some)
    }

    async fn outcome(&self, pending: Pending) -> Outcome {
        pending.await.unwrap_or_else(|_| {
            Err(self.error(NotGranted {
                cause: "the token request broke off".to_owned(),
                is_configuration: false,
                wait: None,
            }))
        })
    }

    /// The request under way, or a new one if failures allow one already.
    fn pending(&self, state: &mut State, now: Duration) -> Result<Pending, D365Error> {
        if let Some(pending) = &state.pending {
            return Ok(pending.clone());
        }
        if let Some(failure) = &state.failure
            && now < failure.not_before
        {
            return Err(failure.error.clone());
        }
        let (tell, pending) = oneshot::channel();
        let pending = pending.shared();
        state.pending = Some(pending.clone());
        let entra = self.clone();
        // A task of its own: it goes on when the caller who started it gives up.
        self.tasks.spawn("entra token", async move {
            let guard = PendingGuard(&entra);
            let requested_at = entra.clock.monotonic();
            let answer = entra.request.send().await;
            let outcome = entra.note(answer, requested_at);
            drop(guard);
            // Nobody may be waiting any more.
            drop(tell.send(outcome));
        });
        Ok(pending)
    }

    fn note(&self, answer: Result<Granted, NotGranted>, requested_at: Duration) -> Outcome {
        let now = self.clock.monotonic();
        let mut state = self.state();
        match answer {
            Ok(granted) => {
                let token = Arc::new(Token::new(granted, requested_at, self.minimum_life));
                state.current = Some(Arc::clone(&token));
                state.failure = None;
                self.labels.count_token_request("ok");
                Ok(token)
            }
            Err(refusal) => {
                let mut wait = if refusal.is_configuration {
                    AFTER_CONFIGURATION_FAULT
                } else {
                    AFTER_PASSING_FAULT
                };
                // A second failure shortly after the first waits until the first is a minute old.
                if let Some(earlier) = &state.failure {
                    wait = wait.max((earlier.at + TWO_FAILURES_IN).saturating_sub(now));
                }
                wait = wait.max(refusal.wait.unwrap_or_default());
                let serves_for = state
                    .current
                    .as_ref()
                    .and_then(|token| token.expires_at.checked_sub(now));
                self.labels
                    .count_token_request(if refusal.is_configuration {
                        "refused"
                    } else {
                        "failed"
                    });
                tracing::warn!(
                    client_id = %self.request.app,
                    cause = %refusal.cause,
                    old_token_serves_for_s = serves_for.map(|left| left.as_secs()),
                    next_try_in_s = wait.as_secs(),
                    "no new access token for D365"
                );
                let error = self.error(refusal);
                state.failure = Some(Failure {
                    error: error.clone(),
                    at: now,
                    not_before: now + wait,
                });
                Err(error)
            }
        }
    }

    fn error(&self, refusal: NotGranted) -> D365Error {
        D365Error::Token {
            client_id: self.request.app.to_string(),
            cause: refusal.cause,
            is_configuration: refusal.is_configuration,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clears the pending request however the task ends, so that a panic does not block all later ones.
struct PendingGuard<'a>(&'a Entra);

impl Drop for PendingGuard<'_> {
    fn drop(&mut self) {
        self.0.state().pending = None;
    }
}

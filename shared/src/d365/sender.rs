//! The one place that sends to D365.
//!
//! Order of a call: the right to a call, the token, the throttle gate, the as-of, the request. The
//! gate comes after the token, so that a closure learned while waiting for a token still holds;
//! the as-of is taken last, so that it is never later than the data's true time and hardly earlier.

use crate::d365::answer::{bounded_stream, check_content_type, network_cause, refusal, timed_out};
use crate::d365::entra::{Entra, Token};
use crate::d365::metrics::{Call, Labels};
use crate::d365::on_hand_page::Body;
use crate::d365::repeat_budget::RepeatBudget;
use crate::d365::throttle::{AppId, wait_asked_for};
use crate::d365::{CallRight, D365Error, Share, ThrottleGate};
use crate::process::clock::Clock;
use crate::process::guards::{self, Guard};
use crate::stock::AsOf;
use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// With less time than this left a call is not repeated: it could not be answered.
const REPEAT_NEEDS: Duration = Duration::from_secs(1);

const FIRST_ASKING_PAUSE_MS: u64 = 10;
const LONGEST_ASKING_PAUSE_MS: u64 = 80;

/// What a call may cost.
#[derive(Debug, Clone, Copy)]
pub(in crate::d365) struct Allowance {
    /// Longest wait for the right to a call.
    pub(in crate::d365) queue: Duration,
    /// Longest time for one attempt, from the token to the last byte.
    pub(in crate::d365) attempt: Duration,
    /// Longest silence between two pieces of the body.
    pub(in crate::d365) idle: Duration,
    /// Largest body, decompressed.
    pub(in crate::d365) body_bytes: usize,
    /// Until when, on the monotonic clock, one repeat may be made; only for failures that show
    /// that D365 did no work: no connection, 502, 503.
    pub(in crate::d365) repeat_until: Option<Duration>,
    /// Whether it leaves a quarter of the calls at once to orders.
    pub(in crate::d365) gives_way: bool,
}

/// A good answer whose body is still to be read.
pub(in crate::d365) struct Opened {
    /// Start of the request.
    pub(in crate::d365) as_of: AsOf,
    /// The body.
    pub(in crate::d365) body: Body,
    /// Must be told how reading the body ended.
    pub(in crate::d365) call: Call,
}

/// Sends requests of one tenant for one purpose.
#[derive(Debug)]
pub(in crate::d365) struct Sender {
    pub(in crate::d365) http: reqwest::Client,
    pub(in crate::d365) entra: Entra,
    pub(in crate::d365) app: AppId,
    pub(in crate::d365) gate: Arc<dyn ThrottleGate>,
    pub(in crate::d365) clock: Arc<dyn Clock>,
    pub(in crate::d365) share: Share,
    pub(in crate::d365) labels: Labels,
    pub(in crate::d365) repeats: RepeatBudget,
}

/// A failed attempt.
struct Failed {
    error: D365Error,
    reached: Reached,
}

/// How far a failed attempt came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// Held back by the gate: nothing was sent.
    Gate,
    /// D365 did no work.
    FrontDoor,
    /// D365 may have worked.
    Server,
}

impl From<D365Error> for Failed {
    fn from(error: D365Error) -> Self {
        Self {
            error,
            reached: Reached::Server,
        }
    }
}

impl Sender {
    /// Asks for an address below the configured environment and returns when status and headers
    /// are good.
    pub(in crate::d365) async fn open(
        &self,
        url: &Url,
        allowance: Allowance,
    ) -> Result<Opened, D365Error> {
        self.repeats.earn();
        match self.attempt(url, allowance).await {
            Err(failed) if failed.reached == Reached::FrontDoor => {
                let has_time = allowance
                    .repeat_until
                    .and_then(|until| until.checked_sub(self.clock.monotonic()))
                    .is_some_and(|left| left >= REPEAT_NEEDS);
                if has_time && self.repeats.take() {
                    self.attempt(url, allowance).await
                } else {
                    Err(failed)
                }
            }
            other => other,
        }
        .map_err(|failed| failed.error)
    }

    async fn attempt(&self, url: &Url, allowance: Allowance) -> Result<Opened, Failed> {
        let right = tokio::time::timeout(allowance.queue, self.right(allowance.gives_way))
            .await
            .map_err(|_elapsed| D365Error::Crowded)?;
        let call = Call::begin(self.labels.clone(), Arc::clone(&self.clock), right);
        let mut deadline = Box::pin(tokio::time::sleep(allowance.attempt));
        let exchanged = tokio::select! {
            biased;
            exchanged = self.exchange(url) => exchanged,
            () = &mut deadline => Err(timed_out("waiting for the answer").into()),
        };
        match exchanged {
            Ok((as_of, response)) => Ok(Opened {
                as_of,
                body: bounded_stream(response, allowance.body_bytes, allowance.idle, deadline),
                call,
            }),
            Err(failed) => {
                if failed.reached == Reached::Gate {
                    call.was_held_back();
                } else {
                    call.failed(&failed.error);
                }
                Err(failed)
            }
        }
    }

    /// Waits for the right to one call. Others give theirs back in other processes, which nobody
    /// here hears of: so it is asked for again and again, at random so that each gets a turn.
    async fn right(&self, gives_way: bool) -> Box<dyn CallRight> {
        let share = Share {
            gives_way,
            ..self.share
        };
        let mut longest_ms = FIRST_ASKING_PAUSE_MS;
        loop {
            if let Some(right) = self.gate.take(&self.app, share).await {
                return right;
            }
            let chance = RandomState::new().hash_one(longest_ms) % longest_ms;
            tokio::time::sleep(Duration::from_millis(chance.max(2))).await;
            longest_ms = (longest_ms * 2).min(LONGEST_ASKING_PAUSE_MS);
        }
    }

    async fn exchange(&self, url: &Url) -> Result<(AsOf, Response), Failed> {
        let mut token = self.entra.token().await?;
        let (mut as_of, mut response) = self.send(url, &token).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(newer) = self.entra.token_instead_of(&token).await?
        {
            token = newer;
            (as_of, response) = self.send(url, &token).await?;
        }
        match response.status() {
            StatusCode::OK => {
                check_content_type(response.headers())?;
                Ok((as_of, response))
            }
            StatusCode::TOO_MANY_REQUESTS => Err(self.throttled(&response).await.into()),
            status => {
                let is_front_door = matches!(
                    status,
                    StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE
                );
                Err(Failed {
                    error: refusal(response, token.expose()).await,
                    reached: if is_front_door {
                        Reached::FrontDoor
                    } else {
                        Reached::Server
                    },
                })
            }
        }
    }

    async fn send(&self, url: &Url, token: &Token) -> Result<(AsOf, Response), Failed> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_not_a_header| self.unsendable_token())?;
        bearer.set_sensitive(true);
        let request = self
            .http
            .get(url.clone())
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/json");
        if let Some(retry_after) = self.gate.wait_left(&self.app).await
            && !guards::is_off(Guard::ThrottleGate)
        {
            return Err(Failed {
                error: D365Error::Throttled { retry_after },
                reached: Reached::Gate,
            });
        }
        let as_of = self.clock.now();
        match request.send().await {
            Ok(response) if guards::is_off(Guard::RequestStartStamps) => {
                Ok((self.clock.now(), response))
            }
            Ok(response) => Ok((as_of, response)),
            Err(cause) => Err(Failed {
                reached: if cause.is_connect() {
                    Reached::FrontDoor
                } else {
                    Reached::Server
                },
                error: D365Error::Connection {
                    cause: network_cause(cause),
                },
            }),
        }
    }

    /// The body of a 429 is not read: status and header say it all.
    async fn throttled(&self, response: &Response) -> D365Error {
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let retry_after = wait_asked_for(header(RETRY_AFTER), header(DATE), self.clock.now());
        self.gate.close(&self.app, retry_after).await;
        self.labels.count_throttle_closure();
        tracing::warn!(
            client_id = %self.app,
            retry_after_s = retry_after.as_secs(),
            "D365 is throttling: the gate is closed"
        );
        D365Error::Throttled { retry_after }
    }

    fn unsendable_token(&self) -> D365Error {
        D365Error::Token {
            client_id: self.app.to_string(),
            cause: "the token cannot stand in a header".to_owned(),
            is_configuration: false,
        }
    }
}

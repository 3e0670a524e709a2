//! The one place that sends to D365.
//!
//! Order of a call: the right to a call, the token, the throttle gate, the as-of, the request. The
//! gate comes after the token, so that a closure learned while waiting for a token still holds;
//! the as-of is taken last, so that it is never later than the data's true time and hardly earlier.
//!
//! A call whose connection dies before a byte of the answer is made once more, over a new one: D365
//! is only ever read from. So is one that may go over a connection used before and is silent for a
//! quarter of its time; then whichever answers first is the answer. A call made once more is a call
//! like others: with its own right, its own look at the gate and its own as-of.

use crate::d365::answer::{check_content_type, refusal};
use crate::d365::body::{NotWhole, network_cause, whole_body};
use crate::d365::connections::{Connections, Way};
use crate::d365::entra::{Entra, Token};
use crate::d365::error::D365Error;
use crate::d365::metrics::{Call, Labels};
use crate::d365::repeat_budget::RepeatBudget;
use crate::d365::retry_after::wait_asked_for;
use crate::d365::throttle::{AppId, CallRight, Share, ThrottleGate};
use crate::process::clock::Clock;
use crate::stock::AsOf;
use futures_util::future::{Either, select};
use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use url::Url;

/// No answer comes back in less; a call that has no more left is not made again.
const REPEAT_NEEDS: Duration = Duration::from_millis(50);
/// A connection that was used before and is silent for this part of a call's time may be dead.
const SILENT_PART: u32 = 4;

const FIRST_ASKING_PAUSE_MS: u64 = 10;
const LONGEST_ASKING_PAUSE_MS: u64 = 80;

/// What a call may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallLimits {
    /// Longest wait for the right to a call.
    pub(super) queue: Duration,
    /// Longest time for one attempt, from the token to the last byte.
    pub(super) attempt: Duration,
    /// Longest silence between two pieces of the body.
    pub(super) idle: Duration,
    /// Largest body, decompressed.
    pub(super) body_bytes: usize,
    /// Until when somebody waits, on the monotonic clock. Then the call ends, and until then one that
    /// D365 did not work for (no connection, 502, 503) is made once more. None: nobody waits.
    pub(super) ends_at: Option<Duration>,
    /// Whether it leaves a quarter of the calls at once to orders.
    pub(super) gives_way: bool,
}

/// A good answer whose body is still to be read.
struct Opened {
    as_of: AsOf,
    response: Response,
    deadline: Pin<Box<Sleep>>,
    asked: Asked,
    call: Call,
}

/// Since when D365 is asked, on the monotonic clock; nothing before the request goes out.
struct Asked {
    clock: Arc<dyn Clock>,
    since: OnceLock<Duration>,
}

impl Asked {
    fn not_yet(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            since: OnceLock::new(),
        }
    }

    fn begins(&self) {
        // A second request of the same call does not make the silence shorter.
        let _since = self.since.get_or_init(|| self.clock.monotonic());
    }

    fn timed_out(&self, stage: &'static str) -> D365Error {
        let now = self.clock.monotonic();
        let silent_for = self.since.get().map(|since| now.saturating_sub(*since));
        D365Error::TimedOut {
            stage,
            silent_for: silent_for.unwrap_or_default(),
        }
    }
}

/// Ends when a request has been out for so long; never if none goes out.
async fn silence(sent: oneshot::Receiver<()>, time: Duration) {
    if sent.await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(time).await;
}

/// Sends requests of one tenant for one purpose.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) connections: Connections,
    pub(super) entra: Entra,
    pub(super) app: AppId,
    pub(super) gate: Arc<dyn ThrottleGate>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) share: Share,
    pub(super) labels: Labels,
    pub(super) repeats: RepeatBudget,
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
    /// Its connection died before a byte of the answer, or took too long to make.
    Connection,
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
    /// Asks for an address below the configured environment and reads the answer's body with `read`.
    /// Gives the start of the request too.
    pub(super) async fn ask<T>(
        &self,
        url: &Url,
        limits: CallLimits,
        read: impl FnOnce(&[u8]) -> Result<T, D365Error>,
    ) -> Result<(AsOf, T), D365Error> {
        let Opened {
            as_of,
            response,
            mut deadline,
            asked,
            call,
        } = self.open(url, limits).await?;
        let body = tokio::select! {
            biased;
            body = whole_body(response, limits.body_bytes, limits.idle) => body,
            () = &mut deadline => Err(NotWhole::Silent),
        };
        let answer = match body {
            Ok(body) => read(&body),
            Err(NotWhole::Silent) => Err(asked.timed_out("reading the answer")),
            Err(NotWhole::Broken(cause)) => Err(D365Error::Connection { cause }),
            Err(NotWhole::TooLarge) => Err(D365Error::BadAnswer {
                problem: format!("its body is larger than {} bytes", limits.body_bytes),
            }),
        };
        match &answer {
            Ok(_) => call.went_well(),
            Err(error) => call.failed(error),
        }
        answer.map(|answer| (as_of, answer))
    }

    /// Returns when status and headers are good.
    async fn open(&self, url: &Url, limits: CallLimits) -> Result<Opened, D365Error> {
        self.repeats.earn();
        let way = self.connections.way();
        let (tell_sent, sent) = oneshot::channel();
        let attempt = self.attempt(url, limits, way, Some(tell_sent));
        let mut first = std::pin::pin!(attempt);
        let may_be_dead = way
            == Way::Kept {
                may_be_used_before: true,
            };
        let ended = if may_be_dead {
            tokio::select! {
                biased;
                ended = &mut first => Some(ended),
                () = silence(sent, self.attempt_time(limits) / SILENT_PART) => None,
            }
        } else {
            Some(first.as_mut().await)
        };
        let ended = match ended {
            Some(ended) => self.or_once_more(ended, url, limits, way).await,
            None => self.or_beside(first, url, limits).await,
        };
        ended.map_err(|failed| failed.error)
    }

    /// How an attempt ended, or how another one did if it may be made.
    async fn or_once_more(
        &self,
        ended: Result<Opened, Failed>,
        url: &Url,
        limits: CallLimits,
        way: Way,
    ) -> Result<Opened, Failed> {
        let reached = match &ended {
            Ok(_) => return ended,
            Err(failed) => failed.reached,
        };
        let has_time = limits
            .ends_at
            .is_none_or(|ends_at| ends_at.saturating_sub(self.clock.monotonic()) >= REPEAT_NEEDS);
        let may_be_made = match reached {
            Reached::Connection => true,
            Reached::FrontDoor => {
                limits.ends_at.is_some() && has_time && self.repeats.take(limits.gives_way)
            }
            Reached::Gate | Reached::Server => false,
        };
        if reached == Reached::Connection && way != Way::New {
            self.connections.distrust();
        }
        if !(may_be_made && has_time) {
            return ended;
        }
        let way = match reached {
            Reached::Connection => Way::New,
            _ => self.connections.way(),
        };
        self.attempt(url, limits, way, None).await
    }

    /// Makes another attempt beside one that is silent. The first answer counts; the other attempt is
    /// given up, with its connection. Where D365 was only slow a moment ago, one call in ten does so.
    async fn or_beside(
        &self,
        mut first: Pin<&mut impl Future<Output = Result<Opened, Failed>>>,
        url: &Url,
        limits: CallLimits,
    ) -> Result<Opened, Failed> {
        let is_slow = self.connections.is_d365_slow();
        let ended = if !is_slow || self.repeats.take(limits.gives_way) {
            self.connections.distrust();
            let second = std::pin::pin!(self.attempt(url, limits, Way::New, None));
            match select(first, second).await {
                // It was asked longer: its failure says more.
                Either::Left((Err(failed), second)) => return second.await.or(Err(failed)),
                Either::Left((opened, _)) => opened,
                Either::Right((Err(_failed), first)) => first.await,
                Either::Right((opened, _)) => return opened,
            }
        } else {
            first.as_mut().await
        };
        if ended.is_ok() {
            self.connections.trust();
        }
        ended
    }

    /// What one attempt may take that begins now.
    fn attempt_time(&self, limits: CallLimits) -> Duration {
        let left = limits
            .ends_at
            .map(|ends_at| ends_at.saturating_sub(self.clock.monotonic()));
        left.map_or(limits.attempt, |left| left.min(limits.attempt))
    }

    async fn attempt(
        &self,
        url: &Url,
        limits: CallLimits,
        way: Way,
        tell_sent: Option<oneshot::Sender<()>>,
    ) -> Result<Opened, Failed> {
        let asked = Asked::not_yet(Arc::clone(&self.clock));
        let right = tokio::time::timeout(limits.queue, self.right(limits.gives_way))
            .await
            .map_err(|_elapsed| D365Error::NoCallSlot)?;
        let call = Call::begin(self.labels.clone(), Arc::clone(&self.clock), right);
        let time = self.attempt_time(limits);
        let mut deadline = Box::pin(tokio::time::sleep(time));
        let exchanged = tokio::select! {
            biased;
            exchanged = self.exchange(url, way, &asked, tell_sent) => exchanged,
            () = &mut deadline => Err(asked.timed_out("waiting for the answer").into()),
        };
        match exchanged {
            Ok((as_of, response)) => {
                self.connections.note_answer(way, time);
                Ok(Opened {
                    as_of,
                    response,
                    deadline,
                    asked,
                    call,
                })
            }
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

    async fn exchange(
        &self,
        url: &Url,
        way: Way,
        asked: &Asked,
        tell_sent: Option<oneshot::Sender<()>>,
    ) -> Result<(AsOf, Response), Failed> {
        let mut token = self.entra.token().await?;
        let (mut as_of, mut response) = self.send(url, &token, way, asked, tell_sent).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(newer) = self.entra.token_instead_of(&token).await?
        {
            token = newer;
            (as_of, response) = self.send(url, &token, way, asked, None).await?;
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

    async fn send(
        &self,
        url: &Url,
        token: &Token,
        way: Way,
        asked: &Asked,
        tell_sent: Option<oneshot::Sender<()>>,
    ) -> Result<(AsOf, Response), Failed> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_not_a_header| self.unsendable_token())?;
        bearer.set_sensitive(true);
        let request = self
            .connections
            .client(way)
            .get(url.clone())
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/json");
        if let Some(retry_after) = self.gate.wait_left(&self.app).await {
            return Err(Failed {
                error: D365Error::Throttled { retry_after },
                reached: Reached::Gate,
            });
        }
        if let Some(tell_sent) = tell_sent {
            // Nobody listens where the connection must be a new one.
            let _listens = tell_sent.send(());
        }
        asked.begins();
        let as_of = self.clock.now();
        match request.send().await {
            Ok(response) => Ok((as_of, response)),
            Err(cause) => Err(Failed {
                reached: if cause.is_connect() && !cause.is_timeout() {
                    Reached::FrontDoor
                } else {
                    Reached::Connection
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

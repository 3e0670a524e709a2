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

use crate::d365::answer::{Asked, bounded_stream, check_content_type, network_cause, refusal};
use crate::d365::connections::{Connections, Way};
use crate::d365::entra::{Entra, Token};
use crate::d365::metrics::{Call, Labels};
use crate::d365::on_hand_page::Body;
use crate::d365::repeat_budget::RepeatBudget;
use crate::d365::throttle::{AppId, wait_asked_for};
use crate::d365::{CallRight, D365Error, Share, ThrottleGate};
use crate::process::clock::Clock;
use crate::process::guards::{self, Guard};
use crate::stock::AsOf;
use futures_util::future::{Either, select};
use reqwest::header::{ACCEPT, AUTHORIZATION, DATE, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use url::Url;

/// No answer comes back in less; a call that has no more left is not made again.
const REPEAT_NEEDS: Duration = Duration::from_millis(50);
/// A connection that was used before and is silent for this part of a call's time may be dead.
const SILENT_PART: u32 = 4;

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
    /// Until when somebody waits, on the monotonic clock. Then the call ends, and until then one that
    /// D365 did not work for (no connection, 502, 503) is made once more. None: nobody waits.
    pub(in crate::d365) ends_at: Option<Duration>,
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

/// Ends when a request has been out for so long; never if none goes out.
async fn silence(sent: oneshot::Receiver<()>, time: Duration) {
    if sent.await.is_err() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(time).await;
}

/// Sends requests of one tenant for one purpose.
#[derive(Debug)]
pub(in crate::d365) struct Sender {
    pub(in crate::d365) connections: Connections,
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
    /// Asks for an address below the configured environment and returns when status and headers
    /// are good.
    pub(in crate::d365) async fn open(
        &self,
        url: &Url,
        allowance: Allowance,
    ) -> Result<Opened, D365Error> {
        self.repeats.earn();
        let way = self.connections.way();
        let asked = Asked::not_yet(Arc::clone(&self.clock));
        let (tell_sent, sent) = oneshot::channel();
        let attempt = self.attempt(url, allowance, way, &asked, Some(tell_sent));
        let mut first = std::pin::pin!(attempt);
        let may_be_dead = way
            == Way::Kept {
                may_be_used_before: true,
            };
        let ended = if may_be_dead {
            tokio::select! {
                biased;
                ended = &mut first => Some(ended),
                () = silence(sent, self.attempt_time(allowance) / SILENT_PART) => None,
            }
        } else {
            Some(first.as_mut().await)
        };
        let ended = match ended {
            Some(ended) => self.or_once_more(ended, url, allowance, way).await,
            None => self.or_beside(first, url, allowance).await,
        };
        ended.map_err(|failed| failed.error)
    }

    /// How an attempt ended, or how another one did if it may be made.
    async fn or_once_more(
        &self,
        ended: Result<Opened, Failed>,
        url: &Url,
        allowance: Allowance,
        way: Way,
    ) -> Result<Opened, Failed> {
        let reached = match &ended {
            Ok(_) => return ended,
            Err(failed) => failed.reached,
        };
        let has_time = allowance
            .ends_at
            .is_none_or(|ends_at| ends_at.saturating_sub(self.clock.monotonic()) >= REPEAT_NEEDS);
        let may_be_made = match reached {
            Reached::Connection => true,
            Reached::FrontDoor => {
                allowance.ends_at.is_some() && has_time && self.repeats.take(allowance.gives_way)
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
        let asked = Asked::not_yet(Arc::clone(&self.clock));
        self.attempt(url, allowance, way, &asked, None).await
    }

    /// Makes another attempt beside one that is silent. The first answer counts; the other attempt is
    /// given up, with its connection. Where D365 was only slow a moment ago, one call in ten does so.
    async fn or_beside(
        &self,
        mut first: Pin<&mut impl Future<Output = Result<Opened, Failed>>>,
        url: &Url,
        allowance: Allowance,
    ) -> Result<Opened, Failed> {
        let is_slow = self.connections.is_d365_slow();
        let ended = if !is_slow || self.repeats.take(allowance.gives_way) {
            self.connections.distrust();
            let asked = Asked::not_yet(Arc::clone(&self.clock));
            let second = std::pin::pin!(self.attempt(url, allowance, Way::New, &asked, None));
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
    fn attempt_time(&self, allowance: Allowance) -> Duration {
        let left = allowance
            .ends_at
            .map(|ends_at| ends_at.saturating_sub(self.clock.monotonic()));
        left.map_or(allowance.attempt, |left| left.min(allowance.attempt))
    }

    async fn attempt(
        &self,
        url: &Url,
        allowance: Allowance,
        way: Way,
        asked: &Asked,
        tell_sent: Option<oneshot::Sender<()>>,
    ) -> Result<Opened, Failed> {
        let right = tokio::time::timeout(allowance.queue, self.right(allowance.gives_way))
            .await
            .map_err(|_elapsed| D365Error::Crowded)?;
        let call = Call::begin(self.labels.clone(), Arc::clone(&self.clock), right);
        let time = self.attempt_time(allowance);
        let mut deadline = Box::pin(tokio::time::sleep(time));
        let exchanged = tokio::select! {
            biased;
            exchanged = self.exchange(url, way, asked, tell_sent) => exchanged,
            () = &mut deadline => Err(asked.timed_out("waiting for the answer").into()),
        };
        match exchanged {
            Ok((as_of, response)) => {
                self.connections.note_answer(way, time);
                let (bytes, idle) = (allowance.body_bytes, allowance.idle);
                Ok(Opened {
                    as_of,
                    body: bounded_stream(response, bytes, idle, deadline, asked.clone()),
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
        if let Some(retry_after) = self.gate.wait_left(&self.app).await
            && !guards::is_off(Guard::ThrottleGate)
        {
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
            Ok(response) if guards::is_off(Guard::RequestStartStamps) => {
                Ok((self.clock.now(), response))
            }
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

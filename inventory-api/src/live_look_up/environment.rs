//! One D365 environment as all its tenants share it: so many calls at once, and a breaker.

use super::breaker::{Breaker, CallVerdict, Leave};
use super::{Deadline, LiveFailure};
use crate::metrics;
use crate::weight::Weight;
use shared::d365::D365Error;
use shared::process::clock::Clock;
use shared::process::guards::{self, Guard};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A call with less time than this says little about D365 when its time is over.
const FAIR_TIME: Duration = Duration::from_millis(500);
/// No answer comes back in less; a call that has no more left is not sent.
const LEAST_TIME: Duration = Duration::from_millis(50);

/// Who may call one environment, and when.
#[derive(Debug)]
pub(crate) struct Environment {
    name: String,
    clock: Arc<dyn Clock>,
    permits: Permits,
    breaker: Mutex<Breaker>,
}

/// The right to so many calls at once. Whoever waits comes in the order of arrival, but what is no
/// order never holds all of them: an order waits for orders only.
#[derive(Debug)]
struct Permits {
    all: Semaphore,
    details: Semaphore,
    lists: Semaphore,
}

impl Permits {
    fn new(limit: usize) -> Self {
        let of = |weight: Weight| Semaphore::new(weight.places_of(limit));
        Self {
            all: of(Weight::Order),
            details: of(Weight::Detail),
            lists: of(Weight::List),
        }
    }

    /// Waits for the right to one call: a list's, a browse question's, and anybody's, as far as the
    /// weight needs them.
    async fn take(&self, weight: Weight) -> Option<[Option<SemaphorePermit<'_>>; 3]> {
        let list = match weight {
            Weight::List => Some(self.lists.acquire().await.ok()?),
            Weight::Detail | Weight::Order => None,
        };
        let detail = match weight {
            Weight::List | Weight::Detail => Some(self.details.acquire().await.ok()?),
            Weight::Order => None,
        };
        Some([list, detail, Some(self.all.acquire().await.ok()?)])
    }

    fn has_room(&self, weight: Weight) -> bool {
        let has_room = |permits: &Semaphore| permits.available_permits() > 0;
        has_room(&self.all)
            && (weight > Weight::Detail || has_room(&self.details))
            && (weight > Weight::List || has_room(&self.lists))
    }
}

/// A call under way. Dropped without an end its caller has gone: it had no answer so far.
struct CallUnderWay<'a> {
    environment: &'a Environment,
    leave: Leave,
    began: Duration,
    allowed: Duration,
    is_over: bool,
}

impl CallUnderWay<'_> {
    fn end(mut self, answer: &Result<(), LiveFailure>) {
        self.is_over = true;
        let had_fair_time = self.allowed >= FAIR_TIME || self.took() >= FAIR_TIME;
        let verdict = verdict_of(answer, had_fair_time);
        self.environment.note(self.leave, verdict);
    }

    fn took(&self) -> Duration {
        let now = self.environment.clock.monotonic();
        now.saturating_sub(self.began)
    }
}

impl Drop for CallUnderWay<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // Whoever leaves at once says nothing; as a trial it must not make the next one try at once.
            let is_telling = self.leave == Leave::Trial || self.took() >= FAIR_TIME;
            let verdict = is_telling.then_some(CallVerdict::Silent);
            self.environment.note(self.leave, verdict);
        }
    }
}

/// What an ended call says about the environment.
fn verdict_of(answer: &Result<(), LiveFailure>, had_fair_time: bool) -> Option<CallVerdict> {
    let failure = match answer {
        Ok(()) => return Some(CallVerdict::Works),
        Err(failure) => failure,
    };
    match failure {
        LiveFailure::DeadlinePassed | LiveFailure::Erp(D365Error::TimedOut { .. }) => {
            Some(if had_fair_time {
                CallVerdict::Fails
            } else {
                CallVerdict::Silent
            })
        }
        LiveFailure::Erp(
            D365Error::Connection { .. }
            | D365Error::BadAnswer { .. }
            | D365Error::Token {
                is_configuration: false,
                ..
            },
        ) => Some(CallVerdict::Fails),
        LiveFailure::Erp(D365Error::Status { status, .. }) if *status >= 500 => {
            Some(CallVerdict::Fails)
        }
        LiveFailure::Erp(D365Error::Status { .. }) => Some(CallVerdict::Works),
        // The throttle gate looks after these; the rest never left the house.
        LiveFailure::NoCredentials
        | LiveFailure::Resting { .. }
        | LiveFailure::Erp(
            D365Error::Throttled { .. }
            | D365Error::Crowded
            | D365Error::Token { .. }
            | D365Error::Setup { .. }
            | D365Error::Unaskable { .. },
        ) => None,
    }
}

impl Environment {
    /// Nothing was asked yet; at most so many calls at once.
    pub(crate) fn new(name: String, permits: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            name,
            clock,
            permits: Permits::new(permits),
            breaker: Mutex::default(),
        }
    }

    /// Whether a call of this weight could be sent right away.
    pub(crate) fn has_room(&self, weight: Weight) -> bool {
        self.permits.has_room(weight) && self.rest_left(FAIR_TIME).is_none()
    }

    /// Makes one call: with a permit, if the breaker lets it, ending with the deadline. `call` is
    /// told how much time it has.
    ///
    /// The breaker is asked after the wait for a permit: what opened it meanwhile counts, and a call
    /// that only waited is no trial.
    pub(crate) async fn call<T>(
        &self,
        deadline: &Deadline,
        weight: Weight,
        call: impl AsyncFnOnce(Duration) -> Result<T, D365Error>,
    ) -> Result<T, LiveFailure> {
        let left = deadline.left().ok_or(LiveFailure::DeadlinePassed)?;
        if let Some(wait) = self.rest_left(left) {
            return Err(LiveFailure::Resting { wait });
        }
        let _permits = tokio::time::timeout(left, self.permits.take(weight))
            .await
            .ok()
            .flatten()
            .ok_or(LiveFailure::DeadlinePassed)?;
        let allowed = deadline.left().unwrap_or_default();
        if allowed < LEAST_TIME {
            return Err(LiveFailure::DeadlinePassed);
        }
        let leave = self.leave(allowed);
        if let Leave::Rest(wait) = leave {
            return Err(LiveFailure::Resting { wait });
        }
        let under_way = CallUnderWay {
            environment: self,
            leave,
            began: self.clock.monotonic(),
            allowed,
            is_over: false,
        };
        let answer = match tokio::time::timeout(allowed, call(allowed)).await {
            Ok(answer) => answer.map_err(LiveFailure::from),
            Err(_elapsed) => Err(LiveFailure::DeadlinePassed),
        };
        match &answer {
            Ok(_) => under_way.end(&Ok(())),
            Err(failure) => under_way.end(&Err(failure.clone())),
        }
        answer
    }

    /// How long nothing may be asked, without taking the trial.
    fn rest_left(&self, allowed: Duration) -> Option<Duration> {
        if guards::is_off(Guard::Breaker) {
            return None;
        }
        let now = self.clock.monotonic();
        self.breaker().rest_left(now, allowed >= FAIR_TIME)
    }

    fn leave(&self, allowed: Duration) -> Leave {
        if guards::is_off(Guard::Breaker) {
            return Leave::Pass;
        }
        let now = self.clock.monotonic();
        self.breaker().ask(now, allowed >= FAIR_TIME)
    }

    fn note(&self, leave: Leave, verdict: Option<CallVerdict>) {
        let now = self.clock.monotonic();
        let mut breaker = self.breaker();
        let was_closed = breaker.is_closed();
        let opened = breaker.note(leave, verdict, now);
        let is_closed = breaker.is_closed();
        drop(breaker);
        if opened {
            metrics::breaker_opened();
            tracing::warn!(
                environment = self.name,
                "D365 keeps failing: no live call for ten seconds, then one tries"
            );
        } else if is_closed && !was_closed {
            tracing::info!(environment = self.name, "D365 answers again");
        }
        metrics::breaker(&self.name, is_closed);
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use shared::process::clock::ManualClock;
    use shared::stock::AsOf;

    fn house(permits: usize) -> (Arc<ManualClock>, Arc<Environment>, Deadline) {
        let manual = Arc::new(ManualClock::at(AsOf::EPOCH));
        let clock: Arc<dyn Clock> = manual.clone();
        let deadline = Deadline::begin(&clock, Duration::from_hours(1));
        let environment = Environment::new("https://e".to_owned(), permits, clock);
        (manual, Arc::new(environment), deadline)
    }

    async fn seven(environment: &Environment, deadline: &Deadline) -> Result<u8, LiveFailure> {
        let call = environment.call(deadline, Weight::Order, async |_| Ok(7));
        call.await
    }

    fn failing() -> Result<(), D365Error> {
        Err(D365Error::Connection {
            cause: "refused".to_owned(),
        })
    }

    #[tokio::test]
    async fn an_open_breaker_answers_at_once_and_lets_one_call_try() {
        let (clock, environment, deadline) = house(4);
        let mut sent = 0;
        for _ in 0..8 {
            let answer = environment
                .call(&deadline, Weight::Order, async |_| {
                    sent += 1;
                    failing()
                })
                .await;
            assert!(answer.is_err());
        }
        assert_eq!(sent, 5);
        assert!(!environment.has_room(Weight::Order));
        clock.advance(Duration::from_secs(10));
        assert!(environment.has_room(Weight::Order));
        assert_eq!(seven(&environment, &deadline).await, Ok(7));
        assert!(environment.has_room(Weight::Order));
    }

    #[tokio::test]
    async fn a_trial_whose_caller_left_is_given_to_the_next() {
        let (clock, environment, deadline) = house(4);
        for _ in 0..5 {
            let call = environment.call(&deadline, Weight::Order, async |_| failing());
            let _failed = call.await;
        }
        clock.advance(Duration::from_secs(10));
        let left = tokio::time::timeout(
            Duration::from_millis(1),
            environment.call(&deadline, Weight::Order, async |_| {
                std::future::pending::<Result<(), D365Error>>().await
            }),
        );
        assert!(left.await.is_err());
        assert_eq!(seven(&environment, &deadline).await, Ok(7));
    }

    #[tokio::test]
    async fn an_order_waits_for_orders_only() {
        let (_clock, environment, deadline) = house(8);
        let mut under_way = Vec::new();
        let mut begin = |weight| {
            let (environment, deadline) = (Arc::clone(&environment), deadline.clone());
            let mut call = Box::pin(async move {
                let never = async |_| std::future::pending::<Result<(), D365Error>>().await;
                environment.call(&deadline, weight, never).await
            });
            assert!(call.as_mut().now_or_never().is_none());
            under_way.push(call);
        };
        // More than may call at once: the rest wait.
        (0..20).for_each(|_| begin(Weight::List));
        assert!(!environment.has_room(Weight::List));
        assert!(environment.has_room(Weight::Detail));
        (0..20).for_each(|_| begin(Weight::Detail));
        assert!(!environment.has_room(Weight::Detail));
        assert_eq!(seven(&environment, &deadline).await, Ok(7));
        begin(Weight::Order);
        assert!(!environment.has_room(Weight::Order));
        drop(under_way);
        assert!(environment.has_room(Weight::List));
    }

    #[test]
    fn only_what_d365_is_to_blame_for_counts() {
        let erp = |cause| Err(LiveFailure::Erp(cause));
        let status = |status| {
            erp(D365Error::Status {
                status,
                message: String::new(),
            })
        };
        let timed_out = || erp(D365Error::TimedOut { stage: "" });
        for (answer, had_fair_time, expected) in [
            (Ok(()), true, Some(CallVerdict::Works)),
            (status(404), true, Some(CallVerdict::Works)),
            (status(500), true, Some(CallVerdict::Fails)),
            (erp(D365Error::Crowded), true, None),
            (timed_out(), true, Some(CallVerdict::Fails)),
            (timed_out(), false, Some(CallVerdict::Silent)),
            (
                Err(LiveFailure::DeadlinePassed),
                false,
                Some(CallVerdict::Silent),
            ),
            (
                erp(D365Error::Throttled {
                    retry_after: Duration::ZERO,
                }),
                true,
                None,
            ),
        ] {
            assert_eq!(verdict_of(&answer, had_fair_time), expected, "{answer:?}");
        }
    }
}

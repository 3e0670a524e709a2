//! One D365 environment as all its tenants share it: so many calls at once, and its breakers.
//!
//! Orders have a breaker of their own. What they find out holds for everybody; what browsing finds
//! out does not hold for them, since whoever browses chooses what is asked, and how much of it.

use super::breaker::{Breaker, CallVerdict, Leave};
use super::deadline::Deadline;
use super::failure::LiveFailure;
use crate::http::priority::Priority;
use crate::metrics;
use shared::d365::D365Error;
use shared::process::clock::Clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// When orders may try again, others wait so much longer: one call of all tries.
const ORDERS_FIRST: Duration = Duration::from_secs(1);
/// What a call has of its time to say by itself how it ended.
const TO_SAY_SO: Duration = Duration::from_millis(10);
/// No answer comes back in less; a call that has no more left is not sent.
const LEAST_TIME: Duration = Duration::from_millis(50);

/// Who may call one environment, and when.
#[derive(Debug)]
pub(crate) struct Environment {
    name: String,
    clock: Arc<dyn Clock>,
    permits: Permits,
    last_answer_took_ms: AtomicU64,
    breakers: Mutex<Breakers>,
}

/// What is known about D365.
#[derive(Debug, Default)]
struct Breakers {
    /// Goes by orders.
    orders: Breaker,
    /// Goes by all calls, and holds for those that are no orders.
    others: Breaker,
}

/// What a call may do, by both breakers.
#[derive(Debug, Clone, Copy)]
struct Leaves {
    /// None for a call that is no order.
    orders: Option<Leave>,
    others: Leave,
}

impl Breakers {
    fn rest_left(&self, now: Duration, priority: Priority, time: Duration) -> Option<Duration> {
        if priority == Priority::Order {
            return self.orders.rest_left(now, time);
        }
        let orders = self
            .orders
            .rest_left(now.saturating_sub(ORDERS_FIRST), time);
        orders.max(self.others.rest_left(now, time))
    }

    fn ask(
        &mut self,
        now: Duration,
        priority: Priority,
        time: Duration,
    ) -> Result<Leaves, Duration> {
        if priority == Priority::Order {
            return match self.orders.ask(now, time) {
                Leave::Rest(wait) => Err(wait),
                leave => Ok(Leaves {
                    orders: Some(leave),
                    others: self.others.ask(now, time),
                }),
            };
        }
        if let Some(wait) = self.rest_left(now, priority, time) {
            return Err(wait);
        }
        match self.others.ask(now, time) {
            Leave::Rest(wait) => Err(wait),
            others => Ok(Leaves {
                orders: None,
                others,
            }),
        }
    }

    fn note(
        &mut self,
        Leaves { orders, others }: Leaves,
        verdict: Option<CallVerdict>,
        began: Duration,
        now: Duration,
    ) -> bool {
        let opened = self.others.note(others, verdict, began, now);
        let Some(leave) = orders else {
            return opened;
        };
        let opened = self.orders.note(leave, verdict, began, now) || opened;
        if leave == Leave::Trial && !self.orders.is_closed() {
            self.others.is_failing(now);
        }
        opened
    }

    fn is_closed(&self) -> bool {
        self.orders.is_closed() && self.others.is_closed()
    }
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
        let of = |priority: Priority| Semaphore::new(priority.places_of(limit));
        Self {
            all: of(Priority::Order),
            details: of(Priority::Product),
            lists: of(Priority::Listing),
        }
    }

    /// Waits for the right to one call: a list's, a browse question's, and anybody's, as far as the
    /// priority needs them.
    async fn take(&self, priority: Priority) -> Option<[Option<SemaphorePermit<'_>>; 3]> {
        let list = match priority {
            Priority::Listing => Some(self.lists.acquire().await.ok()?),
            Priority::Product | Priority::Order => None,
        };
        let detail = match priority {
            Priority::Listing | Priority::Product => Some(self.details.acquire().await.ok()?),
            Priority::Order => None,
        };
        Some([list, detail, Some(self.all.acquire().await.ok()?)])
    }

    fn has_room(&self, priority: Priority) -> bool {
        let has_room = |permits: &Semaphore| permits.available_permits() > 0;
        has_room(&self.all)
            && (priority > Priority::Product || has_room(&self.details))
            && (priority > Priority::Listing || has_room(&self.lists))
    }
}

/// A call under way. Dropped without an end its caller has gone: it had no answer so far.
struct CallUnderWay<'a> {
    environment: &'a Environment,
    leaves: Leaves,
    began: Duration,
    is_over: bool,
}

impl CallUnderWay<'_> {
    fn end(mut self, answer: &Result<(), LiveFailure>) {
        self.is_over = true;
        let verdict = verdict_of(answer, self.took());
        self.environment.note(self.leaves, verdict, self.began);
    }

    fn took(&self) -> Duration {
        let now = self.environment.clock.monotonic();
        now.saturating_sub(self.began)
    }
}

impl Drop for CallUnderWay<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            // D365 was silent as long as somebody waited.
            let verdict = CallVerdict::Silent(self.took());
            self.environment
                .note(self.leaves, Some(verdict), self.began);
        }
    }
}

/// What an ended call says about the environment.
fn verdict_of(answer: &Result<(), LiveFailure>, took: Duration) -> Option<CallVerdict> {
    let failure = match answer {
        Ok(()) => return Some(CallVerdict::Works),
        Err(failure) => failure,
    };
    match failure {
        LiveFailure::DeadlinePassed => Some(CallVerdict::Silent(took)),
        LiveFailure::Erp(D365Error::TimedOut { silent_for, .. }) => {
            Some(CallVerdict::Silent(*silent_for))
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
        // The throttle gate looks after these; the rest failed before a request was sent.
        LiveFailure::NoCredentials
        | LiveFailure::BreakerOpen { .. }
        | LiveFailure::Erp(
            D365Error::Throttled { .. }
            | D365Error::NoCallSlot
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
            last_answer_took_ms: AtomicU64::new(0),
            breakers: Mutex::default(),
        }
    }

    /// Whether a call of this priority that has so much time could be sent right away.
    pub(crate) fn has_room(&self, priority: Priority, time: Duration) -> bool {
        self.permits.has_room(priority) && self.rest_left(priority, time).is_none()
    }

    /// How long D365's last answer took; nothing before the first.
    pub(crate) fn last_answer_took(&self) -> Duration {
        Duration::from_millis(self.last_answer_took_ms.load(Ordering::Relaxed))
    }

    /// Makes one call: with a permit, if the breaker lets it, ending with the deadline. `call` is
    /// told how much time it has.
    ///
    /// The breaker is asked after the wait for a permit: what opened it meanwhile counts, and a call
    /// that only waited is no trial.
    pub(crate) async fn call<T>(
        &self,
        deadline: &Deadline,
        priority: Priority,
        call: impl AsyncFnOnce(Duration) -> Result<T, D365Error>,
    ) -> Result<T, LiveFailure> {
        let left = deadline.left().ok_or(LiveFailure::DeadlinePassed)?;
        if let Some(wait) = self.rest_left(priority, left) {
            return Err(LiveFailure::BreakerOpen { wait });
        }
        let _permits = tokio::time::timeout(left, self.permits.take(priority))
            .await
            .ok()
            .flatten()
            .ok_or(LiveFailure::DeadlinePassed)?;
        let allowed = deadline.left().unwrap_or_default();
        if allowed < LEAST_TIME {
            return Err(LiveFailure::DeadlinePassed);
        }
        let leaves = self.leaves(priority, allowed);
        let leaves = leaves.map_err(|wait| LiveFailure::BreakerOpen { wait })?;
        let under_way = CallUnderWay {
            environment: self,
            leaves,
            began: self.clock.monotonic(),
            is_over: false,
        };
        let time = allowed.saturating_sub(TO_SAY_SO);
        let answer = match tokio::time::timeout(allowed, call(time)).await {
            Ok(answer) => answer.map_err(LiveFailure::from),
            Err(_elapsed) => Err(LiveFailure::DeadlinePassed),
        };
        match &answer {
            Ok(_) => {
                let took_ms = u64::try_from(under_way.took().as_millis()).unwrap_or(u64::MAX);
                self.last_answer_took_ms.store(took_ms, Ordering::Relaxed);
                under_way.end(&Ok(()));
            }
            Err(failure) => under_way.end(&Err(failure.clone())),
        }
        answer
    }

    /// How long nothing may be asked, without taking the trial.
    fn rest_left(&self, priority: Priority, allowed: Duration) -> Option<Duration> {
        let now = self.clock.monotonic();
        self.breakers().rest_left(now, priority, allowed)
    }

    fn leaves(&self, priority: Priority, allowed: Duration) -> Result<Leaves, Duration> {
        let now = self.clock.monotonic();
        self.breakers().ask(now, priority, allowed)
    }

    fn note(&self, leaves: Leaves, verdict: Option<CallVerdict>, began: Duration) {
        let now = self.clock.monotonic();
        let mut breakers = self.breakers();
        let was_closed = breakers.is_closed();
        let opened = breakers.note(leaves, verdict, began, now);
        let is_closed = breakers.is_closed();
        drop(breakers);
        if opened {
            metrics::breaker_opened();
            tracing::warn!(
                environment = self.name,
                last_call = ?verdict,
                is_an_order = leaves.orders.is_some(),
                "D365 keeps failing: such calls rest for ten seconds, then one tries"
            );
        } else if is_closed && !was_closed {
            tracing::info!(environment = self.name, "D365 answers again");
        }
        metrics::breaker(&self.name, is_closed);
    }

    fn breakers(&self) -> MutexGuard<'_, Breakers> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use shared::process::clock::ManualClock;
    use shared::stock::AsOf;

    const LONG: Duration = Duration::from_secs(2);

    fn house(permits: usize) -> (Arc<ManualClock>, Arc<Environment>, Deadline) {
        let manual = Arc::new(ManualClock::at(AsOf::EPOCH));
        let clock: Arc<dyn Clock> = manual.clone();
        let deadline = Deadline::begin(&clock, Duration::from_hours(1));
        let environment = Environment::new("https://e".to_owned(), permits, clock);
        (manual, Arc::new(environment), deadline)
    }

    async fn seven(environment: &Environment, deadline: &Deadline) -> Result<u8, LiveFailure> {
        let call = environment.call(deadline, Priority::Order, async |_| Ok(7));
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
                .call(&deadline, Priority::Order, async |_| {
                    sent += 1;
                    failing()
                })
                .await;
            assert!(answer.is_err());
        }
        assert_eq!(sent, 5);
        assert!(!environment.has_room(Priority::Order, LONG));
        clock.advance(Duration::from_secs(10));
        assert!(environment.has_room(Priority::Order, LONG));
        assert_eq!(seven(&environment, &deadline).await, Ok(7));
        assert!(environment.has_room(Priority::Order, LONG));
    }

    #[tokio::test]
    async fn callers_who_leave_say_nothing_to_those_who_wait_longer() {
        let (clock, environment, deadline) = house(4);
        for number in 0..6 {
            let call = environment.call(&deadline, Priority::Order, async |_| {
                std::future::pending::<Result<(), D365Error>>().await
            });
            let mut call = Box::pin(call);
            assert!(call.as_mut().now_or_never().is_none(), "{number}");
            clock.advance(Duration::from_millis(700));
        }
        assert!(!environment.has_room(Priority::Order, Duration::from_millis(600)));
        assert!(environment.has_room(Priority::Order, Duration::from_millis(900)));
        assert_eq!(seven(&environment, &deadline).await, Ok(7));
    }

    #[tokio::test]
    async fn what_browsing_finds_out_does_not_hold_for_orders() {
        let (clock, environment, deadline) = house(4);
        // Somebody asks for what D365 fails on, over and over.
        for _ in 0..20 {
            let call = environment.call(&deadline, Priority::Product, async |_| failing());
            let _failed = call.await;
        }
        assert!(!environment.has_room(Priority::Product, LONG));
        assert!(!environment.has_room(Priority::Listing, LONG));
        assert!(environment.has_room(Priority::Order, LONG));
        clock.advance(Duration::from_millis(1));
        assert_eq!(seven(&environment, &deadline).await, Ok(7));
        // What an order finds out holds for everybody.
        assert!(environment.has_room(Priority::Product, LONG));
        for _ in 0..5 {
            let call = environment.call(&deadline, Priority::Order, async |_| failing());
            let _failed = call.await;
        }
        for priority in [Priority::Listing, Priority::Product, Priority::Order] {
            assert!(!environment.has_room(priority, LONG));
        }
    }

    #[tokio::test]
    async fn one_call_of_all_tries_while_orders_are_among_them() {
        let (clock, environment, deadline) = house(4);
        let mut tried = Vec::new();
        for second in 0..60 {
            for priority in [Priority::Listing, Priority::Order, Priority::Product] {
                let call = environment.call(&deadline, priority, async |_| {
                    tried.push(second);
                    failing()
                });
                let _failed = call.await;
            }
            clock.advance(Duration::from_secs(1));
        }
        // Five of the orders, what browsing asks meanwhile, then one in ten seconds.
        tried.retain(|second| *second >= 5);
        assert!(tried.is_sorted_by(|a, b| a + 10 <= *b), "{tried:?}");
        assert!(tried.len() >= 5, "{tried:?}");
    }

    #[tokio::test]
    async fn an_order_waits_for_orders_only() {
        let (_clock, environment, deadline) = house(8);
        let mut under_way = Vec::new();
        let mut begin = |priority| {
            let (environment, deadline) = (Arc::clone(&environment), deadline.clone());
            let mut call = Box::pin(async move {
                let never = async |_| std::future::pending::<Result<(), D365Error>>().await;
                environment.call(&deadline, priority, never).await
            });
            assert!(call.as_mut().now_or_never().is_none());
            under_way.push(call);
        };
        // More than may call at once: the rest wait.
        (0..20).for_each(|_| begin(Priority::Listing));
        assert!(!environment.has_room(Priority::Listing, LONG));
        assert!(environment.has_room(Priority::Product, LONG));
        (0..20).for_each(|_| begin(Priority::Product));
        assert!(!environment.has_room(Priority::Product, LONG));
        assert_eq!(seven(&environment, &deadline).await, Ok(7));
        begin(Priority::Order);
        assert!(!environment.has_room(Priority::Order, LONG));
        drop(under_way);
        assert!(environment.has_room(Priority::Listing, LONG));
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
        let (took, silent_for) = (Duration::from_secs(2), Duration::from_millis(700));
        let timed_out = erp(D365Error::TimedOut {
            stage: "",
            silent_for,
        });
        for (answer, expected) in [
            (Ok(()), Some(CallVerdict::Works)),
            (status(404), Some(CallVerdict::Works)),
            (status(500), Some(CallVerdict::Fails)),
            (erp(D365Error::NoCallSlot), None),
            // Not for what it waited before it was sent.
            (timed_out, Some(CallVerdict::Silent(silent_for))),
            (
                Err(LiveFailure::DeadlinePassed),
                Some(CallVerdict::Silent(took)),
            ),
            (
                erp(D365Error::Throttled {
                    retry_after: Duration::ZERO,
                }),
                None,
            ),
        ] {
            assert_eq!(verdict_of(&answer, took), expected, "{answer:?}");
        }
    }
}

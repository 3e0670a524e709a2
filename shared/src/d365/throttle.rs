//! Staying away when D365 says so, and not asking for more at once than it bears.
//!
//! The budget of calls at once belongs to an app registration and is shared by all replicas
//! (`redis_store::SharedThrottleGate`); what is in here is the rule for one process, which holds
//! while Redis is away.

mod concurrency;
mod retry_after;
mod share;

pub(in crate::d365) use retry_after::wait_asked_for;
pub use share::{CallEnd, CallRight, Share};

use crate::d365::Purpose;
use crate::process::clock::Clock;
use concurrency::ConcurrencyLimit;
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An app registration as one D365 environment sees it. D365 counts and ranks calls by the client id,
/// so the throttle gate and the concurrency limit are kept by it too; what one environment says of
/// waiting is nothing to another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId {
    client_id: Arc<str>,
    environment: Arc<str>,
}

impl AppId {
    /// Takes a client id as it is configured, and the environment's host.
    pub fn new(client_id: &str, environment: &str) -> Self {
        Self {
            client_id: client_id.into(),
            environment: environment.into(),
        }
    }

    /// The client id.
    pub fn as_str(&self) -> &str {
        &self.client_id
    }

    /// The environment's host, with a port that is not the usual one.
    pub fn environment(&self) -> &str {
        &self.environment
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.client_id)
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.client_id)
    }
}

/// How much may be asked of D365 at once, and whether at all just now.
///
/// "Wait until" is asked for before each call and set by each 429:
/// carrying on during the wait makes D365 lengthen the next one, so what one replica was told holds
/// for all that share the gate. So does the number of calls at once: D365 counts by app
/// registration, not by process.
pub trait ThrottleGate: Send + Sync + fmt::Debug {
    /// How long calls of this app registration must still stay away; none if the gate is open.
    /// Answers from what is known when the shared store is away: it never fails.
    fn wait_left<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Option<Duration>>;

    /// Closes the gate for this long from now. Never shortens a longer closure.
    fn close<'a>(&'a self, app: &'a AppId, wait: Duration) -> BoxFuture<'a, ()>;

    /// Takes the right to one call; none if as many are under way as may be. Decides from what is
    /// known when the shared store is away: it never fails.
    fn take<'a>(
        &'a self,
        app: &'a AppId,
        share: Share,
    ) -> BoxFuture<'a, Option<Box<dyn CallRight>>>;
}

/// A gate for one process: for programs without Redis, and behind the shared gate while Redis is
/// away.
#[derive(Debug)]
pub struct ProcessThrottleGate {
    clock: Arc<dyn Clock>,
    closed_until: Mutex<HashMap<AppId, Duration>>,
    limits: Mutex<HashMap<(AppId, Purpose), Arc<ConcurrencyLimit>>>,
}

impl ProcessThrottleGate {
    /// An open gate. Reads the monotonic clock only.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            closed_until: Mutex::default(),
            limits: Mutex::default(),
        }
    }

    /// Takes the right to one call of this process, never more than `cap` at once.
    pub fn take_now(&self, app: &AppId, share: Share, cap: usize) -> Option<Box<dyn CallRight>> {
        let limit = {
            let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
            let limit = limits
                .entry((app.clone(), share.purpose))
                .or_insert_with(|| Arc::new(first_limit(share)));
            Arc::clone(limit)
        };
        limit.try_acquire(cap, share.percent())
    }

    /// How long this app registration must still stay away, without waiting for anything.
    pub fn wait_left_now(&self, app: &AppId) -> Option<Duration> {
        let mut closed_until = self
            .closed_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let left = closed_until
            .get(app)?
            .checked_sub(self.clock.monotonic())
            .filter(|left| !left.is_zero());
        if left.is_none() {
            closed_until.remove(app);
        }
        left
    }

    /// Closes the gate for this long, unless it is closed for longer already.
    pub fn close_now(&self, app: &AppId, wait: Duration) {
        let until = self.clock.monotonic().saturating_add(wait);
        self.closed_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(app.clone())
            .and_modify(|known| *known = until.max(*known))
            .or_insert(until);
    }
}

/// Prefetching starts low and never insists. A live look-up goes out as several calls at once and
/// must not stall behind one when D365 was slow a moment ago.
fn first_limit(share: Share) -> ConcurrencyLimit {
    let most = usize::try_from(share.most_of_purpose()).unwrap_or(usize::MAX);
    match share.purpose {
        Purpose::Live => ConcurrencyLimit::new(8, 2, most),
        Purpose::Prefetch => ConcurrencyLimit::new(2, 1, most),
    }
}

impl ThrottleGate for ProcessThrottleGate {
    fn wait_left<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Option<Duration>> {
        Box::pin(std::future::ready(self.wait_left_now(app)))
    }

    fn close<'a>(&'a self, app: &'a AppId, wait: Duration) -> BoxFuture<'a, ()> {
        self.close_now(app, wait);
        Box::pin(std::future::ready(()))
    }

    fn take<'a>(
        &'a self,
        app: &'a AppId,
        share: Share,
    ) -> BoxFuture<'a, Option<Box<dyn CallRight>>> {
        Box::pin(std::future::ready(self.take_now(app, share, usize::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::clock::ManualClock;
    use crate::stock::AsOf;

    #[tokio::test]
    async fn a_closed_gate_opens_when_its_time_is_over_and_never_earlier() {
        let clock = Arc::new(ManualClock::at(AsOf::EPOCH));
        let gate = ProcessThrottleGate::new(clock.clone());
        let (app, other) = (AppId::new("a", "e"), AppId::new("b", "e"));
        assert_eq!(gate.wait_left(&app).await, None);

        gate.close(&app, Duration::from_mins(1)).await;
        gate.close(&app, Duration::from_secs(5)).await;
        clock.advance(Duration::from_secs(6));
        assert_eq!(gate.wait_left(&app).await, Some(Duration::from_secs(54)));
        assert_eq!(gate.wait_left(&other).await, None);

        gate.close(&app, Duration::from_mins(2)).await;
        clock.advance(Duration::from_millis(119_999));
        assert_eq!(gate.wait_left(&app).await, Some(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(gate.wait_left(&app).await, None);
    }
}

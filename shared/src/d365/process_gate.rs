//! The throttle gate of one process: for programs without Redis, and while Redis is away.

use crate::d365::throttle::{AppId, CallEnd, CallRight, Purpose, Share, ThrottleGate};
use crate::process::clock::Clock;
use futures_util::future::{BoxFuture, ready};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Calls of one process at once by purpose. Their number is fixed: what may be learned about D365 is
/// learned by all replicas together, in Redis.
#[derive(Debug)]
pub struct ProcessThrottleGate {
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<AppId, Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// On the monotonic clock.
    closed_until: Duration,
    under_way: HashMap<Purpose, Arc<()>>,
}

/// Counts as under way until dropped.
#[derive(Debug)]
struct ProcessRight {
    _counted: Arc<()>,
    limit: usize,
}

impl CallRight for ProcessRight {
    fn end(self: Box<Self>, _end: CallEnd) -> usize {
        self.limit
    }
}

impl ProcessThrottleGate {
    /// An open gate. Reads the monotonic clock only.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            known: Mutex::default(),
        }
    }

    /// Takes the right to one call of this process, never more than `cap` at once.
    pub fn take_now(&self, app: &AppId, share: Share, cap: usize) -> Option<Box<dyn CallRight>> {
        let whole = match share.purpose {
            Purpose::Live => share.most.max(1),
            Purpose::Prefetch => share.most_prefetching(),
        };
        let limit = usize::try_from(whole).unwrap_or(usize::MAX).min(cap);
        let part = usize::try_from(share.percent()).unwrap_or(100);
        let mut known = self.known();
        let known = known.entry(app.clone()).or_default();
        let counter = known.under_way.entry(share.purpose).or_default();
        let under_way = Arc::strong_count(counter) - 1;
        (under_way < (limit.saturating_mul(part) / 100).max(1)).then(|| {
            Box::new(ProcessRight {
                _counted: Arc::clone(counter),
                limit,
            }) as Box<dyn CallRight>
        })
    }

    /// How long this app registration must still stay away, without waiting for anything.
    pub fn wait_left_now(&self, app: &AppId) -> Option<Duration> {
        let closed_until = self.known().get(app)?.closed_until;
        let left = closed_until.saturating_sub(self.clock.monotonic());
        (!left.is_zero()).then_some(left)
    }

    /// Closes the gate for this long, unless it is closed for longer already.
    pub fn close_now(&self, app: &AppId, wait: Duration) {
        let until = self.clock.monotonic().saturating_add(wait);
        let mut known = self.known();
        let known = known.entry(app.clone()).or_default();
        known.closed_until = known.closed_until.max(until);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<AppId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ThrottleGate for ProcessThrottleGate {
    fn wait_left<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Option<Duration>> {
        Box::pin(ready(self.wait_left_now(app)))
    }

    fn close<'a>(&'a self, app: &'a AppId, wait: Duration) -> BoxFuture<'a, ()> {
        self.close_now(app, wait);
        Box::pin(ready(()))
    }

    fn take<'a>(
        &'a self,
        app: &'a AppId,
        share: Share,
    ) -> BoxFuture<'a, Option<Box<dyn CallRight>>> {
        Box::pin(ready(self.take_now(app, share, usize::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::clock::ManualClock;
    use crate::stock::AsOf;

    #[test]
    fn a_closed_gate_opens_when_its_time_is_over_and_never_earlier() {
        let clock = Arc::new(ManualClock::at(AsOf::EPOCH));
        let gate = ProcessThrottleGate::new(clock.clone());
        let (app, other) = (AppId::new("a", "e"), AppId::new("a", "other"));
        assert_eq!(gate.wait_left_now(&app), None);

        gate.close_now(&app, Duration::from_mins(1));
        gate.close_now(&app, Duration::from_secs(5));
        clock.advance(Duration::from_secs(6));
        assert_eq!(gate.wait_left_now(&app), Some(Duration::from_secs(54)));
        assert_eq!(gate.wait_left_now(&other), None);

        gate.close_now(&app, Duration::from_mins(2));
        clock.advance(Duration::from_millis(119_999));
        assert_eq!(gate.wait_left_now(&app), Some(Duration::from_millis(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(gate.wait_left_now(&app), None);
    }

    #[test]
    fn each_purpose_has_its_part_and_gets_it_back() {
        let gate = ProcessThrottleGate::new(Arc::new(ManualClock::at(AsOf::EPOCH)));
        let app = AppId::new("a", "e");
        let taken = |purpose, gives_way, cap| {
            let share = Share {
                purpose,
                most: 8,
                kept_for_live: 3,
                gives_way,
            };
            let rights = std::iter::from_fn(|| gate.take_now(&app, share, cap));
            rights.collect::<Vec<_>>()
        };
        let prefetching = taken(Purpose::Prefetch, false, usize::MAX);
        assert_eq!(prefetching.len(), 5);
        let giving_way = taken(Purpose::Live, true, usize::MAX);
        assert_eq!(giving_way.len(), 6);
        assert_eq!(taken(Purpose::Live, false, usize::MAX).len(), 2);
        drop(giving_way);
        for right in prefetching {
            assert_eq!(right.end(CallEnd::Overload), 5);
        }
        assert_eq!(taken(Purpose::Live, false, 3).len(), 3);
        assert_eq!(taken(Purpose::Prefetch, true, 1).len(), 1);
    }
}

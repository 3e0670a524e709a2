//! What is left of the caller's time.

use actix_web::{HttpMessage, HttpRequest};
use shared::process::clock::Clock;
use std::sync::Arc;
use std::time::Duration;

/// When a request arrived: the reading of the monotonic clock when its head was there. Its deadline
/// counts from here, so that a slow body uses up the caller's time and not ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival(pub(crate) Duration);

/// The end of a question's time, on the monotonic clock.
#[derive(Debug, Clone)]
pub(crate) struct Deadline {
    clock: Arc<dyn Clock>,
    ends_at: Duration,
}

impl Deadline {
    /// Begins now.
    #[cfg(test)]
    pub(crate) fn begin(clock: &Arc<dyn Clock>, time: Duration) -> Self {
        Self {
            ends_at: clock.monotonic().saturating_add(time),
            clock: Arc::clone(clock),
        }
    }

    /// The deadline of a request that arrived then.
    pub(crate) fn of(request: &HttpRequest, clock: &Arc<dyn Clock>, time: Duration) -> Self {
        let arrival = request.extensions().get::<Arrival>().copied();
        let began = arrival.map_or_else(|| clock.monotonic(), |Arrival(began)| began);
        Self {
            ends_at: began.saturating_add(time),
            clock: Arc::clone(clock),
        }
    }

    /// A deadline at this reading of the monotonic clock.
    pub(super) fn until(clock: &Arc<dyn Clock>, ends_at: Duration) -> Self {
        Self {
            clock: Arc::clone(clock),
            ends_at,
        }
    }

    /// Its end, as a reading of the monotonic clock.
    pub(super) fn ends_at(&self) -> Duration {
        self.ends_at
    }

    /// The time left; none once it has passed.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.ends_at
            .checked_sub(self.clock.monotonic())
            .filter(|left| !left.is_zero())
    }

    /// The same deadline, this much earlier.
    #[must_use]
    pub(crate) fn earlier_by(&self, time: Duration) -> Self {
        Self {
            clock: Arc::clone(&self.clock),
            ends_at: self.ends_at.saturating_sub(time),
        }
    }

    /// Waits for something, until the deadline at the latest.
    pub(crate) async fn wait_for<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.left()?, work).await.ok()
    }

    /// A reading to measure from.
    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Time since such a reading.
    pub(crate) fn since(&self, reading: Duration) -> Duration {
        self.clock.monotonic().saturating_sub(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::process::clock::ManualClock;
    use shared::stock::AsOf;

    #[test]
    fn a_deadline_runs_out_and_stays_out() {
        let manual = Arc::new(ManualClock::at(AsOf::EPOCH));
        let clock: Arc<dyn Clock> = manual.clone();
        let deadline = Deadline::begin(&clock, Duration::from_millis(100));
        manual.advance(Duration::from_millis(60));
        assert_eq!(deadline.left(), Some(Duration::from_millis(40)));
        let earlier = deadline.earlier_by(Duration::from_millis(40));
        assert_eq!(earlier.left(), None);
        manual.advance(Duration::from_millis(40));
        assert_eq!(deadline.left(), None);
        manual.advance(Duration::from_secs(1));
        assert_eq!(deadline.left(), None);
    }
}

//! Time as a parameter, so that a test can stand at any instant.

use crate::stock::AsOf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from.
///
/// As-of stamps of all replicas are compared with each other, so they come from one clock: the
/// services run on Redis' `TIME`, sampled and carried on by the local monotonic clock.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now, for as-of stamps and ages.
    fn now(&self) -> AsOf;

    /// Whether [`Clock::now`] is on the clock all replicas share. While it is not (Redis was never
    /// reached), ages may be shown but nothing may be stored.
    fn is_shared(&self) -> bool;

    /// A reading of the local monotonic clock, for measuring and for deadlines. Never stepped.
    fn monotonic(&self) -> Duration;
}

/// The machine's own clocks. Not shared between replicas: for the simulator's peers, tests and
/// programs that store nothing.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this file is where time enters")]
    fn default() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this file is where time enters")]
    fn now(&self) -> AsOf {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        AsOf::EPOCH.plus(since_epoch)
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is moved. Counts as shared.
#[derive(Debug)]
pub struct ManualClock {
    ms: AtomicI64,
    started_ms: i64,
}

impl ManualClock {
    pub fn at(now: AsOf) -> Self {
        Self {
            ms: AtomicI64::new(now.unix_ms()),
            started_ms: now.unix_ms(),
        }
    }

    /// Moves both readings on.
    pub fn advance(&self, time: Duration) {
        let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> AsOf {
        let ms = self.ms.load(Ordering::SeqCst);
        AsOf::EPOCH.plus(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn monotonic(&self) -> Duration {
        let ms = self.ms.load(Ordering::SeqCst) - self.started_ms;
        Duration::from_millis(u64::try_from(ms).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(AsOf::EPOCH.plus(Duration::from_secs(100)));
        assert_eq!(clock.now().unix_ms(), 100_000);
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.now().unix_ms(), 101_500);
        assert_eq!(clock.monotonic(), Duration::from_millis(1_500));
    }
}

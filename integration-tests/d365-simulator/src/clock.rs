//! The simulator's one clock: UTC in milliseconds, never going backwards.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

/// An instant in UTC with millisecond resolution, written as `2026-11-23T04:53:56.123Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcMillis(i64);

impl UtcMillis {
    /// The instant before which nothing happened; rows of the generator are true since then.
    pub const BEGINNING: Self = Self(0);

    /// An instant from milliseconds since 1970-01-01T00:00:00Z.
    pub fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn unix_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Reads an ISO 8601 instant; anything finer than a millisecond is cut off.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|instant| Self(instant.as_millisecond()))
    }

    pub(crate) fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

impl fmt::Display for UtcMillis {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.3}", self.timestamp())
    }
}

impl Serialize for UtcMillis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Clock {
    latest: AtomicI64,
}

impl Clock {
    /// The wall clock's time, or the last answer if the wall clock has been set back since.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the simulator's only clock"
    )]
    pub(crate) fn now(&self) -> UtcMillis {
        let wall = jiff::Timestamp::now().as_millisecond();
        UtcMillis(self.latest.fetch_max(wall, Ordering::Relaxed).max(wall))
    }
}

/// Measures how long something took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the simulator's only clock"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_as_it_is_written_and_the_clock_never_goes_backwards() {
        let instant = UtcMillis::parse("2026-11-23T04:53:56.123Z").unwrap();
        assert_eq!(instant.to_string(), "2026-11-23T04:53:56.123Z");
        assert_eq!(UtcMillis::parse("yesterday"), None);
        let clock = Clock::default();
        clock.latest.store(i64::MAX, Ordering::Relaxed);
        assert_eq!(clock.now(), UtcMillis(i64::MAX));
    }
}

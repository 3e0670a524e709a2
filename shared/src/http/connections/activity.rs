//! What a connection does, seen from outside. Times are milliseconds of the monotonic clock.

use super::reading::Reading;
use crate::process::clock::Clock;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const BUSY: u64 = u64::MAX;

/// Whether a connection is quiet, since when, and for how long it may be.
#[derive(Debug)]
pub(super) struct Activity {
    /// Since when no request is in a handler; [`BUSY`] while one is.
    since: AtomicU64,
    /// For how long it may be so.
    allowed: AtomicU64,
    /// Whether a large reply is on its way.
    is_sending: AtomicBool,
}

impl Activity {
    /// Quiet from now on, for so long.
    pub(super) fn quiet(now: Duration, allowed: Duration) -> Self {
        Self {
            since: AtomicU64::new(whole_ms(now)),
            allowed: AtomicU64::new(whole_ms(allowed)),
            is_sending: AtomicBool::new(false),
        }
    }

    /// Whether it is quiet for longer than it may be.
    pub(super) fn is_overdue(&self, now: u64) -> bool {
        let since = self.since.load(Ordering::Acquire);
        let allowed = self.allowed.load(Ordering::Relaxed);
        since != BUSY && now.saturating_sub(since) > allowed
    }

    /// Since when it is quiet; none if it is not, or a reply is on its way.
    pub(super) fn may_give_way(&self) -> Option<u64> {
        let since = self.since.load(Ordering::Acquire);
        (since != BUSY && !self.is_sending.load(Ordering::Relaxed)).then_some(since)
    }

    fn becomes_quiet(&self, now: Duration, allowed: Duration) {
        self.allowed.store(whole_ms(allowed), Ordering::Relaxed);
        self.since.store(whole_ms(now), Ordering::Release);
    }
}

/// A request in a handler, until it is answered or dropped.
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    reading: Rc<Reading>,
    clock: Arc<dyn Clock>,
    quiet_for: Duration,
}

impl UnderWay {
    /// From now on. Afterwards the connection may be quiet for so long.
    pub(super) fn begin(
        activity: &Arc<Activity>,
        reading: &Rc<Reading>,
        clock: Arc<dyn Clock>,
        quiet_for: Duration,
    ) -> Self {
        activity.since.store(BUSY, Ordering::Release);
        reading.note_handler(true);
        Self {
            activity: Arc::clone(activity),
            reading: Rc::clone(reading),
            clock,
            quiet_for,
        }
    }

    /// The connection may be quiet for so long afterwards, if that is shorter.
    pub(super) fn is_quiet_for(&mut self, longest: Duration) {
        self.quiet_for = self.quiet_for.min(longest);
    }

    /// The handler is done and its reply goes out: the connection is quiet but cannot give way.
    pub(super) fn sends(&self) {
        self.activity.is_sending.store(true, Ordering::Relaxed);
        let now = self.clock.monotonic();
        self.activity.becomes_quiet(now, self.quiet_for);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.reading.note_handler(false);
        self.activity.is_sending.store(false, Ordering::Relaxed);
        let now = self.clock.monotonic();
        self.activity.becomes_quiet(now, self.quiet_for);
    }
}

impl fmt::Debug for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnderWay")
            .field("activity", &self.activity)
            .finish_non_exhaustive()
    }
}

pub(super) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(BUSY - 1)
}

//! What one connection does: shared by its stream, the request in its handler, and the watch over all.
//!
//! Times are milliseconds of the monotonic clock.

use crate::process::clock::Clock;
use futures_util::task::AtomicWaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

const BUSY: u64 = u64::MAX;
/// Bytes of one request, head and body, beyond which the library's buffers are not worth keeping.
const LARGE: usize = 64 * 1024;
/// Blank lines that are given at once while a body is read.
const HEADS_IN_BODY: u8 = 16;

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(super) enum Ending {
    Open,
    /// It ends unless a request has begun to come.
    WhenIdle,
    /// It ends; what was written last still goes out.
    Closed,
    /// It ends, and what the caller did not fetch is thrown away.
    Cut,
}

/// Whether a connection is quiet, since when, and whether it is read on.
#[derive(Debug)]
pub(super) struct Activity {
    clock: Arc<dyn Clock>,
    longest_quiet: Duration,
    /// Since when no request is in a handler; [`BUSY`] while one is.
    quiet_since: AtomicU64,
    /// For how long it may be so.
    quiet_for: AtomicU64,
    /// A large reply is on its way.
    is_sending: AtomicBool,
    /// A handler waits for more of its request's body.
    wants_body: AtomicBool,
    /// The system takes no more of what is written.
    is_blocked: AtomicBool,
    /// Bytes of the request that comes or is in a handler.
    received: AtomicUsize,
    ending: AtomicU8,
    is_held_back: AtomicBool,
    reader: AtomicWaker,
}

impl Activity {
    /// Quiet from now on.
    pub(super) fn new(clock: Arc<dyn Clock>, longest_quiet: Duration) -> Self {
        let now = whole_ms(clock.monotonic());
        Self {
            clock,
            longest_quiet,
            quiet_since: AtomicU64::new(now),
            quiet_for: AtomicU64::new(whole_ms(longest_quiet)),
            is_sending: AtomicBool::new(false),
            wants_body: AtomicBool::new(false),
            is_blocked: AtomicBool::new(false),
            received: AtomicUsize::new(0),
            ending: AtomicU8::new(Ending::Open as u8),
            is_held_back: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        }
    }

    /// Whether it is quiet for longer than it may be.
    pub(super) fn is_overdue(&self, now: u64) -> bool {
        let since = self.quiet_since.load(Ordering::Acquire);
        let allowed = self.quiet_for.load(Ordering::Relaxed);
        since != BUSY && now.saturating_sub(since) > allowed
    }

    /// Since when it is quiet; none if it is not, or a reply is on its way.
    pub(super) fn idle_since(&self) -> Option<u64> {
        let since = self.quiet_since.load(Ordering::Acquire);
        (since != BUSY && !self.is_sending.load(Ordering::Relaxed)).then_some(since)
    }

    /// Ends it, if it was not ended as strictly before.
    pub(super) fn end(&self, how: Ending) {
        self.ending.fetch_max(how as u8, Ordering::AcqRel);
        self.reader.wake();
    }

    /// Ends it when it is idle. What has begun to come has this long.
    pub(super) fn drain(&self, head_within: Duration) {
        let since = self.quiet_since.load(Ordering::Acquire);
        if since != BUSY {
            let now = whole_ms(self.clock.monotonic());
            self.quiet_for
                .store(whole_ms(head_within), Ordering::Relaxed);
            let _at_work =
                self.quiet_since
                    .compare_exchange(since, now, Ordering::AcqRel, Ordering::Relaxed);
        }
        self.end(Ending::WhenIdle);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ending.load(Ordering::Acquire) >= Ending::Closed as u8
    }

    pub(super) fn is_cut(&self) -> bool {
        self.ending.load(Ordering::Acquire) == Ending::Cut as u8
    }

    /// Whether its end is to be read next. `reader` is woken when that changes.
    pub(super) fn ends_reading(&self, reader: &Waker) -> bool {
        self.reader.register(reader);
        let ending = self.ending.load(Ordering::Acquire);
        ending >= Ending::Closed as u8
            || (ending == Ending::WhenIdle as u8
                && self.idle_since().is_some()
                && self.received.load(Ordering::Relaxed) == 0)
    }

    /// Whether more may be read now: not while a request is in a handler that waits for nothing more, and not
    /// while replies cannot be written. Otherwise the reader is woken when it may.
    pub(super) fn may_read(&self) -> bool {
        let is_allowed = self.is_read_on();
        self.is_held_back.store(!is_allowed, Ordering::Relaxed);
        is_allowed
    }

    fn is_read_on(&self) -> bool {
        !self.is_blocked.load(Ordering::Relaxed)
            && (self.idle_since().is_some() || self.wants_body.load(Ordering::Relaxed))
    }

    fn go_on(&self) {
        if self.is_read_on() && self.is_held_back.swap(false, Ordering::Relaxed) {
            self.reader.wake();
        }
    }

    /// So many heads may end among what the library decodes at once. In a body a blank line is no head's end as
    /// a rule, and a pause at each would cost more than the few requests that may come with it.
    pub(super) fn heads_at_once(&self) -> u8 {
        if self.wants_body.load(Ordering::Relaxed) {
            HEADS_IN_BODY
        } else {
            1
        }
    }

    pub(super) fn note_received(&self, bytes: usize) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn note_blocked(&self, is_blocked: bool) {
        if self.is_blocked.swap(is_blocked, Ordering::Relaxed) && !is_blocked {
            self.go_on();
        }
    }

    /// Whether the handler waits for more of the body.
    pub(super) fn note_wanted(&self, is_wanted: bool) {
        self.wants_body.store(is_wanted, Ordering::Relaxed);
        if is_wanted {
            self.go_on();
        }
    }

    fn becomes_quiet(&self, allowed: Duration) {
        self.quiet_for.store(whole_ms(allowed), Ordering::Relaxed);
        let now = whole_ms(self.clock.monotonic());
        self.quiet_since.store(now, Ordering::Release);
    }
}

/// A request in a handler, until it is answered or dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    quiet_for: Duration,
}

impl UnderWay {
    /// From now on.
    pub(super) fn begin(activity: &Arc<Activity>) -> Self {
        activity.quiet_since.store(BUSY, Ordering::Release);
        activity.wants_body.store(false, Ordering::Relaxed);
        Self {
            activity: Arc::clone(activity),
            quiet_for: activity.longest_quiet,
        }
    }

    /// The connection may be quiet for so long afterwards, if that is shorter.
    pub(super) fn is_quiet_for(&mut self, longest: Duration) {
        self.quiet_for = self.quiet_for.min(longest);
    }

    /// Whether the request took buffers that should not be kept.
    pub(super) fn was_large(&self) -> bool {
        self.activity.received.load(Ordering::Relaxed) > LARGE
    }

    /// The handler is done and its reply goes out: the connection has its deadline, and is not idle.
    pub(super) fn sends(&self) {
        self.activity.is_sending.store(true, Ordering::Relaxed);
        self.activity.becomes_quiet(self.quiet_for);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.received.store(0, Ordering::Relaxed);
        activity.wants_body.store(false, Ordering::Relaxed);
        activity.is_sending.store(false, Ordering::Relaxed);
        activity.becomes_quiet(self.quiet_for);
        activity.go_on();
    }
}

pub(super) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(BUSY - 1)
}

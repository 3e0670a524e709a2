//! Connections kept between calls, and new ones while the kept ones are not trusted.
//!
//! A firewall or a load balancer on the way may have forgotten a connection that was kept: it is
//! closed as a request goes out, or swallows the request. Nobody can see that beforehand. So after
//! one such connection none of those kept by then is used any more.

use crate::process::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long a connection nobody uses is kept: common load balancers forget one after minutes.
pub(super) const KEPT_IDLE: Duration = Duration::from_mins(1);

/// How a call goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Over a kept connection if there is one; it may be one that was used before.
    Kept {
        /// Whether there may be one.
        may_be_used_before: bool,
    },
    /// Over a connection made for it.
    New,
}

/// The two clients of one purpose.
#[derive(Debug)]
pub(super) struct Connections {
    /// Keeps its connections for [`KEPT_IDLE`].
    kept: reqwest::Client,
    /// Keeps none.
    new: reqwest::Client,
    clock: Arc<dyn Clock>,
    /// On the monotonic clock, in ms: until then a kept connection may be idle.
    used_until_ms: AtomicU64,
    /// Until then kept ones may be from before one that was bad.
    distrusted_until_ms: AtomicU64,
    /// Until then silence is no sign of a bad one: D365 is slow.
    slow_until_ms: AtomicU64,
}

impl Connections {
    /// No connection yet.
    pub(super) fn new(kept: reqwest::Client, new: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            kept,
            new,
            clock,
            used_until_ms: AtomicU64::new(0),
            distrusted_until_ms: AtomicU64::new(0),
            slow_until_ms: AtomicU64::new(0),
        }
    }

    /// How the next call goes out.
    pub(super) fn way(&self) -> Way {
        let now_ms = self.after_ms(Duration::ZERO);
        if now_ms < self.distrusted_until_ms.load(Ordering::Relaxed) {
            return Way::New;
        }
        Way::Kept {
            may_be_used_before: now_ms < self.used_until_ms.load(Ordering::Relaxed),
        }
    }

    /// The client that goes this way.
    pub(super) fn client(&self, way: Way) -> &reqwest::Client {
        match way {
            Way::Kept { .. } => &self.kept,
            Way::New => &self.new,
        }
    }

    /// An answer has begun to come this way; reading it takes so long at most.
    pub(super) fn note_answer(&self, way: Way, longest: Duration) {
        if let Way::Kept { .. } = way {
            let until_ms = self.after_ms(longest + KEPT_IDLE);
            self.used_until_ms.fetch_max(until_ms, Ordering::Relaxed);
        }
    }

    /// A kept connection was bad: by the end of this no connection from before now is left.
    pub(super) fn distrust(&self) {
        self.distrusted_until_ms
            .store(self.after_ms(KEPT_IDLE), Ordering::Relaxed);
    }

    /// It was not bad after all: D365 is slow, and may be for a while.
    pub(super) fn trust(&self) {
        self.distrusted_until_ms.store(0, Ordering::Relaxed);
        self.slow_until_ms
            .store(self.after_ms(KEPT_IDLE), Ordering::Relaxed);
    }

    /// Whether silence is more likely D365's than a bad connection's.
    pub(super) fn is_d365_slow(&self) -> bool {
        self.after_ms(Duration::ZERO) < self.slow_until_ms.load(Ordering::Relaxed)
    }

    fn after_ms(&self, time: Duration) -> u64 {
        let at = self.clock.monotonic().saturating_add(time);
        u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
    }
}

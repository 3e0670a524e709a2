//! How a warehouse's feed stands, computed by the reader: a dead prefetcher shows in replies,
//! readiness and metrics with no worker alive to tell.

use shared::process::guards::{self, Guard};
use shared::stock::{AsOf, FeedStanding, SnapshotState};
use std::time::Duration;

/// How a feed stands. The worst comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FeedState {
    /// Nothing was ever read.
    Cold,
    /// There is no complete snapshot yet; what was read is served.
    Warming,
    /// There is one, but it is older than it may be, or the cycle after it failed.
    Degraded,
    /// The last complete snapshot is young enough.
    Ready,
}

impl FeedState {
    /// The word used in replies and metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warming => "warming",
            Self::Degraded => "degraded",
            Self::Ready => "ready",
        }
    }
}

/// A feed at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Feed {
    /// How it stands.
    pub state: FeedState,
    /// Start of the last complete snapshot.
    pub watermark: Option<AsOf>,
    /// The watermark's age.
    pub age: Option<Duration>,
    /// Whether nobody seems to feed it: its watermark is older than a feed may be.
    pub is_overdue: bool,
    /// When the next cycle is due.
    pub next_due: Option<AsOf>,
}

impl Feed {
    /// Judges a feed; a watermark older than `stale_after` is overdue.
    pub(crate) fn of(standing: &FeedStanding, now: AsOf, stale_after: Duration) -> Self {
        let (watermark, _) = standing.credible_watermarks(now);
        let age = watermark.map(|watermark| watermark.age_at(now));
        let is_overdue =
            age.is_some_and(|age| age > stale_after) && !guards::is_off(Guard::ReaderJudgesAge);
        let last_cycle_failed = matches!(
            standing.state,
            SnapshotState::Partial | SnapshotState::Quarantined
        );
        let state = match (watermark, standing.state) {
            (None, SnapshotState::Cold) => FeedState::Cold,
            (None, _) => FeedState::Warming,
            (Some(_), _) if is_overdue || last_cycle_failed => FeedState::Degraded,
            (Some(_), _) => FeedState::Ready,
        };
        Self {
            state,
            watermark,
            age,
            is_overdue,
            next_due: standing.next_due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> AsOf {
        AsOf::from_unix_ms(1_800_000_000_000 + seconds * 1_000).unwrap()
    }

    #[test]
    fn a_feed_stands_as_its_watermark_and_last_cycle_say() {
        for (state, watermark, expected, overdue) in [
            (SnapshotState::Cold, None, FeedState::Cold, false),
            (SnapshotState::Warming, None, FeedState::Warming, false),
            (SnapshotState::Partial, None, FeedState::Warming, false),
            (SnapshotState::Complete, Some(40), FeedState::Ready, false),
            (SnapshotState::Complete, Some(39), FeedState::Degraded, true),
            (SnapshotState::Partial, Some(90), FeedState::Degraded, false),
            (
                SnapshotState::Quarantined,
                Some(90),
                FeedState::Degraded,
                false,
            ),
        ] {
            let standing = FeedStanding {
                state,
                watermark: watermark.map(at),
                ..FeedStanding::default()
            };
            let feed = Feed::of(&standing, at(100), Duration::from_mins(1));
            assert_eq!(
                (feed.state, feed.is_overdue),
                (expected, overdue),
                "{standing:?}"
            );
        }
    }

    #[test]
    fn the_worst_state_is_the_smallest() {
        let worst = [FeedState::Ready, FeedState::Cold, FeedState::Degraded]
            .into_iter()
            .min();
        assert_eq!(worst, Some(FeedState::Cold));
    }
}

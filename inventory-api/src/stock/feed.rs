//! How a warehouse's feed stands, computed by the reader: a dead prefetcher shows in replies,
//! readiness and metrics with no worker alive.

use serde::Serialize;
use shared::stock::{AsOf, FeedStanding, SnapshotState};
use std::time::Duration;
use utoipa::ToSchema;

/// How a feed stands, the worst first: `cold` nothing was ever read; `warming` no complete snapshot yet;
/// `degraded` the last complete snapshot is too old, or the cycle after it failed; `ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
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
    pub state: FeedState,
    pub watermark: Option<AsOf>,
    /// When its age begins: the watermark; before there is one, when the feed was first wanted.
    pub since: Option<AsOf>,
    pub age: Option<Duration>,
    /// Whether nobody seems to feed it: it is older than a feed may be.
    pub is_overdue: bool,
    /// Whether it was read with other settings, so that nothing of it counts.
    pub is_of_other_settings: bool,
    /// When the next cycle is due.
    pub next_due: Option<AsOf>,
}

impl Feed {
    /// Judges a feed; one older than `stale_after` is overdue, also if it never was complete.
    pub(crate) fn of(
        standing: &FeedStanding,
        now: AsOf,
        stale_after: Duration,
        is_of_other_settings: bool,
    ) -> Self {
        let (watermark, _) = standing.credible_watermarks(now);
        let since = watermark.or(standing.wanted);
        let age = since.map(|since| since.age_at(now));
        let is_overdue = age.is_some_and(|age| age > stale_after);
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
            since,
            age,
            is_overdue,
            is_of_other_settings,
            next_due: standing.next_due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_stands_as_its_watermark_and_last_cycle_say() {
        use SnapshotState::{Cold, Complete, Partial, Quarantined, Warming};
        let at = |seconds: i64| AsOf::from_unix_ms(1_800_000_000_000 + seconds * 1_000).unwrap();
        // Last cycle, watermark, since when it is wanted: state, age, whether it is overdue.
        for (last, watermark, wanted, state, age, overdue) in [
            (Cold, None, None, FeedState::Cold, None, false),
            (Cold, None, Some(40), FeedState::Cold, Some(60), false),
            (Cold, None, Some(39), FeedState::Cold, Some(61), true),
            (Warming, None, Some(39), FeedState::Warming, Some(61), true),
            (Partial, None, Some(90), FeedState::Warming, Some(10), false),
            (
                Quarantined,
                None,
                Some(1),
                FeedState::Warming,
                Some(99),
                true,
            ),
            (
                Complete,
                Some(40),
                Some(1),
                FeedState::Ready,
                Some(60),
                false,
            ),
            (
                Complete,
                Some(39),
                Some(1),
                FeedState::Degraded,
                Some(61),
                true,
            ),
            (
                Partial,
                Some(90),
                None,
                FeedState::Degraded,
                Some(10),
                false,
            ),
            (
                Quarantined,
                Some(90),
                None,
                FeedState::Degraded,
                Some(10),
                false,
            ),
        ] {
            let standing = FeedStanding {
                state: last,
                watermark: watermark.map(at),
                wanted: wanted.map(at),
                ..FeedStanding::default()
            };
            let feed = Feed::of(&standing, at(100), Duration::from_mins(1), false);
            let seconds = feed.age.map(|age| age.as_secs());
            let found = (feed.state, seconds, feed.is_overdue);
            assert_eq!(found, (state, age, overdue), "{standing:?}");
        }
        assert!(FeedState::Cold < FeedState::Degraded && FeedState::Degraded < FeedState::Ready);
    }
}

//! What is known about a warehouse's snapshots.

use super::{AsOf, FUTURE_TOLERANCE, Generation};
use std::fmt;
use std::str::FromStr;

/// Where a warehouse's feed stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SnapshotState {
    /// Nothing was ever read.
    #[default]
    Cold,
    /// The first cycle is under way.
    Warming,
    /// The last cycle was a complete snapshot.
    Complete,
    /// The last cycle broke off; what it read is kept, the watermark stayed.
    Partial,
    /// The last cycle ran to its end and is not believed; the watermark stayed.
    Quarantined,
}

impl SnapshotState {
    const ALL: [Self; 5] = [
        Self::Cold,
        Self::Warming,
        Self::Complete,
        Self::Partial,
        Self::Quarantined,
    ];

    /// The word used in Redis, replies and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warming => "warming",
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Quarantined => "quarantined",
        }
    }
}

impl fmt::Display for SnapshotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SnapshotState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(())
    }
}

/// What lines, and the feed itself, are judged by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeedStanding {
    /// Where the feed stands.
    pub state: SnapshotState,
    /// Start of the last complete snapshot.
    pub watermark: Option<AsOf>,
    /// Start of the complete snapshot before that.
    pub previous_watermark: Option<AsOf>,
    /// When the next cycle is due.
    pub next_due: Option<AsOf>,
}

impl FeedStanding {
    /// The watermarks that can be believed now, the later one first. One in the future was set by a
    /// clock that has been put right since; it vouches for nothing.
    pub fn credible_watermarks(&self, now: AsOf) -> (Option<AsOf>, Option<AsOf>) {
        let latest_true = now.plus(FUTURE_TOLERANCE);
        let credible = |mark: &AsOf| *mark <= latest_true;
        (
            self.watermark.filter(credible),
            self.previous_watermark.filter(credible),
        )
    }
}

/// The record of one warehouse's feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WarehouseSnapshot {
    /// What is judged by it.
    pub standing: FeedStanding,
    /// The latest cycle's number; 0 before the first.
    pub generation: Generation,
    /// The latest cycle that has ended; 0 before the first.
    pub sealed: Generation,
    /// Start of the latest cycle.
    pub started: Option<AsOf>,
    /// End of the latest cycle.
    pub completed: Option<AsOf>,
    /// Rows the latest cycle read.
    pub rows: u64,
    /// Pages the latest cycle read.
    pub pages: u64,
    /// Why the latest cycle is partial or quarantined.
    pub reason: Option<String>,
    /// Sum of the SHA-256 of each line of the last complete snapshot, hexadecimal: the same for the
    /// same stock, whoever read it in whatever order.
    pub hash: Option<String>,
    /// Rows of the last complete snapshots, newest first, for judging the next one.
    pub recent_rows: Vec<u64>,
}

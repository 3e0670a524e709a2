//! What is known about a warehouse's snapshots.

use crate::stock::as_of::{AsOf, FUTURE_TOLERANCE};
use crate::stock::fingerprint::{FeedSettings, Fingerprint};
use crate::stock::line::Generation;
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
    /// The settings it is read with; none in a record of a version before fingerprints.
    pub settings: Option<FeedSettings>,
    /// When it was first wanted.
    pub wanted: Option<AsOf>,
    /// Whether what its watermarks missed may stand under names of an earlier version: they prove no
    /// absence then.
    pub is_absence_unproved: bool,
}

impl FeedStanding {
    /// Whether it is read with other settings than these.
    pub fn is_of_other_settings(&self, own: Option<Fingerprint>) -> bool {
        match (self.settings, own) {
            (Some(settings), Some(own)) => settings.fingerprint != Some(own),
            _ => false,
        }
    }

    /// What it vouches for under these settings. Read with others it is a cold feed, wanted since
    /// then; snapshots of before a change of settings count for nothing.
    ///
    /// A record of a version before fingerprints is believed: an upgrade must not make a shop cold.
    #[must_use]
    pub fn under(self, own: Option<Fingerprint>) -> Self {
        let Some(settings) = self.settings else {
            return self;
        };
        if self.is_of_other_settings(own) {
            return Self {
                settings: self.settings,
                wanted: self.wanted.max(Some(settings.since)),
                ..Self::default()
            };
        }
        let counts = |mark: &AsOf| *mark >= settings.since;
        Self {
            watermark: self.watermark.filter(counts),
            previous_watermark: self.previous_watermark.filter(counts),
            ..self
        }
    }

    /// Whether a line of this warehouse with this as-of is evidence under these settings.
    pub fn takes(&self, as_of: AsOf, own: Option<Fingerprint>) -> bool {
        !self.is_of_other_settings(own)
            && self.settings.is_none_or(|settings| as_of >= settings.since)
    }

    /// Since when it may be missed: the start of the last complete snapshot, or when a first one was
    /// wanted.
    pub fn age_counts_from(&self) -> Option<AsOf> {
        self.watermark.or(self.wanted)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> AsOf {
        AsOf::from_unix_ms(1_800_000_000_000 + ms).unwrap()
    }

    fn fingerprint(of: u8) -> Fingerprint {
        Fingerprint::of_bytes([of; 8])
    }

    /// Read with settings 1 since 100, with these watermarks.
    fn feed(watermark: i64, previous: i64) -> FeedStanding {
        FeedStanding {
            state: SnapshotState::Complete,
            watermark: Some(at(watermark)),
            previous_watermark: Some(at(previous)),
            settings: Some(FeedSettings {
                fingerprint: Some(fingerprint(1)),
                since: at(100),
            }),
            wanted: Some(at(50)),
            ..FeedStanding::default()
        }
    }

    #[test]
    fn only_what_was_read_with_the_same_settings_vouches() {
        let marks = |feed: FeedStanding| (feed.watermark, feed.previous_watermark);
        let (own, other) = (Some(fingerprint(1)), Some(fingerprint(2)));
        for (feed, settings, watermarks) in [
            (feed(300, 200), own, (Some(at(300)), Some(at(200)))),
            (feed(300, 99), own, (Some(at(300)), None)),
            (feed(99, 98), own, (None, None)),
            (feed(99, 98), None, (None, None)),
            (feed(300, 200), None, (Some(at(300)), Some(at(200)))),
            (feed(300, 200), other, (None, None)),
        ] {
            assert_eq!(
                marks(feed.under(settings)),
                watermarks,
                "{feed:?} {settings:?}"
            );
        }
        for (as_of, settings, is_evidence) in [
            (at(100), own, true),
            (at(99), own, false),
            (at(99), None, false),
            (at(100), other, false),
        ] {
            assert_eq!(feed(300, 200).takes(as_of, settings), is_evidence);
        }
    }

    #[test]
    fn a_feed_of_other_settings_is_cold_and_wanted_since_the_change() {
        let cold = feed(300, 200).under(Some(fingerprint(2)));
        assert_eq!(cold.state, SnapshotState::Cold);
        assert_eq!(cold.age_counts_from(), Some(at(100)));
        assert!(cold.is_of_other_settings(Some(fingerprint(2))));
        // Of a record nobody can read nothing is known.
        let torn = FeedStanding {
            settings: Some(FeedSettings::read("?")),
            ..feed(300, 200)
        };
        assert_eq!(torn.under(Some(fingerprint(1))).watermark, None);
        assert!(!torn.takes(at(400), Some(fingerprint(1))));
    }

    #[test]
    fn a_record_of_before_fingerprints_is_believed() {
        let old = FeedStanding {
            settings: None,
            ..feed(300, 200)
        };
        assert_eq!(old.under(Some(fingerprint(1))), old);
        assert!(old.takes(at(1), Some(fingerprint(1))));
        assert_eq!(old.age_counts_from(), Some(at(300)));
    }

    #[test]
    fn a_state_is_read_as_it_is_written() {
        for state in SnapshotState::ALL {
            assert_eq!(state.to_string().parse(), Ok(state));
        }
        assert_eq!("Complete".parse::<SnapshotState>(), Err(()));
    }
}

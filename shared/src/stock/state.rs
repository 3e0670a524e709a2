//! Three-valued stock: a line's state is derived when it is read, never stored.

use crate::stock::as_of::AsOf;
use crate::stock::ids::Sku;
use crate::stock::line::{LineContent, LineValue, Quantities};
use crate::stock::snapshot::FeedStanding;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// What can be said about a SKU in a warehouse: `PRESENT` D365 reported it in the last complete snapshot
/// or later; `SUSPECT` the last complete snapshot did not show it; `ABSENT` proved not to be there;
/// `UNKNOWN` no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum StockState {
    /// D365 reported it in the last complete snapshot or later.
    Present,
    /// The last complete snapshot did not show it; its numbers are served, flagged.
    Suspect,
    /// Proved absent: by a live answer without a row, or by complete snapshots that missed it.
    Absent,
    /// There is no proof either way. This is never zero.
    Unknown,
}

impl StockState {
    /// The word used in replies and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Present => "PRESENT",
            Self::Suspect => "SUSPECT",
            Self::Absent => "ABSENT",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// A state with its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The state.
    pub state: StockState,
    /// The quantities, for present and suspect lines.
    pub quantities: Option<Quantities>,
    /// When the evidence was read from D365; none if there is no evidence.
    pub as_of: Option<AsOf>,
}

impl Judged {
    /// What is believed of this SKU: the absence of a doubtful one is not proved, since D365 may have it
    /// in another spelling.
    #[must_use]
    pub fn believed_of(self, sku: &Sku) -> Self {
        if self.state == StockState::Absent && sku.is_doubtful() {
            Self::UNKNOWN
        } else {
            self
        }
    }

    const UNKNOWN: Self = Self {
        state: StockState::Unknown,
        quantities: None,
        as_of: None,
    };
}

/// Judges a line against its warehouse's watermarks.
///
/// A line older than the watermark was not seen by the last complete snapshot, and one older than
/// the previous watermark by the last two. A SKU without a line is absent if a complete snapshot
/// has passed it by within `line_ttl`; beyond that its line may simply have expired, so nothing is
/// known.
pub fn judge(
    line: Option<&LineValue>,
    feed: &FeedStanding,
    now: AsOf,
    line_ttl: Duration,
) -> Judged {
    let (watermark, previous_watermark) = feed.credible_watermarks(now);
    let Some(line) = line else {
        return match watermark {
            Some(watermark) if !feed.is_absence_unproved && watermark.age_at(now) < line_ttl => {
                Judged {
                    state: StockState::Absent,
                    quantities: None,
                    as_of: Some(watermark),
                }
            }
            _ => Judged::UNKNOWN,
        };
    };
    let was_missed_by = |mark: Option<AsOf>| mark.is_some_and(|mark| line.as_of < mark);
    match line.content {
        LineContent::Absent => Judged {
            state: StockState::Absent,
            quantities: None,
            as_of: Some(line.as_of),
        },
        LineContent::Quantities(_)
            if !feed.is_absence_unproved && was_missed_by(previous_watermark) =>
        {
            Judged {
                state: StockState::Absent,
                quantities: None,
                as_of: watermark,
            }
        }
        LineContent::Quantities(quantities) => Judged {
            state: if was_missed_by(watermark) {
                StockState::Suspect
            } else {
                StockState::Present
            },
            quantities: Some(quantities),
            as_of: Some(line.as_of),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stock::{Generation, Origin};

    const DAY: Duration = Duration::from_hours(24);

    fn at(ms: i64) -> AsOf {
        AsOf::from_unix_ms(1_800_000_000_000 + ms).unwrap()
    }

    fn feed(watermark: Option<i64>, previous: Option<i64>) -> FeedStanding {
        FeedStanding {
            watermark: watermark.map(at),
            previous_watermark: previous.map(at),
            ..FeedStanding::default()
        }
    }

    fn line(as_of: i64) -> LineValue {
        LineValue {
            content: LineContent::Quantities(Quantities::default()),
            as_of: at(as_of),
            origin: Origin::Snapshot(Generation(1)),
        }
    }

    #[test]
    fn a_line_is_judged_by_the_snapshots_that_could_have_seen_it() {
        use StockState::{Absent, Present, Suspect, Unknown};
        let seen = |as_of| Some(line(as_of));
        let live = |as_of| {
            Some(LineValue {
                content: LineContent::Absent,
                origin: Origin::Live,
                ..line(as_of)
            })
        };
        // The line, the watermarks; the state, and how old the evidence is.
        for (line, watermark, previous, state, as_of) in [
            (seen(100), None, None, Present, Some(100)),
            (seen(100), Some(100), None, Present, Some(100)),
            (seen(100), Some(101), None, Suspect, Some(100)),
            (seen(100), Some(101), Some(100), Suspect, Some(100)),
            (seen(100), Some(200), Some(101), Absent, Some(200)),
            (None, None, None, Unknown, None),
            (None, Some(100), None, Absent, Some(100)),
            // A live answer without a row is proof whatever the watermark.
            (live(5), None, None, Absent, Some(5)),
            (live(5), Some(1), None, Absent, Some(5)),
            (live(5), Some(9), Some(7), Absent, Some(5)),
            // A watermark in the future vouches for nothing.
            (seen(0), Some(6_001), Some(6_001), Present, Some(0)),
            (None, Some(6_001), None, Unknown, None),
            (None, Some(6_000), None, Absent, Some(6_000)),
        ] {
            let judged = judge(line.as_ref(), &feed(watermark, previous), at(1_000), DAY);
            let expected = Judged {
                state,
                quantities: matches!(state, Present | Suspect).then(Quantities::default),
                as_of: as_of.map(at),
            };
            assert_eq!(judged, expected, "{line:?} {watermark:?} {previous:?}");
        }
    }

    #[test]
    fn a_feed_sealed_under_other_names_makes_lines_suspect_and_none_absent() {
        let unproved = FeedStanding {
            is_absence_unproved: true,
            ..feed(Some(200), Some(101))
        };
        let state = |line: Option<&LineValue>| judge(line, &unproved, at(1_000), DAY).state;
        assert_eq!(state(None), StockState::Unknown);
        assert_eq!(state(Some(&line(100))), StockState::Suspect);
        assert_eq!(state(Some(&line(200))), StockState::Present);
    }

    #[test]
    fn a_dead_feed_proves_nothing_once_lines_may_have_expired() {
        let once = feed(Some(0), None);
        let state = |now| judge(None, &once, at(now), DAY).state;
        assert_eq!(state(86_399_999), StockState::Absent);
        assert_eq!(state(86_400_000), StockState::Unknown);
    }

    #[test]
    fn a_doubtful_sku_is_never_absent() {
        let sku = |text| Sku::parse(text).unwrap();
        let missed = judge(None, &feed(Some(50), None), at(60), DAY);
        assert_eq!(missed.believed_of(&sku("straße")), Judged::UNKNOWN);
        assert_eq!(missed.believed_of(&sku("STRASSE")), missed);
        let seen = judge(Some(&line(1)), &feed(None, None), at(60), DAY);
        assert_eq!(seen.believed_of(&sku("straße")), seen);
    }
}

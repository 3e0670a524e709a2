//! The one rule by which a line may replace another.

use crate::stock::as_of::{AsOf, FUTURE_TOLERANCE};
use crate::stock::line::Origin;

/// What became of a line that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Written.
    Applied,
    /// Written over a line whose as-of lay too far in the future to be true.
    AppliedOverCorrupt,
    /// The stored line was read later (or at the same instant, and not beaten by a live answer).
    RefusedOlder,
    /// The new line claims an as-of too far in the future to be true.
    RefusedFuture,
    /// The warehouse's feed is read with other settings than the new line.
    RefusedOtherSettings,
}

impl Verdict {
    /// Whether the new line stands in the store now.
    pub fn is_applied(self) -> bool {
        matches!(self, Self::Applied | Self::AppliedOverCorrupt)
    }
}

/// The write rule: newer wins; at the same instant a live answer beats a snapshot; stamps more than
/// [`FUTURE_TOLERANCE`] ahead of `now` are corrupt, whichever side they are on.
///
/// The store's script decides by the same rule; a test feeds both the same histories.
pub fn decide(stored: Option<(AsOf, Origin)>, new: (AsOf, Origin), now: AsOf) -> Verdict {
    let latest_true = now.plus(FUTURE_TOLERANCE);
    if new.0 > latest_true {
        return Verdict::RefusedFuture;
    }
    match stored {
        None => Verdict::Applied,
        Some((as_of, _)) if as_of > latest_true => Verdict::AppliedOverCorrupt,
        Some((as_of, _)) if new.0 > as_of => Verdict::Applied,
        Some((as_of, Origin::Snapshot(_))) if new.0 == as_of && new.1 == Origin::Live => {
            Verdict::Applied
        }
        Some(_) => Verdict::RefusedOlder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stock::line::Generation;

    const SNAP: Origin = Origin::Snapshot(Generation(7));

    fn at(ms: i64) -> AsOf {
        AsOf::from_unix_ms(1_800_000_000_000 + ms).unwrap()
    }

    #[test]
    fn the_write_rule_case_by_case() {
        let now = at(0);
        for (stored, new, expected) in [
            (None, (at(-9), SNAP), Verdict::Applied),
            (Some((at(-10), SNAP)), (at(-9), SNAP), Verdict::Applied),
            (
                Some((at(-9), SNAP)),
                (at(-10), Origin::Live),
                Verdict::RefusedOlder,
            ),
            (
                Some((at(-9), SNAP)),
                (at(-9), Origin::Live),
                Verdict::Applied,
            ),
            (
                Some((at(-9), Origin::Live)),
                (at(-9), SNAP),
                Verdict::RefusedOlder,
            ),
            (Some((at(-9), SNAP)), (at(-9), SNAP), Verdict::RefusedOlder),
            (
                Some((at(5_000), SNAP)),
                (at(-9), SNAP),
                Verdict::RefusedOlder,
            ),
            (
                Some((at(5_001), SNAP)),
                (at(-9), SNAP),
                Verdict::AppliedOverCorrupt,
            ),
            (None, (at(5_000), Origin::Live), Verdict::Applied),
            (None, (at(5_001), Origin::Live), Verdict::RefusedFuture),
            (
                Some((at(9_000), SNAP)),
                (at(8_000), Origin::Live),
                Verdict::RefusedFuture,
            ),
        ] {
            assert_eq!(decide(stored, new, now), expected, "{stored:?} {new:?}");
        }
    }
}

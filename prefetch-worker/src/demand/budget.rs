//! How many calls demand may make: arithmetic only.

use std::time::Duration;

/// Passes are no closer together than this.
const SHORTEST_PERIOD: Duration = Duration::from_secs(15);
/// A target is met by three passes in its time, so that what one misses another reaches.
const PASSES_PER_TARGET: u32 = 3;

/// Time from one pass to the next.
pub(super) fn period(target_age: Duration) -> Duration {
    (target_age / PASSES_PER_TARGET).max(SHORTEST_PERIOD.min(target_age / 2))
}

/// A bucket of calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Budget {
    /// Calls a second it fills by.
    pub(super) per_second: f64,
    /// Calls it holds: what fills in while a target age passes, and one call at least.
    pub(super) size: u32,
}

impl Budget {
    /// `share` percent of the calls of all snapshots: so many pages an interval.
    pub(super) fn of(share: u8, pages: u64, interval: Duration, target_age: Duration) -> Self {
        let pages = f64::from(u32::try_from(pages).unwrap_or(u32::MAX));
        let per_second = pages * f64::from(share) / 100.0 / interval.as_secs_f64().max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to what a u32 holds"
        )]
        let size = (per_second * target_age.as_secs_f64()).clamp(1.0, 1e6) as u32;
        Self { per_second, size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn demand_gets_its_share_of_the_snapshots_calls() {
        let budget = Budget::of(20, 1_000, MINUTE * 15, MINUTE);
        assert!((budget.per_second - 200.0 / 900.0).abs() < 1e-9);
        assert_eq!(budget.size, 13);
        assert_eq!(Budget::of(0, 1_000, MINUTE, MINUTE).size, 1);
        assert!(Budget::of(0, 1_000, MINUTE, MINUTE).per_second.abs() < 1e-9);
    }

    #[test]
    fn passes_are_close_enough_for_the_target_and_not_closer_than_needed() {
        assert_eq!(period(MINUTE), Duration::from_secs(20));
        assert_eq!(period(Duration::from_secs(30)), Duration::from_secs(15));
        assert_eq!(period(Duration::from_secs(4)), Duration::from_secs(2));
        assert_eq!(period(MINUTE * 10), Duration::from_secs(200));
    }
}

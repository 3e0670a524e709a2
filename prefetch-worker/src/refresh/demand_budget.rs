//! How many calls demand may make, and when: arithmetic only.

use std::time::Duration;

/// Passes are no closer together than this.
const SHORTEST_PERIOD: Duration = Duration::from_secs(5);
/// What becomes too old between two passes is older than the target by a twelfth of it at most.
const PASSES_PER_TARGET: u32 = 12;
/// However short the target is.
const FEWEST_PASSES_PER_TARGET: u32 = 8;

/// Time from one pass to the next.
pub(super) fn period(target_age: Duration) -> Duration {
    (target_age / PASSES_PER_TARGET).max(SHORTEST_PERIOD.min(target_age / FEWEST_PASSES_PER_TARGET))
}

/// How long what was read may be left alone: what is younger than this will still be younger than
/// the target when the next pass has read it, even if D365 takes as long as a period for that.
pub(super) fn young_for(target_age: Duration) -> Duration {
    target_age.saturating_sub(period(target_age) * 2)
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
        let size = whole(per_second * target_age.as_secs_f64());
        Self { per_second, size }
    }

    /// Whole calls that fill in within a time, and one at least.
    pub(super) fn calls_in(self, time: Duration) -> u32 {
        whole(self.per_second * time.as_secs_f64())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what a u32 holds"
)]
fn whole(calls: f64) -> u32 {
    calls.clamp(1.0, 1e6) as u32
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
        assert_eq!(period(MINUTE), Duration::from_secs(5));
        assert_eq!(period(Duration::from_secs(24)), Duration::from_secs(3));
        assert_eq!(period(Duration::from_secs(4)), Duration::from_millis(500));
        assert_eq!(period(MINUTE * 10), Duration::from_secs(50));
    }

    #[test]
    fn what_is_kept_young_is_what_the_budget_can_read_again_in_time() {
        assert_eq!(young_for(MINUTE), Duration::from_secs(50));
        assert_eq!(young_for(Duration::from_secs(4)), Duration::from_secs(3));
        let budget = Budget::of(20, 1_000, MINUTE * 15, MINUTE);
        assert_eq!(budget.calls_in(young_for(MINUTE)), 11);
        assert_eq!(Budget::of(20, 10, MINUTE * 15, MINUTE).calls_in(MINUTE), 1);
    }
}

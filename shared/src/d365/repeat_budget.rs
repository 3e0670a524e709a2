//! Repeats are for the odd failure, not for an outage: one call in ten may be repeated.
//!
//! Calls earn a tenth of a repeat each, up to ten repeats, and a process begins with ten. When most
//! calls fail, hardly any is repeated, and D365 is asked 1.1 times as much as without, not twice.
//! Calls that give way to orders leave half of the repeats to them.

use std::sync::atomic::{AtomicU32, Ordering};

/// What one repeat costs, in what one call earns.
const REPEAT: u32 = 10;
const MOST: u32 = 10 * REPEAT;
const KEPT_FOR_ORDERS: u32 = MOST / 2;

/// What is left for repeats.
#[derive(Debug)]
pub(super) struct RepeatBudget(AtomicU32);

impl Default for RepeatBudget {
    fn default() -> Self {
        Self(AtomicU32::new(MOST))
    }
}

impl RepeatBudget {
    /// A first attempt is made.
    pub(super) fn earn(&self) {
        self.change(|left| (left < MOST).then_some(left + 1));
    }

    /// Takes one repeat; false if none is left for a call that gives way, or does not.
    pub(super) fn take(&self, gives_way: bool) -> bool {
        let kept = if gives_way { KEPT_FOR_ORDERS } else { 0 };
        self.change(|left| left.checked_sub(REPEAT).filter(|rest| *rest >= kept))
    }

    fn change(&self, change: impl Fn(u32) -> Option<u32>) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, change)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_in_ten_may_be_repeated() {
        let budget = RepeatBudget::default();
        let repeated = (0..1_000)
            .filter(|_| {
                budget.earn();
                budget.take(false)
            })
            .count();
        assert_eq!(repeated, 109);
    }

    #[test]
    fn good_times_save_up_ten_repeats() {
        let budget = RepeatBudget::default();
        (0..10_000).for_each(|_| budget.earn());
        assert_eq!((0..100).filter(|_| budget.take(true)).count(), 5);
        assert_eq!((0..100).filter(|_| budget.take(false)).count(), 5);
    }
}

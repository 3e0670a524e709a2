//! Repeats are for the odd failure, not for an outage: one call in ten may be repeated.
//!
//! Calls earn a tenth of a repeat each, up to ten repeats; a process begins with three. When most
//! calls fail, hardly any is repeated, and D365 is asked 1.1 times as much as without, not twice.

use std::sync::atomic::{AtomicU32, Ordering};

/// What one repeat costs, in what one call earns.
const REPEAT: u32 = 10;
const AT_FIRST: u32 = 3 * REPEAT;
const MOST: u32 = 10 * REPEAT;

/// What is left for repeats.
#[derive(Debug)]
pub(in crate::d365) struct RepeatBudget(AtomicU32);

impl Default for RepeatBudget {
    fn default() -> Self {
        Self(AtomicU32::new(AT_FIRST))
    }
}

impl RepeatBudget {
    /// A first attempt is made.
    pub(in crate::d365) fn earn(&self) {
        self.change(|left| (left < MOST).then_some(left + 1));
    }

    /// Takes one repeat; false if none is left.
    pub(in crate::d365) fn take(&self) -> bool {
        self.change(|left| left.checked_sub(REPEAT))
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
                budget.take()
            })
            .count();
        assert_eq!(repeated, 103);
    }

    #[test]
    fn good_times_save_up_ten_repeats() {
        let budget = RepeatBudget::default();
        (0..10_000).for_each(|_| budget.earn());
        assert_eq!((0..100).filter(|_| budget.take()).count(), 10);
    }
}

//! How many calls may be under way at once, found out by trying: for one process.

use super::share::{CallEnd, CallRight};
use std::sync::{Arc, Mutex, PoisonError};

/// Good calls in a row after which one more is tried at once.
const GOOD_CALLS_PER_STEP: u32 = 20;
/// An adaptive limit: one more after 20 good calls, half after a 429 or a timeout.
#[derive(Debug)]
pub(super) struct ConcurrencyLimit {
    fewest: usize,
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    under_way: usize,
    good_calls: u32,
    // Calls that started before the last halving met the same trouble: they do not halve again.
    halvings: u64,
}

/// A right to one call of this process.
#[derive(Debug)]
struct LocalRight {
    of: Arc<ConcurrencyLimit>,
    halvings: u64,
}

impl ConcurrencyLimit {
    /// Starts at `start` and never goes below `fewest` (at least 1) or above `most`.
    pub(super) fn new(start: usize, fewest: usize, most: usize) -> Self {
        let most = most.max(1);
        let fewest = fewest.clamp(1, most);
        Self {
            fewest,
            most,
            state: Mutex::new(State {
                limit: start.clamp(fewest, most),
                under_way: 0,
                good_calls: 0,
                halvings: 0,
            }),
        }
    }

    /// Takes the right to one call if there is one now, while no more than `percent` of them are
    /// taken; never more than `cap` at once.
    pub(super) fn try_acquire(
        self: &Arc<Self>,
        cap: usize,
        percent: u32,
    ) -> Option<Box<dyn CallRight>> {
        let mut state = self.state();
        let percent = usize::try_from(percent).unwrap_or(100);
        let most = (state.limit.min(cap).saturating_mul(percent) / 100).max(1);
        (state.under_way < most).then(|| {
            state.under_way += 1;
            Box::new(LocalRight {
                of: Arc::clone(self),
                halvings: state.halvings,
            }) as Box<dyn CallRight>
        })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallRight for LocalRight {
    fn end(self: Box<Self>, end: CallEnd) -> usize {
        let mut state = self.of.state();
        match end {
            CallEnd::Well => {
                state.good_calls += 1;
                if state.good_calls >= GOOD_CALLS_PER_STEP {
                    state.good_calls = 0;
                    state.limit = (state.limit + 1).min(self.of.most);
                }
            }
            CallEnd::Overload => {
                state.good_calls = 0;
                if self.halvings == state.halvings {
                    state.halvings += 1;
                    state.limit = (state.limit / 2).max(self.of.fewest);
                }
            }
            CallEnd::Neither => {}
        }
        state.limit
    }
}

impl Drop for LocalRight {
    fn drop(&mut self) {
        self.of.state().under_way -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(limit: &Arc<ConcurrencyLimit>) -> Option<Box<dyn CallRight>> {
        limit.try_acquire(usize::MAX, 100)
    }

    fn good_calls(limit: &Arc<ConcurrencyLimit>, count: usize) {
        for _ in 0..count {
            take(limit).unwrap().end(CallEnd::Well);
        }
    }

    #[test]
    fn it_rises_one_by_one_and_stops_at_the_most() {
        let limit = Arc::new(ConcurrencyLimit::new(2, 1, 16));
        good_calls(&limit, 19);
        assert_eq!(limit.state().limit, 2);
        good_calls(&limit, 1);
        assert_eq!(limit.state().limit, 3);
        good_calls(&limit, 20 * 50);
        assert_eq!(limit.state().limit, 16);
    }

    #[test]
    fn calls_of_one_moment_halve_it_once_and_never_below_the_fewest() {
        let limit = Arc::new(ConcurrencyLimit::new(16, 2, 16));
        let together: Vec<_> = (0..16).filter_map(|_| take(&limit)).collect();
        assert_eq!(together.len(), 16);
        assert!(take(&limit).is_none());
        for right in together {
            right.end(CallEnd::Overload);
        }
        assert_eq!(limit.state().limit, 8);
        for _ in 0..5 {
            take(&limit).unwrap().end(CallEnd::Overload);
        }
        assert_eq!(limit.state().limit, 2);
    }

    #[test]
    fn a_halving_forgets_the_good_calls_before_it() {
        let limit = Arc::new(ConcurrencyLimit::new(8, 1, 16));
        good_calls(&limit, 19);
        take(&limit).unwrap().end(CallEnd::Overload);
        good_calls(&limit, 19);
        assert_eq!(limit.state().limit, 4);
    }

    #[test]
    fn a_share_of_it_is_less_than_the_whole_and_comes_back() {
        let limit = Arc::new(ConcurrencyLimit::new(8, 1, 16));
        let held: Vec<_> = (0..8).filter_map(|_| limit.try_acquire(3, 100)).collect();
        assert_eq!(held.len(), 3);
        drop(held);
        assert!(limit.try_acquire(1, 100).is_some());
        let held: Vec<_> = (0..8)
            .filter_map(|_| limit.try_acquire(usize::MAX, 75))
            .collect();
        assert_eq!(held.len(), 6);
        assert!(limit.try_acquire(usize::MAX, 100).is_some());
    }
}

//! How the environment slows down under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Figures of the model; the default costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadModel {
    /// Milliseconds every request takes.
    pub base_ms: u64,
    /// Milliseconds more for each other request under way.
    pub per_parallel_ms: u64,
}

/// Counts as a request under way until dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<AtomicU64>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LoadModel {
    /// Takes a request in; says how long it takes.
    pub(crate) fn admit(self, under_way: &Arc<AtomicU64>) -> (Duration, Running) {
        let others = under_way.fetch_add(1, Ordering::Relaxed);
        let millis = self.base_ms + self.per_parallel_ms * others;
        (
            Duration::from_millis(millis),
            Running(Arc::clone(under_way)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_grows_with_the_requests_under_way() {
        let model = LoadModel {
            base_ms: 10,
            per_parallel_ms: 2,
        };
        let under_way = Arc::default();
        let (alone, first) = model.admit(&under_way);
        let (beside, _second) = model.admit(&under_way);
        drop(first);
        let (after, _third) = model.admit(&under_way);
        assert_eq!(
            [alone, beside, after].map(|time| time.as_millis()),
            [10, 12, 12]
        );
    }
}

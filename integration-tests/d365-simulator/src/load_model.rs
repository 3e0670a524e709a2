//! How the environment slows down and refuses under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::apps::Priority;

/// Figures of the model; the default costs nothing and refuses nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadModel {
    /// Milliseconds every request takes.
    pub base_ms: u64,
    /// Milliseconds more for each 1,000 rows skipped.
    pub per_1000_skip_ms: u64,
    /// Milliseconds more for each other request under way.
    pub per_parallel_ms: u64,
    /// Requests under way that make the resource level 100; `0` switches throttling off.
    pub capacity: u64,
    /// Level added to that of the requests under way, e.g. by a batch job in the ERP.
    pub background_level: u64,
    /// Level above which Low priority is refused.
    pub low_from: u64,
    /// Level above which Medium priority is refused as well.
    pub medium_from: u64,
    /// Level above which everybody is refused.
    pub high_from: u64,
    /// `Retry-After` of a refusal, in seconds.
    pub retry_after: u64,
}

/// The model with what it has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// The figures.
    pub model: LoadModel,
    /// Requests under way.
    pub running: usize,
    /// Resource level now.
    pub level: u64,
    /// Requests refused so far.
    pub refused: u64,
}

/// The model at work; a changed model is a new meter that goes on with the old counts.
#[derive(Debug)]
pub(crate) struct LoadMeter {
    model: LoadModel,
    running: Arc<AtomicUsize>,
    refused: Arc<AtomicU64>,
}

pub(crate) enum Admission {
    Granted { latency: Duration, running: Running },
    Refused { retry_after: u64 },
}

/// Counts as a request under way until dropped.
pub(crate) struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LoadMeter {
    pub(crate) fn new(model: LoadModel) -> Self {
        Self {
            model,
            running: Arc::default(),
            refused: Arc::default(),
        }
    }

    pub(crate) fn with_model(&self, model: LoadModel) -> Self {
        Self {
            model,
            running: Arc::clone(&self.running),
            refused: Arc::clone(&self.refused),
        }
    }

    /// Lets a request in, or refuses it by its priority.
    pub(crate) fn admit(&self, priority: Priority, skip: usize) -> Admission {
        let others = self.running.fetch_add(1, Ordering::Relaxed);
        let running = Running(Arc::clone(&self.running));
        let threshold = match priority {
            Priority::Low => self.model.low_from,
            Priority::Medium => self.model.medium_from,
            Priority::High => self.model.high_from,
        };
        if self.model.capacity > 0 && self.level(others + 1) > threshold {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Admission::Refused {
                retry_after: self.model.retry_after.max(1),
            };
        }
        let millis = self.model.base_ms
            + self.model.per_1000_skip_ms * (skip as u64 / 1000)
            + self.model.per_parallel_ms * others as u64;
        Admission::Granted {
            latency: Duration::from_millis(millis),
            running,
        }
    }

    pub(crate) fn report(&self) -> LoadReport {
        let running = self.running.load(Ordering::Relaxed);
        LoadReport {
            model: self.model,
            running,
            level: self.level(running),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    fn level(&self, running: usize) -> u64 {
        let own = (running as u64 * 100)
            .checked_div(self.model.capacity)
            .unwrap_or(0);
        own + self.model.background_level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: LoadModel = LoadModel {
        base_ms: 10,
        per_1000_skip_ms: 3,
        per_parallel_ms: 2,
        capacity: 4,
        background_level: 0,
        low_from: 50,
        medium_from: 75,
        high_from: 100,
        retry_after: 7,
    };

    fn granted(admission: Admission) -> (Duration, Running) {
        match admission {
            Admission::Granted { latency, running } => (latency, running),
            Admission::Refused { .. } => panic!("refused"),
        }
    }

    #[test]
    fn latency_grows_with_skip_and_with_company() {
        let meter = LoadMeter::new(MODEL);
        let (alone, first) = granted(meter.admit(Priority::High, 0));
        let (beside, _second) = granted(meter.admit(Priority::High, 20_999));
        assert_eq!(alone, Duration::from_millis(10));
        assert_eq!(beside, Duration::from_millis(10 + 60 + 2));
        drop(first);
        assert_eq!(meter.report().running, 1);
    }

    #[test]
    fn low_priority_is_refused_first() {
        let meter = LoadMeter::new(MODEL);
        let _running: Vec<_> = (0..2)
            .map(|_| granted(meter.admit(Priority::High, 0)).1)
            .collect();
        assert!(matches!(
            meter.admit(Priority::Low, 0),
            Admission::Refused { retry_after: 7 }
        ));
        let _third = granted(meter.admit(Priority::Medium, 0));
        assert!(matches!(
            meter.admit(Priority::Medium, 0),
            Admission::Refused { .. }
        ));
        let _fourth = granted(meter.admit(Priority::High, 0));
        assert!(matches!(
            meter.admit(Priority::High, 0),
            Admission::Refused { .. }
        ));
        assert_eq!(meter.report().refused, 3);
    }

    #[test]
    fn the_default_costs_nothing_and_refuses_nobody() {
        let meter = LoadMeter::new(LoadModel::default());
        for _ in 0..1000 {
            assert_eq!(
                granted(meter.admit(Priority::Low, 1_000_000)).0,
                Duration::ZERO
            );
        }
    }
}

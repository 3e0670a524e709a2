//! The last steps of a run, kept when somebody wants to read them.

use std::collections::VecDeque;
use std::fmt;

const KEPT: usize = 60;

/// Steps in words, if they are kept.
#[derive(Debug, Default)]
pub(super) struct Trace(Option<VecDeque<String>>);

impl Trace {
    pub(super) fn on() -> Self {
        Self(Some(VecDeque::with_capacity(KEPT)))
    }

    pub(super) fn note(&mut self, at_ms: i64, text: impl FnOnce() -> String) {
        if let Some(steps) = &mut self.0 {
            if steps.len() >= KEPT {
                steps.pop_front();
            }
            let seconds = format!("{}.{:03}", at_ms / 1_000, at_ms % 1_000);
            steps.push_back(format!("{seconds:>9} s  {}", text()));
        }
    }

    pub(super) fn steps(self) -> Vec<String> {
        self.0.unwrap_or_default().into()
    }
}

/// A run that broke an invariant.
#[derive(Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What broke.
    pub broken: String,
    /// Its last steps.
    pub steps: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}\nthe last steps:", self.seed, self.broken)?;
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        writeln!(
            f,
            "replay: SIMULATION_SEED={} cargo test -p deterministic-simulation --test it -- \
             simulation --nocapture",
            self.seed
        )
    }
}

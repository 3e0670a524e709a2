//! The last steps of a run, kept when somebody wants to read them.

use super::Broken;
use std::collections::VecDeque;
use std::fmt;

const KEPT: usize = 60;

/// Steps in words.
#[derive(Debug, Default)]
pub(super) struct Trace(Option<VecDeque<String>>);

impl Trace {
    pub(super) fn off() -> Self {
        Self(None)
    }

    pub(super) fn on() -> Self {
        Self(Some(VecDeque::with_capacity(KEPT)))
    }

    pub(super) fn steps(self) -> Vec<String> {
        self.0.unwrap_or_default().into()
    }

    pub(super) fn note(&mut self, at_ms: i64, text: impl FnOnce() -> String) {
        if let Some(steps) = &mut self.0 {
            if steps.len() >= KEPT {
                steps.pop_front();
            }
            steps.push_back(format!("{} s  {}", Seconds(at_ms), text()));
        }
    }
}

/// Milliseconds shown as seconds.
struct Seconds(i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        write!(f, "{text:>9}")
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

impl Failure {
    pub(super) fn of(seed: u64, broken: &Broken, trace: Trace) -> Self {
        Self {
            seed,
            broken: broken.to_string(),
            steps: trace.steps(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.broken)?;
        writeln!(f, "the last {} steps:", self.steps.len())?;
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

//! What a row measured, and the proof that its fault happened.

use std::time::Duration;

/// One number against its target.
#[derive(Debug)]
struct Measure {
    text: String,
    is_met: bool,
}

/// What came of a row.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    measures: Vec<Measure>,
    proofs: Vec<Measure>,
}

impl Outcome {
    /// A number that must not exceed its target.
    pub(super) fn at_most(&mut self, what: &str, value: f64, target: f64, unit: &str) {
        let text = format!("{what} {value:.1}{unit} (<= {target:.1}{unit})");
        self.measure(text, value <= target);
    }

    /// A count that must not exceed its target.
    pub(super) fn count_at_most(&mut self, what: &str, count: u64, target: u64) {
        let text = format!("{what} {count} (<= {target})");
        self.measure(text, count <= target);
    }

    /// A time that must not exceed its target; none: it never came.
    pub(super) fn within(&mut self, what: &str, time: Option<Duration>, target: Duration) {
        let took = time.map_or("never".to_owned(), |time| format!("{time:.1?}"));
        let text = format!("{what} {took} (<= {target:.1?})");
        self.measure(text, time.is_some_and(|time| time <= target));
    }

    /// A count that must be zero.
    pub(super) fn none(&mut self, what: &str, count: u64) {
        self.measure(format!("{what} {count} (0)"), count == 0);
    }

    /// Something that must hold.
    pub(super) fn holds(&mut self, what: &str, is_met: bool) {
        let text = format!("{what}: {}", if is_met { "yes" } else { "NO" });
        self.measure(text, is_met);
    }

    /// What shows that the fault happened: so many times, at least once.
    pub(super) fn happened(&mut self, what: &str, times: u64) {
        self.proofs.push(Measure {
            text: format!("{times} {what}"),
            is_met: times > 0,
        });
    }

    pub(super) fn is_met(&self) -> bool {
        let mut all = self.measures.iter().chain(&self.proofs);
        !self.measures.is_empty() && !self.proofs.is_empty() && all.all(|measure| measure.is_met)
    }

    pub(super) fn measured(&self) -> String {
        join(&self.measures)
    }

    pub(super) fn proof(&self) -> String {
        join(&self.proofs)
    }

    fn measure(&mut self, text: String, is_met: bool) {
        self.measures.push(Measure { text, is_met });
    }
}

fn join(measures: &[Measure]) -> String {
    let texts: Vec<&str> = measures
        .iter()
        .map(|measure| measure.text.as_str())
        .collect();
    texts.join("; ")
}

/// Milliseconds of the simulator's clock as a time.
pub(super) fn after(from_ms: i64, to_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(to_ms - from_ms).unwrap_or_default())
}

pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

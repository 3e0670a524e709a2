//! What a row measured, and the proof that its fault happened.

/// Why a row could not be run to its end.
pub(crate) type RowError = Box<dyn std::error::Error + Send + Sync>;

/// One number against its target.
#[derive(Debug)]
struct Measure {
    text: String,
    is_met: bool,
}

/// What came of a row.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    measures: Vec<Measure>,
    proofs: Vec<Measure>,
}

impl Outcome {
    /// A number that must not exceed its target.
    pub(crate) fn at_most(&mut self, what: &str, value: f64, target: f64, unit: &str) {
        let text = format!("{what} {}{unit} (<= {}{unit})", short(value), short(target));
        self.measures.push(Measure {
            text,
            is_met: value <= target,
        });
    }

    /// A count that must be zero.
    pub(crate) fn none(&mut self, what: &str, count: u64) {
        self.measures.push(Measure {
            text: format!("{what} {count} (0)"),
            is_met: count == 0,
        });
    }

    /// Something that must hold.
    pub(crate) fn holds(&mut self, what: &str, is_met: bool) {
        let text = format!("{what}: {}", if is_met { "yes" } else { "NO" });
        self.measures.push(Measure { text, is_met });
    }

    /// What shows that the fault happened: so many times, at least once.
    pub(crate) fn happened(&mut self, what: &str, times: u64) {
        self.proofs.push(Measure {
            text: format!("{times} {what}"),
            is_met: times > 0,
        });
    }

    pub(crate) fn is_met(&self) -> bool {
        !self.measures.is_empty()
            && !self.proofs.is_empty()
            && self
                .measures
                .iter()
                .chain(&self.proofs)
                .all(|measure| measure.is_met)
    }

    pub(crate) fn measured(&self) -> String {
        join(self.measures.iter())
    }

    pub(crate) fn proof(&self) -> String {
        join(self.proofs.iter())
    }

    /// What was not met.
    pub(crate) fn missed(&self) -> String {
        let all = self.measures.iter().chain(&self.proofs);
        join(all.filter(|measure| !measure.is_met))
    }
}

fn join<'m>(measures: impl Iterator<Item = &'m Measure>) -> String {
    let texts: Vec<&str> = measures.map(|measure| measure.text.as_str()).collect();
    texts.join("; ")
}

/// Few digits, none lost on whole numbers.
fn short(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

//! What came of a run, for people.

use super::history::History;
use super::house::Plan;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Violations that are told with their whole history.
const SHOWN: usize = 3;

/// A reply that may not be, with everything that led to it.
#[derive(Debug, Clone)]
pub struct Violation {
    seed: u64,
    sku: String,
    what: String,
    log: Vec<String>,
}

impl Violation {
    pub(super) fn of(history: &History<'_>, what: String) -> Self {
        Self {
            seed: history.scene().seed,
            sku: history.callers.sku.clone(),
            what,
            log: history.log.clone(),
        }
    }

    pub(super) fn at_the_end(seed: u64, sku: &str, what: &str) -> Self {
        Self {
            seed,
            sku: sku.to_owned(),
            what: format!("at the end: {what}"),
            log: Vec::new(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {}: {}", self.seed, self.sku, self.what)?;
        self.log.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    pub(super) plan: Plan,
    pub(super) redis: String,
    pub(super) happened: Duration,
    pub(super) took: Duration,
    pub(super) events: Vec<(&'static str, u64)>,
    pub(super) counts: Vec<(&'static str, u64)>,
    pub(super) reasons: BTreeMap<String, u64>,
    pub(super) released: Option<String>,
    pub(super) violations: Vec<Violation>,
    /// Histories that could not be ended.
    pub(super) broken: Vec<Violation>,
}

impl Report {
    /// Replies that may not be.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Kinds of events that never happened: nothing was shown of them.
    pub fn missing(&self) -> Vec<&'static str> {
        let never = self.events.iter().filter(|(_, count)| *count == 0);
        never.map(|(name, _)| *name).collect()
    }

    /// How many histories the house did not let happen to their end.
    pub fn broken(&self) -> usize {
        self.broken.len()
    }

    /// Whether everything happened, and nothing was told that may not be.
    pub fn is_met(&self) -> bool {
        self.violations.is_empty() && self.broken.is_empty() && self.missing().is_empty()
    }

    /// In a line.
    pub fn summary(&self) -> String {
        let kinds = |violation: &Violation| violation.what.clone();
        let first = self.violations.first().map(kinds).unwrap_or_default();
        format!("{} violations, first: {first}", self.violations.len())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan {
            histories,
            seed,
            at_once,
            hold,
            ..
        } = &self.plan;
        writeln!(
            f,
            "{histories} histories, {at_once} at once, seed {seed}, holds of {hold:?}"
        )?;
        writeln!(f, "Redis: {}\n", self.redis)?;
        writeln!(f, "| event | times |\n|---|---:|")?;
        for (name, count) in &self.events {
            writeln!(f, "| {name} | {count} |")?;
        }
        writeln!(f, "\n| count | |\n|---|---:|")?;
        for (name, count) in &self.counts {
            writeln!(f, "| {name} | {count} |")?;
        }
        for (reason, count) in &self.reasons {
            writeln!(f, "| sent again: {reason} | {count} |")?;
        }
        writeln!(f, "| violations | {} |", self.violations.len())?;
        writeln!(f, "| histories that broke off | {} |", self.broken())?;
        let (happened, took) = (self.happened.as_secs(), self.took.as_secs());
        writeln!(f, "\n{happened} s of histories, {took} s with their end")?;
        if let Some(released) = &self.released {
            writeln!(f, "{released}")?;
        }
        for missing in self.missing() {
            writeln!(f, "NEVER HAPPENED: {missing}")?;
        }
        let broken = self.broken.iter().take(SHOWN);
        for violation in self.violations.iter().take(SHOWN).chain(broken) {
            write!(f, "\nVIOLATION, {violation}")?;
        }
        Ok(())
    }
}

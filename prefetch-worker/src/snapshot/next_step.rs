//! What a due warehouse needs next.

use super::part_facts::PartFacts;
use shared::redis_store::OpenCycle;
use shared::stock::WarehouseSnapshot;

/// What a claimed warehouse needs.
#[derive(Debug, PartialEq, Eq)]
pub enum NextStep {
    /// A new cycle: there is none, or only what is left of one.
    Open,
    /// The cycle's parts are being read.
    Watch(OpenCycle),
    /// All parts have ended; these are their facts.
    Seal(OpenCycle, Box<PartFacts>),
}

impl NextStep {
    /// Decides it from the feed's record and the cycle under way.
    pub fn of(record: &WarehouseSnapshot, under_way: Option<OpenCycle>) -> Self {
        let is_recorded = |cycle: &OpenCycle| {
            cycle.generation == record.generation && Some(cycle.started) == record.started
        };
        let Some(cycle) = under_way.filter(is_recorded) else {
            return Self::Open;
        };
        let Some(ends) = cycle.ends() else {
            return Self::Watch(cycle);
        };
        // A part whose end cannot be read broke off.
        let unreadable = || PartFacts::broken_off("a part's end cannot be read".to_owned());
        let facts = ends
            .into_iter()
            .map(|end| PartFacts::from_notes(end).unwrap_or_else(unreadable));
        let whole = Box::new(PartFacts::joined(facts));
        Self::Seal(cycle, whole)
    }
}

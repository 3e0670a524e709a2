//! Decides which faults fire on a request, and remembers how often each did.

use serde::{Deserialize, Serialize};

use crate::faults::spec::{Action, FaultSpec, Kind};

/// What a request is about, as faults and the log see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) kind: Kind,
    /// The warehouses the request names, folded; empty if it is not limited to named ones.
    pub(crate) warehouses: Vec<String>,
    /// Client id of the caller.
    pub(crate) app: Option<String>,
}

/// A fault that fires now.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) action: Action,
    /// How often it had fired before.
    pub(crate) fired_before: u64,
}

/// A fault with what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Number given when it was added.
    pub id: u64,
    pub fault: FaultSpec,
    /// How many requests fitted its matcher.
    pub matched: u64,
    /// How often it fired.
    pub fired: u64,
}

#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    faults: Vec<FaultReport>,
    last_id: u64,
}

impl FaultBook {
    pub(crate) fn add(&mut self, fault: FaultSpec) -> u64 {
        self.last_id += 1;
        self.faults.push(FaultReport {
            id: self.last_id,
            fault,
            matched: 0,
            fired: 0,
        });
        self.last_id
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn reports(&self) -> &[FaultReport] {
        &self.faults
    }

    /// All faults that fire on this request, in the order they were added. Where one replaces the answer,
    /// others fire only if they delay it; the rest would do nothing and wait for their turn.
    pub(crate) fn firing(&mut self, call: &Call) -> Vec<Fault> {
        let due: Vec<_> = self
            .faults
            .iter_mut()
            .filter_map(|report| report.due_on(call))
            .collect();
        let replacing = due
            .iter()
            .position(|report| report.fault.action.replaces_answer());
        due.into_iter()
            .enumerate()
            .filter(|(place, report)| {
                replacing.is_none_or(|replacing| {
                    *place == replacing || matches!(report.fault.action, Action::Delay { .. })
                })
            })
            .map(|(_, report)| report.fire())
            .collect()
    }
}

impl FaultReport {
    /// Counts a match; returns itself if it is due to fire.
    fn due_on(&mut self, call: &Call) -> Option<&mut Self> {
        let fault = &self.fault;
        let fits = (fault.on == Kind::Any || fault.on == call.kind)
            && names_or_any(fault.warehouse.as_ref(), &call.warehouses)
            && is_or_any(fault.app.as_ref(), call.app.as_ref());
        if !fits {
            return None;
        }
        self.matched += 1;
        let due = fault.nth.is_none_or(|nth| self.matched == nth)
            && fault
                .every
                .is_none_or(|every| self.matched.is_multiple_of(every.max(1)))
            && fault.times.is_none_or(|times| self.fired < times);
        due.then_some(self)
    }

    fn fire(&mut self) -> Fault {
        self.fired += 1;
        Fault {
            action: self.fault.action.clone(),
            fired_before: self.fired - 1,
        }
    }
}

fn names_or_any(wanted: Option<&String>, named: &[String]) -> bool {
    wanted.is_none_or(|wanted| named.iter().any(|name| name.eq_ignore_ascii_case(wanted)))
}

fn is_or_any(wanted: Option<&String>, actual: Option<&String>) -> bool {
    wanted.is_none_or(|wanted| actual.is_some_and(|actual| actual.eq_ignore_ascii_case(wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(warehouse: &str) -> Call {
        Call {
            kind: Kind::Page,
            warehouses: vec![warehouse.into()],
            app: Some("app-1".into()),
        }
    }

    fn fires(fault: FaultSpec, calls: &[Call]) -> Vec<bool> {
        let mut book = FaultBook::default();
        book.add(fault);
        calls
            .iter()
            .map(|call| !book.firing(call).is_empty())
            .collect()
    }

    #[test]
    fn a_fault_fires_on_what_it_names_only() {
        let calls = [
            page_of("24"),
            page_of("11"),
            Call {
                kind: Kind::Lookup,
                ..page_of("24")
            },
        ];
        let on_page = FaultSpec::on(Kind::Page, Action::Empty);
        assert_eq!(fires(on_page.clone(), &calls), [true, true, false]);
        assert_eq!(
            fires(on_page.clone().warehouse("24"), &calls),
            [true, false, false]
        );
        assert_eq!(fires(on_page.app("app-2"), &calls), [false, false, false]);
        let any = FaultSpec::on(Kind::Any, Action::Empty);
        assert_eq!(fires(any, &calls), [true, true, true]);
    }

    #[test]
    fn nth_every_and_times_count_matches() {
        let calls = vec![page_of("24"); 6];
        let fault = FaultSpec::on(Kind::Page, Action::Empty);
        assert_eq!(
            fires(fault.clone().nth(3), &calls),
            [false, false, true, false, false, false]
        );
        assert_eq!(
            fires(fault.clone().times(2), &calls),
            [true, true, false, false, false, false]
        );
        let every = FaultSpec {
            every: Some(2),
            ..fault
        };
        assert_eq!(
            fires(every.clone(), &calls),
            [false, true, false, true, false, true]
        );
        assert_eq!(
            fires(every.times(1), &calls),
            [false, true, false, false, false, false]
        );
    }

    #[test]
    fn a_fault_behind_one_that_replaces_the_answer_waits_for_its_turn() {
        let mut book = FaultBook::default();
        for action in [Action::Empty, Action::ServerError, Action::Forbidden] {
            book.add(FaultSpec::on(Kind::Page, action).times(1));
        }
        let mut fire = || -> Vec<Action> {
            book.firing(&page_of("24"))
                .into_iter()
                .map(|fault| fault.action)
                .collect()
        };
        assert_eq!(fire(), [Action::ServerError]);
        assert_eq!(fire(), [Action::Forbidden]);
        assert_eq!(fire(), [Action::Empty]);
        assert_eq!(fire(), []);
    }
}

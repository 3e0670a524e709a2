//! Steps that are put off until they matter: of all orders that nobody could tell apart, one is tried.
//!
//! What a live caller does, and the instant from which a replica gets no more writes, matter to few of
//! the steps around them. Before any other step they may as well come after it. So each of them is
//! followed at once by a step it matters to, or by nothing. A doubt is a yes: that costs states only.

use super::{ASKED_FOR, Action, Stage, World};

/// A step that was put off to the instant at which it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Late {
    /// The caller asked D365, or got its answer: an instant, and what is true then.
    CallerAsked,
    /// The caller wrote its line.
    CallerWrote,
    /// The replica fell behind.
    FellBehind,
}

impl World {
    /// Whether something may come next, after what was put off.
    pub fn may_follow(&self, action: Action) -> bool {
        self.put_off.is_none_or(|late| self.matters(late, action))
    }

    /// What of an action that was just taken may be put off.
    pub(super) fn late_step(&self, action: Action) -> Option<Late> {
        match action {
            Action::Caller if self.caller.is_none() => Some(Late::CallerWrote),
            Action::Caller => Some(Late::CallerAsked),
            Action::ReplicaFallsBehind => Some(Late::FellBehind),
            _ => None,
        }
    }

    fn matters(&self, late: Late, action: Action) -> bool {
        match action {
            // The clock matters to all; what is put off keeps its order.
            Action::ClockForward
            | Action::ClockBack
            | Action::TimePasses
            | Action::Caller
            | Action::ReplicaFallsBehind => true,
            // The lines and notes of before are what it is about.
            Action::Failover => late != Late::CallerAsked,
            Action::TruthChanges => late == Late::CallerAsked,
            Action::PageLost(_) => false,
            Action::Worker(worker) => matters_to(late, self.stage(worker)),
        }
    }
}

/// Whether it matters to a worker's step.
fn matters_to(late: Late, stage: &Stage) -> bool {
    match late {
        // Which of two instants came first.
        Late::CallerAsked => matches!(
            stage,
            Stage::Forget(..) | Stage::Begin(_) | Stage::Note(_) | Stage::Answer(..)
        ),
        // The line, and what readers are told of it.
        Late::CallerWrote => match stage {
            Stage::Seal(..) => true,
            Stage::Store(_, lines, _) => lines.iter().any(|(item, _)| *item == ASKED_FOR),
            _ => false,
        },
        // Whether a write is the first to be lost.
        Late::FellBehind => !matches!(stage, Stage::Look(_) | Stage::Answer(..)),
    }
}

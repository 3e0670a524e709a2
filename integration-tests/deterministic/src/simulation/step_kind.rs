//! What a worker's next step is, in words.

use super::publisher::{Piece, Publisher};
use super::reading::{PartStep, PartWork, WAITING};
use super::tending::TendStep;
use super::worker::{Activity, Phase};
use super::{LEASE_MS, Simulation};

/// A call to Redis, a question to D365, an answer of it, or a hand-over inside the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepKind {
    /// Asks what is due.
    Look,
    /// Claims a shard.
    Claim,
    /// Reads the feed's record.
    ReadFeed,
    /// Reads the cycle under way, for the warehouse.
    ReadCycle,
    /// Removes what is left of a cycle.
    Forget,
    /// Reads where to split.
    ReadBorders,
    /// Opens a cycle.
    Open,
    /// Looks after a cycle.
    Watch,
    /// Seals a cycle.
    Seal,
    /// Reads how often a warehouse has failed.
    ReadFailures,
    /// Gives a warehouse back.
    GiveBack,
    /// Reads the cycle under way, for a part of it.
    ReadCycleOfPart,
    /// Reads how far a part is.
    ReadNotes,
    /// Takes a part of a cycle that is over off the schedule.
    DropPart,
    /// Asks D365 for a page.
    Ask,
    /// A page arrives.
    Answer,
    /// All is read; waits for what is being stored.
    Drain,
    /// Notes how a part ended.
    EndPart,
    /// Gives a part back before its end.
    PutBack,
    /// Writes lines, in the background.
    Write,
    /// All lines before a place are stored: it may be noted.
    MayNote,
    /// Extends a lease and notes how far it is.
    Note,
    /// Extends a lease with nothing new to note.
    Extend,
    /// The heartbeat.
    Beat,
}

impl Simulation<'_> {
    /// None for an event that finds nothing to do.
    pub(super) fn step_kind(&self, number: usize, activity: &Activity) -> Option<StepKind> {
        let worker = &self.workers[number];
        match activity {
            Activity::Beat => Some(StepKind::Beat),
            Activity::Poller(poll) if *poll == worker.poll => self.poll_kind(number),
            Activity::Poller(_) => None,
            Activity::Publisher(serial) => {
                let piece = worker.publishers.get(serial)?.next()?;
                Some(match piece {
                    Piece::Lines(_) => StepKind::Write,
                    Piece::Note(_) => StepKind::MayNote,
                })
            }
            Activity::Keeper(serial) => {
                let Phase::Part(work) = &worker.phase else {
                    return None;
                };
                if work.serial != *serial || !work.is_read() {
                    return None;
                }
                let publisher = worker.publishers.get(serial);
                if publisher.is_some_and(|publisher| publisher.place.is_some()) {
                    Some(StepKind::Note)
                } else {
                    let is_time = self.now_ms >= work.extended_ms + LEASE_MS / 3;
                    is_time.then_some(StepKind::Extend)
                }
            }
        }
    }

    fn poll_kind(&self, number: usize) -> Option<StepKind> {
        match &self.workers[number].phase {
            Phase::Idle => Some(StepKind::Look),
            Phase::Claiming(candidates) => (!candidates.is_empty()).then_some(StepKind::Claim),
            Phase::Tending { step, .. } => Some(match step {
                TendStep::Record => StepKind::ReadFeed,
                TendStep::Cycle(_) => StepKind::ReadCycle,
                TendStep::Forget { .. } => StepKind::Forget,
                TendStep::Borders { .. } => StepKind::ReadBorders,
                TendStep::Open { .. } => StepKind::Open,
                TendStep::Watch => StepKind::Watch,
                TendStep::Seal { .. } => StepKind::Seal,
                TendStep::Backoff { .. } => StepKind::ReadFailures,
                TendStep::GiveBack { .. } => StepKind::GiveBack,
            }),
            Phase::Part(work) => self.part_kind(number, work),
        }
    }

    fn part_kind(&self, number: usize, work: &PartWork) -> Option<StepKind> {
        let publisher = self.workers[number].publishers.get(&work.serial);
        let waiting = publisher.map_or(0, Publisher::waiting);
        match work.step {
            PartStep::Cycle => Some(StepKind::ReadCycleOfPart),
            PartStep::Record(_) => Some(StepKind::ReadNotes),
            PartStep::Drop => Some(StepKind::DropPart),
            PartStep::Page => (waiting <= WAITING).then_some(StepKind::Ask),
            PartStep::Arrives(_) => Some(StepKind::Answer),
            PartStep::Drained | PartStep::Stopping => Some(StepKind::Drain),
            PartStep::Finish(_) => Some(StepKind::EndPart),
            PartStep::PutBack => Some(StepKind::PutBack),
        }
    }
}

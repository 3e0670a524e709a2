//! What a worker has in hand. What runs at once in the real one (reading, writing, keeping the lease, the
//! heartbeat) are activities of their own here.

use crate::evidence::Read;
use prefetch_worker::snapshot::accumulator::Accumulator;
use shared::d365::D365Error;
use shared::redis_store::{Claim, CycleEnd, Finished, ItemRange, PartId, ShardProgress};
use shared::stock::{AsOf, Generation, ItemNumber, StockLine, WarehouseSnapshot};
use std::collections::{BTreeMap, VecDeque};

/// What of a worker is to take its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Activity {
    Poller(u64),
    Keeper(u64),
    Writer(u64),
    Beat,
}

/// Where the poller is.
#[derive(Debug, Default)]
pub(super) enum Phase {
    #[default]
    Idle,
    Claiming(VecDeque<(String, i64)>),
    Warehouse {
        claim: Claim,
        warehouse: usize,
        step: WarehouseStep,
    },
    Part(Box<PartWork>),
}

/// What is to be done next with a warehouse.
#[derive(Debug)]
pub(super) enum WarehouseStep {
    Record,
    Cycle(Box<WarehouseSnapshot>),
    Forget {
        seen: Generation,
    },
    Borders {
        seen: Generation,
    },
    Open {
        seen: Generation,
        started: AsOf,
        noted_ms: i64,
        ranges: Vec<ItemRange>,
    },
    Watch,
    Seal {
        end: Box<CycleEnd>,
        tries: u32,
    },
    Backoff {
        error: String,
    },
    GiveBack {
        wait_ms: u64,
        how: Finished,
    },
}

/// What is to be done next with a part.
#[derive(Debug)]
pub(super) enum PartStep {
    Cycle,
    Record(ItemRange),
    Drop,
    Page,
    Arrives(Page),
    Drained,
    Finish(String),
    Stopping,
    Release,
}

/// A page under way.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) read: Read,
    pub(super) fails: Option<D365Error>,
}

/// A part in a worker's hands.
#[derive(Debug)]
pub(super) struct PartWork {
    pub(super) claim: Claim,
    pub(super) warehouse: usize,
    pub(super) id: PartId,
    pub(super) started: AsOf,
    pub(super) claimed_ms: i64,
    pub(super) step: PartStep,
    pub(super) accumulator: Option<Accumulator>,
    pub(super) up_to: Option<ItemNumber>,
    /// Which writer writes its lines.
    pub(super) serial: u64,
    pub(super) failures: u32,
    pub(super) extended_ms: i64,
}

impl PartWork {
    pub(super) fn claimed(claim: Claim, warehouse: usize, id: PartId, now_ms: i64) -> Self {
        Self {
            claim,
            warehouse,
            id,
            started: AsOf::EPOCH,
            claimed_ms: now_ms,
            step: PartStep::Cycle,
            accumulator: None,
            up_to: None,
            serial: 0,
            failures: 0,
            extended_ms: now_ms,
        }
    }

    pub(super) fn is_read(&self) -> bool {
        matches!(
            self.step,
            PartStep::Page | PartStep::Arrives(_) | PartStep::Drained
        )
    }
}

/// What waits to be written.
#[derive(Debug)]
pub(super) enum Piece {
    Lines(Vec<StockLine>),
    Note(ShardProgress),
}

/// Lines on their way to Redis while the next page is read; they may outlive the reading.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) queue: VecDeque<Piece>,
    pub(super) tries: u32,
    pub(super) is_scheduled: bool,
    pub(super) failed: Option<String>,
    /// What may be noted by now.
    pub(super) place: Option<ShardProgress>,
}

#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) number: usize,
    /// Events of an earlier life do not happen.
    pub(super) epoch: u64,
    pub(super) is_dead: bool,
    /// It looked for work and found none.
    pub(super) rests: bool,
    pub(super) is_stopping: bool,
    pub(super) paused: Option<(i64, i64)>,
    pub(super) phase: Phase,
    pub(super) poll: u64,
    pub(super) writers: BTreeMap<u64, Writer>,
}

impl Worker {
    pub(super) fn new(number: usize, epoch: u64) -> Self {
        Self {
            number,
            epoch,
            ..Self::default()
        }
    }

    /// The name Redis knows it by.
    pub(super) fn name(&self) -> String {
        format!("w{}", self.number)
    }

    /// Killed for good: nothing it had planned happens.
    pub(super) fn die(&mut self) {
        *self = Self {
            is_dead: true,
            ..Self::new(self.number, self.epoch + 1)
        };
    }
}

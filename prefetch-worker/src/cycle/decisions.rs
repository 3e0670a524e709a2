//! The worker's decisions without the worker: for simulations that do the reading and storing
//! themselves and must not decide by rules of their own.

use super::gathering::{AfterPage, Gathering};
use super::page_walk::PageWalk;
use super::part;
use super::part_facts::PartFacts;
use super::read;
use super::seal::{self, Rules};
use super::tend::{self, NextStep};
use crate::plan;
use shared::d365::{D365Error, PageEnd, PageStart};
use shared::redis_store::{
    CycleEnd, ItemRange, OpenCycle, PartId, ShardProgress, ShardRecord, StoreError,
};
use shared::settings::PagingMode;
use shared::stock::{
    AsOf, OnHandRow, Origin, SkuMapper, StockLine, WarehouseId, WarehouseSnapshot,
};
use std::sync::Arc;
use std::time::Duration;

/// Reads a part: takes pages and gives lines.
#[derive(Debug)]
pub struct PartReader {
    gathering: Gathering,
    up_to: Option<String>,
}

/// What a whole page gave.
#[derive(Debug)]
pub struct PageRead {
    /// Lines of the items that became whole with it.
    pub lines: Vec<StockLine>,
    /// What follows.
    pub then: AfterPageRead,
}

/// What follows a whole page.
#[derive(Debug)]
pub enum AfterPageRead {
    /// Another page; once the lines are stored, this place may be noted.
    Page(Option<ShardProgress>),
    /// The part has ended.
    End,
}

impl PartReader {
    /// Goes on from what is noted about a part.
    pub fn resume(
        warehouse: &WarehouseId,
        id: PartId,
        range: &ItemRange,
        record: ShardRecord,
        page_size: u32,
    ) -> Self {
        let part = part::resumed(warehouse, id, range.clone(), record);
        let walk = PageWalk::new(PagingMode::Keyset, page_size, part.after());
        let origin = Origin::Snapshot(id.generation);
        Self {
            gathering: Gathering::new(
                SkuMapper::ItemNumber,
                Arc::default(),
                origin,
                walk,
                part.facts,
            ),
            up_to: range.up_to.as_ref().map(|item| item.as_str().to_owned()),
        }
    }

    /// Where the next page begins.
    pub fn start(&self) -> &PageStart {
        self.gathering.start()
    }

    /// The last item of the part; none at the warehouse's end.
    pub fn up_to(&self) -> Option<&str> {
        self.up_to.as_deref()
    }

    /// Takes a whole page that took so long.
    pub fn page_read(
        &mut self,
        as_of: AsOf,
        rows: Vec<OnHandRow>,
        took: Duration,
        part_time: Duration,
    ) -> PageRead {
        let end = PageEnd {
            rows: rows.len() as u64,
            ..PageEnd::default()
        };
        let mut lines = Vec::new();
        for row in rows {
            lines.extend(
                self.gathering
                    .push(row, as_of)
                    .into_iter()
                    .flat_map(|item| item.lines),
            );
        }
        let ended = self.gathering.page_ended(end);
        lines.extend(ended.item.into_iter().flat_map(|item| item.lines));
        let then = match ended.then {
            AfterPage::Page => {
                self.gathering.mark(took, part_time);
                AfterPageRead::Page(self.gathering.place())
            }
            AfterPage::End => {
                self.gathering.mark(took, part_time);
                AfterPageRead::End
            }
            AfterPage::GivenUp => AfterPageRead::End,
        };
        PageRead { lines, then }
    }

    /// A page failed for the so-manieth time in a row: how long to wait before it is read again;
    /// none if the part has broken off.
    pub fn page_failed(&mut self, error: &D365Error, failures: u32) -> Option<Duration> {
        self.gathering.page_failed();
        let pause = read::pause_after(error, failures);
        if pause.is_none() {
            self.gathering.break_off(error.to_string());
        }
        pause
    }

    /// How the part ended, for the cycle's record.
    pub fn end(self, not_stored: Option<String>) -> String {
        let mut facts = self.gathering.into_facts();
        facts.not_stored = not_stored;
        facts.to_notes()
    }
}

/// The end of a part that was taken too often without getting on; none for any other.
pub fn end_of_given_up(id: PartId, taken: u32) -> Option<String> {
    let facts = PartFacts {
        broke_off: Some(part::given_up(id, taken)?),
        ..PartFacts::default()
    };
    Some(facts.to_notes())
}

/// What a claimed warehouse needs.
#[derive(Debug)]
pub enum Tending {
    /// A new cycle.
    Open,
    /// Its cycle looked after.
    Watch,
    /// Its cycle sealed, as this.
    Seal(Box<CycleEnd>),
}

/// What seals and plans cycles.
#[derive(Debug, Clone, Copy)]
pub struct CycleRules {
    /// From the start of a cycle to that of the next.
    pub interval: Duration,
    /// How long reading one part should take.
    pub part_time: Duration,
    /// The least share of the usual rows, in percent.
    pub guard_percent: u8,
    /// 0 to 999.
    pub chance: u32,
}

/// Decides what a claimed warehouse needs.
pub fn tending(
    record: &WarehouseSnapshot,
    under_way: Option<OpenCycle>,
    now: AsOf,
    rules: CycleRules,
) -> Tending {
    let rules = Rules {
        interval: rules.interval,
        part_time: rules.part_time,
        guard_percent: rules.guard_percent,
        chance: rules.chance,
    };
    match tend::next_step(record, under_way) {
        NextStep::Open => Tending::Open,
        NextStep::Watch(_) => Tending::Watch,
        NextStep::Seal(cycle, whole) => {
            let recent_rows = record.recent_rows.clone();
            Tending::Seal(Box::new(seal::end_of(
                &cycle,
                recent_rows,
                *whole,
                now,
                &rules,
            )))
        }
    }
}

/// The end of a cycle under which Redis was replaced.
pub fn replaced(end: CycleEnd) -> CycleEnd {
    CycleEnd {
        sealed: seal::as_partial(&StoreError::Replaced),
        ..end
    }
}

/// The end of a part that read nothing and found nothing wrong.
pub fn end_of_nothing() -> String {
    PartFacts::default().to_notes()
}

/// Time to the next try of a warehouse that has failed this often in a row.
pub fn backoff(failures: u32, interval: Duration) -> Duration {
    plan::backoff(failures, interval)
}

//! What was truly read when, and the invariants judged by it.
//!
//! Nothing in here is known to the services: it is the journal the world keeps about them.

use crate::truth::Truth;
use shared::redis_store::{CycleEnd, Sealed, read_line};
use shared::stock::{AsOf, FeedStanding, Generation, LineContent, LineValue, StockState, judge};
use std::collections::BTreeMap;
use std::time::Duration;

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {what}")]
pub struct Violation {
    /// Which one, as `faults.md` names it.
    pub invariant: &'static str,
    /// What happened.
    pub what: String,
}

pub(crate) fn violated(invariant: &'static str, what: String) -> Result<(), Violation> {
    Err(Violation { invariant, what })
}

/// One answer of D365, in true time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(
    clippy::struct_field_names,
    reason = "the unit is in the name, and they are all times"
)]
pub struct Read {
    /// When it was asked for.
    pub start_ms: i64,
    /// The instant its content is of.
    pub at_ms: i64,
    /// When the answer was there.
    pub end_ms: i64,
    /// How far the clock its as-of comes from was ahead of the truth.
    pub clock_ahead_ms: i64,
}

/// A worker that stood still may stamp with a clock as old as this.
const LONGEST_LAG_MS: i64 = 75_000;

/// What became of a line by the script's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was newer, or the first.
    Newer,
    /// The stored one was stamped by a clock that has been set back since.
    OverCorrupt,
}

/// The items a page spoke for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Capture {
    /// The read.
    pub read: Read,
    /// It begins after this item; none at the beginning.
    pub after: Option<String>,
    /// The last item it speaks for; none to the end.
    pub up_to: Option<String>,
    /// Items it showed, by their place.
    pub shown: Vec<usize>,
}

impl Capture {
    fn speaks_for(&self, item: &str) -> bool {
        self.after.as_deref().is_none_or(|after| item > after)
            && self.up_to.as_deref().is_none_or(|up_to| item <= up_to)
    }
}

/// A cycle; its start tells it from another one of the same number.
pub type CycleName = (usize, u64, AsOf);

/// The journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// Warehouse, item, stored text -> the reads that gave it.
    reads: BTreeMap<(usize, usize, String), Vec<Read>>,
    captures: BTreeMap<CycleName, Vec<Capture>>,
    /// When the starts of cycles were noted, in true time.
    opened: BTreeMap<CycleName, i64>,
    /// Cycles that were recorded as complete.
    complete: BTreeMap<(usize, AsOf), Vec<Generation>>,
    /// When Redis' clock was stepped, in true time.
    steps_ms: Vec<i64>,
}

impl Evidence {
    /// D365 gave this line.
    pub fn was_read(&mut self, warehouse: usize, item: usize, text: String, read: Read) {
        let reads = self.reads.entry((warehouse, item, text)).or_default();
        if !reads.contains(&read) {
            reads.push(read);
        }
    }

    /// A page of a cycle was read.
    pub fn captured(&mut self, cycle: CycleName, capture: Capture) {
        self.captures.entry(cycle).or_default().push(capture);
    }

    /// A cycle was opened whose start was noted then.
    pub fn was_opened(&mut self, cycle: CycleName, at_ms: i64) {
        self.opened.insert(cycle, at_ms);
    }

    /// When the latest complete cycle of this start was opened, in true time.
    pub fn opened_at(&self, warehouse: usize, started: AsOf) -> Option<i64> {
        let cycles = self.complete.get(&(warehouse, started))?;
        let opened = |cycle: &Generation| self.opened.get(&(warehouse, cycle.0, started));
        cycles.iter().filter_map(opened).copied().max()
    }

    /// Redis' clock was stepped.
    pub fn clock_stepped(&mut self, at_ms: i64) {
        self.steps_ms.push(at_ms);
    }

    /// Whether the clock was stepped since a watermark was noted, or just before: the stamps of then
    /// and now cannot be compared by anybody, until a snapshot is made on the new clock.
    fn is_of_another_clock(&self, warehouse: usize, watermark: AsOf) -> bool {
        let cycles = self.complete.get(&(warehouse, watermark));
        let opened = cycles
            .into_iter()
            .flatten()
            .filter_map(|generation| self.opened.get(&(warehouse, generation.0, watermark)));
        let earliest = opened.copied().min().unwrap_or(i64::MAX);
        let is_since = |step: &i64| *step >= earliest.saturating_sub(LONGEST_LAG_MS);
        self.steps_ms.iter().any(is_since)
    }

    fn reads_of(&self, warehouse: usize, item: usize, text: &str) -> &[Read] {
        let key = (warehouse, item, text.to_owned());
        self.reads.get(&key).map_or(&[], Vec::as_slice)
    }

    /// I1, I2 and I3 for a line that was written over another.
    pub fn judge_write(
        &self,
        truth: &Truth,
        (warehouse, item): (usize, usize),
        before: Option<&str>,
        (after, how): (&str, Written),
    ) -> Result<(), Violation> {
        let name = truth.items()[item].as_str();
        let new = self.reads_of(warehouse, item, after);
        let Some(line) = read_line(after.as_bytes()) else {
            return violated("I2", format!("{name}: {after:?} is no line"));
        };
        if new.is_empty() {
            return violated("I2", format!("{name}: nobody read {after}"));
        }
        for read in new {
            let true_of = read.at_ms + read.clock_ahead_ms;
            if line.as_of.unix_ms() > true_of {
                return violated(
                    "I3",
                    format!("{name}: {after} was true at {} at the latest", read.at_ms),
                );
            }
        }
        let Some(before) = before.filter(|before| *before != after && how == Written::Newer) else {
            return Ok(());
        };
        let old = self.reads_of(warehouse, item, before);
        // Stamps of different clocks cannot be compared by anybody.
        let is_regress = |old: &Read| {
            new.iter()
                .all(|new| new.end_ms < old.start_ms && new.clock_ahead_ms == old.clock_ahead_ms)
        };
        if !old.is_empty() && old.iter().all(is_regress) {
            return violated(
                "I1",
                format!("{name}: {after} replaced {before}, which was read later"),
            );
        }
        Ok(())
    }

    /// The end of a cycle that was recorded: whole, and begun before all it vouches for.
    pub fn judge_seal(
        &mut self,
        truth: &Truth,
        warehouse: usize,
        end: &CycleEnd,
    ) -> Result<(), Violation> {
        if !matches!(end.sealed, Sealed::Complete { .. }) {
            return Ok(());
        }
        let cycle = (warehouse, end.generation.0, end.started);
        let captures = self.captures.get(&cycle).map_or(&[][..], Vec::as_slice);
        for item in truth.items() {
            if !captures.iter().any(|page| page.speaks_for(item.as_str())) {
                let what = format!("cycle {} was sealed and nobody read {item}", end.generation);
                return violated("seal", what);
            }
        }
        let opened = self.opened.get(&cycle).copied().unwrap_or(i64::MAX);
        if let Some(early) = captures.iter().find(|page| page.read.start_ms < opened) {
            let what = format!(
                "the watermark {} is later than a read at {}",
                end.started, early.read.start_ms
            );
            return violated("watermark", what);
        }
        let complete = self.complete.entry((warehouse, end.started)).or_default();
        complete.push(end.generation);
        Ok(())
    }

    /// I2 and I4 for a line as a reader judges it.
    pub fn judge_answer(
        &self,
        truth: &Truth,
        (warehouse, item): (usize, usize),
        stored: Option<&str>,
        feed: &FeedStanding,
        (now, line_ttl): (AsOf, Duration),
    ) -> Result<(), Violation> {
        let name = truth.items()[item].as_str();
        let line = stored.and_then(|text| read_line(text.as_bytes()));
        if stored.is_some() && line.is_none() {
            return violated("I2", format!("{name}: {stored:?} is no line"));
        }
        if let Some(text) = stored {
            self.is_true(truth, (warehouse, item), text, line)?;
        }
        let judged = judge(line.as_ref(), feed, now, line_ttl);
        if judged.state != StockState::Absent {
            return Ok(());
        }
        match (line, feed.watermark) {
            (Some(line), _) if line.content == LineContent::Absent => Ok(()),
            (None, Some(watermark)) => self.missed(truth, (warehouse, item), watermark),
            (Some(line), Some(watermark)) => {
                if self.is_of_another_clock(warehouse, watermark) {
                    return Ok(());
                }
                self.missed(truth, (warehouse, item), watermark)?;
                self.missed_twice(truth, (warehouse, item), &line, feed)
            }
            (_, None) => violated("I4", format!("{name} is absent without any watermark")),
        }
    }

    /// A stored line must be what D365 reported when it was read.
    fn is_true(
        &self,
        truth: &Truth,
        (warehouse, item): (usize, usize),
        text: &str,
        line: Option<LineValue>,
    ) -> Result<(), Violation> {
        let amount = line.and_then(|line| match line.content {
            LineContent::Quantities(quantities) => quantities.available.as_integer(),
            LineContent::Absent => None,
        });
        let is_true = |read: &Read| truth.amount(warehouse, item, read.at_ms) == amount;
        if self.reads_of(warehouse, item, text).iter().any(is_true) {
            return Ok(());
        }
        let invariant = if amount.is_some() { "I2" } else { "I4" };
        let name = truth.items()[item].as_str();
        violated(
            invariant,
            format!("{name}: {text} was never true when it was read"),
        )
    }

    /// A complete snapshot read the item's place and did not find it.
    fn missed(
        &self,
        truth: &Truth,
        (warehouse, item): (usize, usize),
        watermark: AsOf,
    ) -> Result<(), Violation> {
        let name = truth.items()[item].as_str();
        let cycles = self.complete.get(&(warehouse, watermark));
        let mut captures = cycles.into_iter().flatten().flat_map(|generation| {
            let cycle = (warehouse, generation.0, watermark);
            self.captures.get(&cycle).map_or(&[][..], Vec::as_slice)
        });
        let missed = |page: &Capture| page.speaks_for(name) && !page.shown.contains(&item);
        if captures.any(missed) {
            return Ok(());
        }
        let what =
            format!("{name} counts as absent by the snapshot of {watermark}, which found it");
        violated("I4", what)
    }

    fn missed_twice(
        &self,
        truth: &Truth,
        place: (usize, usize),
        line: &LineValue,
        feed: &FeedStanding,
    ) -> Result<(), Violation> {
        let name = truth.items()[place.1].as_str();
        match feed.previous_watermark {
            Some(previous) if line.as_of < previous => {
                if self.is_of_another_clock(place.0, previous) {
                    return Ok(());
                }
                self.missed(truth, place, previous)
            }
            _ => violated(
                "I4",
                format!("{name} counts as absent after one snapshot only"),
            ),
        }
    }
}

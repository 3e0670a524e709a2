//! What the rows of a part come to, page by page: items, lines, facts. It reads nothing itself.

use super::fold::{CompleteItem, Fold};
use super::page_walk::{Next, PageWalk};
use super::part_facts::PartFacts;
use shared::d365::{PageEnd, PageStart};
use shared::process::guards::{self, Guard};
use shared::redis_store::ShardProgress;
use shared::stock::{AsOf, ItemNumber, OnHandRow, Origin, SkuMapper, StockLine, fold_item};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A part as far as it was read.
#[derive(Debug)]
pub(super) struct Gathering {
    mapper: SkuMapper,
    origin: Origin,
    fold: Fold,
    walk: PageWalk,
    /// Hashes of the numbers of complete items: eight bytes an item, whatever its rows.
    seen: HashSet<u64>,
    hasher: RandomState,
    facts: PartFacts,
}

/// An item that is whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct GatheredItem {
    /// Its lines.
    pub(super) lines: Vec<StockLine>,
    /// Rows they are summed from.
    pub(super) rows: u64,
}

/// What a whole page ended with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PageEnded {
    /// The item it ended with, if that is whole.
    pub(super) item: Option<GatheredItem>,
    /// What follows.
    pub(super) then: AfterPage,
}

/// What follows a whole page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterPage {
    /// Another page.
    Page,
    /// Nothing: the part has ended.
    End,
    /// Reading on is of no use; the facts say why.
    GivenUp,
}

impl Gathering {
    pub(super) fn new(mapper: SkuMapper, origin: Origin, walk: PageWalk, facts: PartFacts) -> Self {
        Self {
            mapper,
            origin,
            fold: Fold::default(),
            walk,
            seen: HashSet::new(),
            hasher: RandomState::new(),
            facts,
        }
    }

    /// Where the next page begins.
    pub(super) fn start(&self) -> &PageStart {
        self.walk.start()
    }

    /// The facts so far.
    pub(super) fn facts(&self) -> &PartFacts {
        &self.facts
    }

    /// The facts at the end.
    pub(super) fn into_facts(self) -> PartFacts {
        self.facts
    }

    /// Notes why reading broke off.
    pub(super) fn break_off(&mut self, reason: String) {
        self.facts.broke_off = Some(reason);
    }

    /// Takes the next row; gives the item before it, if that is whole now.
    pub(super) fn push(&mut self, row: OnHandRow, as_of: AsOf) -> Option<GatheredItem> {
        let complete = self.fold.push(row, as_of)?;
        self.take(complete)
    }

    /// A whole page was read.
    pub(super) fn page_ended(&mut self, end: PageEnd) -> PageEnded {
        self.facts.dropped_rows += end.dropped_rows;
        self.facts.pages += 1;
        let mut item = None;
        if guards::is_off(Guard::HeldBackItems) {
            item = self.fold.complete().and_then(|item| self.take(item));
        }
        let next = self.walk.page_ended(end, &mut self.fold);
        let then = match next {
            _ if self.facts.item_seen_twice.is_some() => AfterPage::GivenUp,
            Next::Page => AfterPage::Page,
            Next::End => {
                let last = self.fold.complete().and_then(|item| self.take(item));
                item = last.or(item);
                AfterPage::End
            }
            Next::Stuck(why) => {
                self.break_off(why.to_owned());
                AfterPage::GivenUp
            }
        };
        PageEnded { item, then }
    }

    /// A page failed: what is held is read again.
    pub(super) fn page_failed(&mut self) {
        self.walk.page_failed(&mut self.fold);
    }

    /// Notes that getting here took so long since the last mark; whether that was worth one.
    pub(super) fn mark(&mut self, since_last: Duration, part_time: Duration) -> bool {
        let item = self.walk.last_complete();
        item.is_some_and(|item| self.facts.mark(item.as_str(), since_last, part_time))
    }

    /// How far reading has come, for whoever goes on from here; none before the first item.
    pub(super) fn place(&self) -> Option<ShardProgress> {
        let cursor = self.walk.last_complete()?;
        Some(ShardProgress {
            rows: self.facts.rows,
            cursor: cursor.as_str().to_owned(),
            notes: self.facts.to_notes(),
        })
    }

    fn take(&mut self, item: CompleteItem) -> Option<GatheredItem> {
        let number = item.number()?.clone();
        if !self.seen.insert(self.hasher.hash_one(&number)) {
            // Its rows came in two places: neither sum is the whole.
            let twice = &mut self.facts.item_seen_twice;
            twice.get_or_insert(number.as_str().to_owned());
            return None;
        }
        let rows = item.rows.len() as u64;
        self.walk.completed(&number);
        match fold_item(item.rows, &self.mapper, item.as_of, self.origin) {
            Ok(folded) => {
                self.facts.unmapped_rows += folded.unmapped_rows as u64;
                self.facts.rows += rows;
                for line in &folded.lines {
                    self.facts.hash.add_line(line);
                }
                let lines = folded.lines;
                Some(GatheredItem { lines, rows })
            }
            Err(error) => {
                self.cannot_sum(&number, &error.to_string());
                None
            }
        }
    }

    fn cannot_sum(&mut self, number: &ItemNumber, error: &str) {
        self.facts
            .broke_off
            .get_or_insert(format!("item {number:?}: {error}"));
    }
}

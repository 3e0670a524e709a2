//! What the rows of a part come to, page by page: items, lines, facts. It reads nothing itself.

use super::fold::{CompleteItem, Fold};
use super::page_walk::{Next, PageWalk};
use super::part_facts::PartFacts;
use crate::variants::{Learned, as_question};
use shared::d365::{PageEnd, PageStart};
use shared::process::guards::{self, Guard};
use shared::redis_store::ShardProgress;
use shared::stock::{
    AsOf, ItemNumber, OnHandRow, Origin, Sku, SkuMapper, StockLine, Variant, VariantIndex,
    fold_item,
};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
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
    /// Whole items with rows that the mapping, read before them, does not know.
    strangers: Vec<CompleteItem>,
    learned: Arc<Learned>,
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
    pub(super) fn new(
        mapper: SkuMapper,
        learned: Arc<Learned>,
        origin: Origin,
        walk: PageWalk,
        facts: PartFacts,
    ) -> Self {
        Self {
            mapper,
            origin,
            fold: Fold::default(),
            walk,
            seen: HashSet::new(),
            hasher: RandomState::new(),
            strangers: Vec::new(),
            learned,
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

    /// Notes why reading broke off, unless it had before.
    pub(super) fn break_off(&mut self, reason: String) {
        self.facts.broke_off.get_or_insert(reason);
    }

    /// Takes the next row; gives the item before it, if that is whole now.
    pub(super) fn push(&mut self, row: OnHandRow, as_of: AsOf) -> Option<GatheredItem> {
        let complete = self.fold.push(row, as_of)?;
        self.take(complete)
    }

    /// A whole page was read.
    pub(super) fn page_ended(&mut self, end: PageEnd) -> PageEnded {
        self.facts.dropped_rows += end.dropped_rows;
        self.facts.unmapped_rows += end.nameless_rows;
        self.facts.pages += 1;
        let mut item = None;
        if guards::is_off(Guard::HeldBackItems) {
            item = self.fold.complete().and_then(|item| self.take(item));
        }
        let next = self.walk.page_ended(end, &mut self.fold);
        let then = match next {
            _ if self.facts.item_seen_twice.is_some() || self.facts.broke_off.is_some() => {
                AfterPage::GivenUp
            }
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

    /// The items with rows the mapping does not know. D365 is asked about them before the place that
    /// was reached is noted: their lines are part of what lies before it.
    pub(super) fn strangers(&self) -> Vec<Sku> {
        let numbers = self.strangers.iter().filter_map(CompleteItem::number);
        numbers.filter_map(as_question).collect()
    }

    /// Takes all variants there are of the strangers, read after their rows; gives what they come to,
    /// and whether the mapping lacked one of them.
    pub(super) fn settle(&mut self, variants: Vec<Variant>) -> (Vec<GatheredItem>, bool) {
        let fresh = SkuMapper::Variants(Arc::new(VariantIndex::new(variants)));
        let mut items = Vec::new();
        let mut is_news = false;
        for stranger in std::mem::take(&mut self.strangers) {
            let mut rows = stranger.rows.iter();
            is_news |= rows.any(|row| {
                self.learned.is_stranger(row, &self.mapper)
                    && fresh.is_certain(&row.item, &row.dimensions)
            });
            self.learned.note_answer(&stranger.rows, &fresh);
            items.extend(self.fold(&stranger, Some(&fresh)));
        }
        (items, is_news)
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
        if let Some(before) = self.walk.behind()
            && is_out_of_order(before.key(), number.key())
        {
            let why = format!(
                "item {number:?} came after {before:?}: the rows are not in the order that was asked \
                 for, so that the next page could leave some out"
            );
            self.break_off(why);
            return None;
        }
        self.walk.completed(&number);
        let is_stranger = |row: &OnHandRow| self.learned.is_stranger(row, &self.mapper);
        if item.rows.iter().any(is_stranger) && as_question(&number).is_some() {
            self.strangers.push(item);
            return None;
        }
        self.fold(&item, None)
    }

    fn fold(&mut self, item: &CompleteItem, fresh: Option<&SkuMapper>) -> Option<GatheredItem> {
        let number = item.number()?.clone();
        let rows = item.rows.len() as u64;
        let mapper = fresh.unwrap_or(&self.mapper);
        match fold_item(&item.rows, mapper, item.as_of, self.origin) {
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
        self.break_off(format!("item {number:?}: {error}"));
    }
}

/// Whether two items that follow each other cannot be in D365's order. That order is its database's
/// collation, which is not known here; but in each of them 1 comes before 2, so numbers that differ
/// first in a digit tell.
fn is_out_of_order(before: &str, after: &str) -> bool {
    let mut pairs = before.chars().zip(after.chars());
    pairs
        .find(|(a, b)| a != b)
        .is_some_and(|(a, b)| a.is_ascii_digit() && b.is_ascii_digit() && a > b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::settings::PagingMode;
    use shared::stock::{Generation, ProductDimensions, Quantities, Quantity, WarehouseId};

    fn row(item: &str, color: &str, available: i64) -> OnHandRow {
        OnHandRow {
            item: ItemNumber::parse(item).unwrap(),
            dimensions: ProductDimensions {
                color: color.into(),
                ..ProductDimensions::default()
            },
            site: None,
            warehouse: WarehouseId::parse("24").unwrap(),
            quantities: Quantities {
                available: Quantity::from(available),
                ..Quantities::default()
            },
        }
    }

    fn variant(item: &str, color: &str, sku: &str) -> Variant {
        Variant {
            item: ItemNumber::parse(item).unwrap(),
            dimensions: row(item, color, 0).dimensions,
            sku: Sku::parse(sku).unwrap(),
        }
    }

    fn gathering(mapper: SkuMapper) -> Gathering {
        let walk = PageWalk::new(PagingMode::Keyset, 100, None);
        let origin = Origin::Snapshot(Generation(1));
        Gathering::new(mapper, Arc::default(), origin, walk, PartFacts::default())
    }

    /// Takes one page that is the last; gives the SKUs of the lines.
    fn page(gathering: &mut Gathering, rows: &[OnHandRow]) -> (Vec<String>, AfterPage) {
        let mut items = Vec::new();
        for row in rows {
            items.extend(gathering.push(row.clone(), AsOf::EPOCH));
        }
        let end = PageEnd {
            rows: rows.len() as u64,
            ..PageEnd::default()
        };
        let ended = gathering.page_ended(end);
        items.extend(ended.item);
        (skus(&items), ended.then)
    }

    fn skus(items: &[GatheredItem]) -> Vec<String> {
        let lines = items.iter().flat_map(|item| &item.lines);
        lines.map(|line| line.sku.to_string()).collect()
    }

    #[test]
    fn combinations_the_mapping_lacks_wait_until_d365_was_asked_about_them() {
        let index = VariantIndex::new([variant("A", "Black", "A-B"), variant("B", "Red", "B-R")]);
        let mut gathering = gathering(SkuMapper::Variants(Arc::new(index)));
        let rows = [
            row("A", "Black", 1),
            row("A", "White", 2),
            row("B", "Red", 3),
            row("C", "", 4),
            row("M*", "White", 5),
            row("N", "White", 6),
        ];
        let (lines, then) = page(&mut gathering, &rows);
        assert_eq!(then, AfterPage::End);
        assert_eq!(lines, ["B-R", "C", "M*"], "certain, or not to be asked for");
        let strangers: Vec<String> = gathering.strangers().iter().map(Sku::to_string).collect();
        assert_eq!(strangers, ["A", "N"]);
        assert_eq!(gathering.facts().rows, 3);
        let variants = vec![
            variant("A", "Black", "A-B"),
            variant("A", "White", "A-W"),
            variant("N", "Black", "N-B"),
        ];
        let (items, is_news) = gathering.settle(variants);
        assert_eq!(skus(&items), ["A-B", "A-W"]);
        assert!(is_news && gathering.strangers().is_empty());
        let facts = gathering.into_facts();
        assert_eq!((facts.rows, facts.unmapped_rows), (6, 1));
    }

    #[test]
    fn what_d365_does_not_know_either_is_no_news() {
        let index = VariantIndex::new([variant("A", "Black", "A-B")]);
        let mut gathering = gathering(SkuMapper::Variants(Arc::new(index)));
        page(&mut gathering, &[row("A", "White", 2)]);
        let (items, is_news) = gathering.settle(vec![variant("A", "Black", "A-B")]);
        assert_eq!((skus(&items), is_news), (Vec::new(), false));
        // Nobody asks about it again while the list stays the same.
        let learned = Arc::clone(&gathering.learned);
        assert!(!learned.is_stranger(&row("A", "White", 2), &gathering.mapper));
        assert!(learned.is_stranger(&row("A", "Red", 2), &gathering.mapper));
    }

    #[test]
    fn items_out_of_order_are_noticed_where_any_collation_would() {
        for (before, after, is_broken) in [
            ("A-2", "A-1", true),
            ("A-1", "A-2", false),
            ("A-19", "A-2", false),
            ("b", "A", false),
            ("A-10", "A-1", false),
        ] {
            let mut gathering = gathering(SkuMapper::ItemNumber);
            page(&mut gathering, &[row(before, "", 1), row(after, "", 1)]);
            let broke_off = &gathering.facts().broke_off;
            assert_eq!(broke_off.is_some(), is_broken, "{before} {after}");
        }
    }
}

//! What the rows of a part come to, page by page: items, lines, facts. It reads nothing itself.
//!
//! One SKU can be many rows, and they may straddle a page. An item is summed only once it is whole: when another
//! one begins, or when the chain of pages has ended.

use super::page_walk::{AfterPage, ItemRows, PageWalk};
use super::part_facts::PartFacts;
use crate::refresh::variant_findings::VariantFindings;
use crate::refresh::variants::as_question;
use shared::d365::{PageEnd, PageStart};
use shared::redis_store::ShardProgress;
use shared::stock::{
    AsOf, Generation, OnHandRow, Origin, Sku, SkuMapper, StockLine, Variant, VariantIndex,
    fold_item,
};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// A part as far as it was read.
#[derive(Debug)]
pub struct Accumulator {
    mapper: SkuMapper,
    origin: Origin,
    walk: PageWalk,
    /// The item that may not be whole yet.
    held: Option<ItemRows>,
    /// Hashes of the numbers of complete items: eight bytes an item, whatever its rows.
    seen: HashSet<u64>,
    hasher: RandomState,
    /// Whole items with rows that the mapping, read before them, does not know.
    unmapped: Vec<ItemRows>,
    findings: Arc<VariantFindings>,
    facts: PartFacts,
}

/// An item that is whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WholeItem {
    /// Its lines.
    pub lines: Vec<StockLine>,
    /// Rows they are summed from.
    pub rows: u64,
}

impl Accumulator {
    /// Goes on with these facts, where the walk begins.
    pub fn new(
        mapper: SkuMapper,
        generation: Generation,
        walk: PageWalk,
        facts: PartFacts,
    ) -> Self {
        Self {
            mapper,
            origin: Origin::Snapshot(generation),
            walk,
            held: None,
            seen: HashSet::new(),
            hasher: RandomState::new(),
            unmapped: Vec::new(),
            findings: Arc::default(),
            facts,
        }
    }

    pub(super) fn with_findings(self, findings: Arc<VariantFindings>) -> Self {
        Self { findings, ..self }
    }

    /// Where the next page begins.
    pub fn start(&self) -> &PageStart {
        self.walk.start()
    }

    pub(super) fn facts(&self) -> &PartFacts {
        &self.facts
    }

    /// The facts at the end.
    pub fn into_facts(self) -> PartFacts {
        self.facts
    }

    /// Notes why reading broke off, unless it had before.
    pub fn break_off(&mut self, reason: String) {
        self.facts.broke_off.get_or_insert(reason);
    }

    /// Takes the next row; gives the item before it, if that is whole now.
    pub fn push(&mut self, row: OnHandRow, as_of: AsOf) -> Option<WholeItem> {
        if let Some(held) = self.held.as_mut().filter(|held| held.number == row.item) {
            held.rows.push(row);
            return None;
        }
        let begun = ItemRows {
            number: row.item.clone(),
            rows: vec![row],
            as_of,
        };
        let whole = self.held.replace(begun)?;
        self.take(whole)
    }

    /// A whole page was read. Gives the item it ended with, if that is whole, and what follows.
    pub fn page_ended(&mut self, end: PageEnd) -> (Option<WholeItem>, AfterPage) {
        self.facts.dropped_rows += end.dropped_rows;
        self.facts.unmapped_rows += end.nameless_rows;
        self.facts.pages += 1;
        let next = self.walk.page_ended(end, &mut self.held);
        if self.facts.item_seen_twice.is_some() || self.facts.broke_off.is_some() {
            return (None, AfterPage::GivenUp);
        }
        match next {
            Ok(AfterPage::End) => {
                let last = self.held.take().and_then(|item| self.take(item));
                (last, AfterPage::End)
            }
            Ok(next) => (None, next),
            Err(why) => {
                self.break_off(why.to_owned());
                (None, AfterPage::GivenUp)
            }
        }
    }

    /// A page failed: what is held is read again.
    pub fn page_failed(&mut self) {
        self.held = None;
        self.walk.page_failed();
    }

    /// The items with rows the mapping does not know. D365 is asked about them before the place that
    /// was reached is noted: their lines are part of what lies before it.
    pub(super) fn unmapped_items(&self) -> Vec<Sku> {
        let items = self.unmapped.iter();
        items.filter_map(|item| as_question(&item.number)).collect()
    }

    /// Takes all variants there are of the unmapped items, read after their rows; gives what they
    /// come to, and whether the mapping lacked one of them.
    pub(super) fn settle(&mut self, variants: Vec<Variant>) -> (Vec<WholeItem>, bool) {
        let fresh = SkuMapper::Variants(Arc::new(VariantIndex::new(variants)));
        let mut items = Vec::new();
        let mut is_news = false;
        for item in std::mem::take(&mut self.unmapped) {
            is_news |= item.rows.iter().any(|row| {
                self.findings.is_unmapped(row, &self.mapper)
                    && fresh.is_certain(&row.item, &row.dimensions)
            });
            self.findings.note_answer(&item.rows, &fresh);
            items.extend(self.sum(&item, Some(&fresh)));
        }
        (items, is_news)
    }

    /// Notes that getting here took so long since the last mark; whether that was worth one.
    pub fn mark(&mut self, since_last: Duration, part_time: Duration) -> bool {
        let item = self.walk.last_complete();
        item.is_some_and(|item| self.facts.mark(item.as_str(), since_last, part_time))
    }

    /// How far reading has come, for the reader that goes on from here; none before the first item.
    pub fn place(&self) -> Option<ShardProgress> {
        let cursor = self.walk.last_complete()?;
        Some(ShardProgress {
            rows: self.facts.rows,
            cursor: cursor.as_str().to_owned(),
            notes: self.facts.to_notes(),
        })
    }

    fn take(&mut self, item: ItemRows) -> Option<WholeItem> {
        let number = &item.number;
        if !self.seen.insert(self.hasher.hash_one(number)) {
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
        self.walk.complete(number);
        let is_unmapped = |row: &OnHandRow| self.findings.is_unmapped(row, &self.mapper);
        if item.rows.iter().any(is_unmapped) && as_question(number).is_some() {
            self.unmapped.push(item);
            return None;
        }
        self.sum(&item, None)
    }

    fn sum(&mut self, item: &ItemRows, fresh: Option<&SkuMapper>) -> Option<WholeItem> {
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
                Some(WholeItem { lines, rows })
            }
            Err(error) => {
                self.break_off(format!("item {:?}: {error}", item.number));
                None
            }
        }
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
    use proptest::prelude::*;
    use shared::settings::PagingMode;
    use shared::stock::{ItemNumber, ProductDimensions, Quantities, Quantity, WarehouseId};

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

    fn accumulator(mapper: SkuMapper, page_size: u32) -> Accumulator {
        let walk = PageWalk::new(PagingMode::Keyset, page_size, None);
        Accumulator::new(mapper, Generation(1), walk, PartFacts::default())
    }

    fn at(page: usize) -> AsOf {
        AsOf::from_unix_ms(1_800_000_000_000 + i64::try_from(page).unwrap()).unwrap()
    }

    /// The rows of a page as D365 would serve it: by key, or within an item.
    fn page(rows: &[OnHandRow], start: &PageStart, size: usize) -> Vec<OnHandRow> {
        let all: Vec<_> = match start {
            PageStart::First => rows.to_vec(),
            PageStart::AfterItem(item) => {
                let last = rows.iter().rposition(|row| row.item == *item).unwrap();
                rows[last + 1..].to_vec()
            }
            PageStart::WithinItem { item, skip } => {
                let own = rows.iter().filter(|row| row.item == *item);
                own.skip(*skip as usize).cloned().collect()
            }
            PageStart::Link(_) => panic!("not by link here"),
        };
        all.into_iter().take(size).collect()
    }

    /// Reads a warehouse in pages of this size; each page is a millisecond younger.
    fn read(rows: &[OnHandRow], page_size: u32) -> (Vec<StockLine>, PartFacts) {
        let mut accumulator = accumulator(SkuMapper::ItemNumber, page_size);
        let mut lines = Vec::new();
        for number in 0..1_000 {
            let page = page(rows, accumulator.start(), page_size as usize);
            let end = PageEnd {
                rows: page.len() as u64,
                ..PageEnd::default()
            };
            for row in page {
                let whole = accumulator.push(row, at(number));
                lines.extend(whole.into_iter().flat_map(|item| item.lines));
            }
            let (last, then) = accumulator.page_ended(end);
            lines.extend(last.into_iter().flat_map(|item| item.lines));
            match then {
                AfterPage::Page => {}
                AfterPage::End => return (lines, accumulator.into_facts()),
                AfterPage::GivenUp => panic!("{:?}", accumulator.facts()),
            }
        }
        panic!("the walk did not end");
    }

    proptest! {
        #[test]
        fn every_item_is_summed_whole_and_once_whatever_the_page_size(
            items in proptest::collection::vec((1_usize..10, -9_i64..9), 0..12),
            page_size in 1_u32..13,
        ) {
            // An order that is not Rust's: the walk must not care.
            let names = ["b", "A", " c", "a-1", "B2", "Z"];
            let rows: Vec<_> = items
                .iter()
                .enumerate()
                .flat_map(|(n, (rows, available))| {
                    let name = format!("{}{n}", names[n % names.len()]);
                    (0..*rows).map(move |color| row(&name, &color.to_string(), *available))
                })
                .collect();
            let content = |lines: Vec<StockLine>| -> Vec<_> {
                lines.into_iter().map(|line| (line.sku, line.value.content)).collect()
            };
            let (lines, facts) = read(&rows, page_size);
            let (at_once, whole) = read(&rows, 10_000);
            prop_assert_eq!(at_once.len(), items.len());
            prop_assert_eq!(content(lines), content(at_once));
            prop_assert_eq!((facts.rows, facts.hash), (rows.len() as u64, whole.hash));
        }
    }

    #[test]
    fn an_item_that_fills_several_pages_has_the_as_of_of_the_earliest() {
        let rows = ["x", "y", "z"].map(|color| row("A", color, 1));
        let (lines, facts) = read(&rows, 2);
        assert_eq!(lines[0].value.as_of, at(0), "{facts:?}");
    }

    /// Takes one page that is the last; gives the SKUs of the lines.
    fn last_page(accumulator: &mut Accumulator, rows: &[OnHandRow]) -> Vec<String> {
        let mut items = Vec::new();
        for row in rows {
            items.extend(accumulator.push(row.clone(), AsOf::EPOCH));
        }
        let end = PageEnd {
            rows: rows.len() as u64,
            ..PageEnd::default()
        };
        let (last, then) = accumulator.page_ended(end);
        assert_eq!(then, AfterPage::End);
        items.extend(last);
        skus(&items)
    }

    fn skus(items: &[WholeItem]) -> Vec<String> {
        let lines = items.iter().flat_map(|item| &item.lines);
        lines.map(|line| line.sku.to_string()).collect()
    }

    #[test]
    fn combinations_the_mapping_lacks_wait_until_d365_was_asked_about_them() {
        let index = VariantIndex::new([variant("A", "Black", "A-B"), variant("B", "Red", "B-R")]);
        let mut accumulator = accumulator(SkuMapper::Variants(Arc::new(index)), 100);
        let rows = [
            row("A", "Black", 1),
            row("A", "White", 2),
            row("B", "Red", 3),
            row("C", "", 4),
            row("M*", "White", 5),
            row("N", "White", 6),
        ];
        let lines = last_page(&mut accumulator, &rows);
        assert_eq!(lines, ["B-R", "C", "M*"], "certain, or not to be asked for");
        let unmapped: Vec<String> = accumulator
            .unmapped_items()
            .iter()
            .map(Sku::to_string)
            .collect();
        assert_eq!(unmapped, ["A", "N"]);
        assert_eq!(accumulator.facts().rows, 3);
        let variants = vec![
            variant("A", "Black", "A-B"),
            variant("A", "White", "A-W"),
            variant("N", "Black", "N-B"),
        ];
        let (items, is_news) = accumulator.settle(variants);
        assert_eq!(skus(&items), ["A-B", "A-W"]);
        assert!(is_news && accumulator.unmapped_items().is_empty());
        let facts = accumulator.into_facts();
        assert_eq!((facts.rows, facts.unmapped_rows), (6, 1));
    }

    #[test]
    fn what_d365_does_not_know_either_is_no_news() {
        let index = VariantIndex::new([variant("A", "Black", "A-B")]);
        let mut accumulator = accumulator(SkuMapper::Variants(Arc::new(index)), 100);
        last_page(&mut accumulator, &[row("A", "White", 2)]);
        let (items, is_news) = accumulator.settle(vec![variant("A", "Black", "A-B")]);
        assert_eq!((skus(&items), is_news), (Vec::new(), false));
        // It is not asked about again while the list stays the same.
        let findings = &accumulator.findings;
        assert!(!findings.is_unmapped(&row("A", "White", 2), &accumulator.mapper));
        assert!(findings.is_unmapped(&row("A", "Red", 2), &accumulator.mapper));
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
            let mut accumulator = accumulator(SkuMapper::ItemNumber, 100);
            last_page(&mut accumulator, &[row(before, "", 1), row(after, "", 1)]);
            let broke_off = &accumulator.facts().broke_off;
            assert_eq!(broke_off.is_some(), is_broken, "{before} {after}");
        }
    }
}

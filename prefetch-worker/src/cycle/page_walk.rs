//! From page to page: where the next one begins.
//!
//! The walk goes by key: the next page starts after the last *complete* item, in D365's own order
//! (never judged by ours: it is the database's collation). The item a page ends with is read again
//! with the next page, unless the chain has ended. Continuation links are followed where the
//! settings say so; then the held item is carried over instead.

use super::fold::Fold;
use shared::d365::{LinkTrail, PageEnd, PageStart};
use shared::settings::PagingMode;
use shared::stock::ItemNumber;

/// An item with more rows than this is not believed.
const MOST_ROWS_OF_AN_ITEM: usize = 200_000;
/// A part with more continuations than this has no end.
const MOST_LINKS: usize = 50_000;
/// So many pages without a row are not believed to lead anywhere.
const MOST_EMPTY_PAGES: u32 = 20;

/// Where the walk is.
#[derive(Debug)]
pub(crate) struct PageWalk {
    mode: PagingMode,
    page_size: u32,
    /// The item the part begins after.
    after: Option<ItemNumber>,
    start: PageStart,
    last_complete: Option<ItemNumber>,
    /// Items completed by the page under way.
    completed_here: u64,
    trail: LinkTrail,
    /// Pages without a row, in a row.
    empty_pages: u32,
}

/// What follows a whole page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another page.
    Page,
    /// The chain has ended: what is held is complete.
    End,
    /// The walk cannot go on.
    Stuck(&'static str),
}

impl PageWalk {
    /// Begins after an item, or at the warehouse's first one.
    pub(crate) fn new(mode: PagingMode, page_size: u32, after: Option<ItemNumber>) -> Self {
        Self {
            mode,
            page_size,
            start: after.clone().map_or(PageStart::First, PageStart::AfterItem),
            after,
            last_complete: None,
            completed_here: 0,
            trail: LinkTrail::new(MOST_LINKS),
            empty_pages: 0,
        }
    }

    /// Where the next page begins.
    pub(crate) fn start(&self) -> &PageStart {
        &self.start
    }

    /// The last complete item.
    pub(crate) fn last_complete(&self) -> Option<&ItemNumber> {
        self.last_complete.as_ref()
    }

    /// The item everything that comes now lies behind.
    pub(crate) fn behind(&self) -> Option<&ItemNumber> {
        self.last_complete.as_ref().or(self.after.as_ref())
    }

    /// Notes a completed item.
    pub(crate) fn completed(&mut self, item: &ItemNumber) {
        self.last_complete = Some(item.clone());
        self.completed_here += 1;
    }

    /// A whole page was read: decides where to go on, and what becomes of the held rows.
    pub(crate) fn page_ended(&mut self, end: PageEnd, fold: &mut Fold) -> Next {
        let completed_here = std::mem::take(&mut self.completed_here);
        let has_more = end.next_link.is_some() || end.rows >= u64::from(self.page_size);
        if fold.held_rows() > MOST_ROWS_OF_AN_ITEM {
            return Next::Stuck("an item has more rows than can be true");
        }
        if let PageStart::WithinItem { item, skip } = &self.start {
            if has_more && end.rows > 0 {
                let rows = u32::try_from(end.rows).unwrap_or(u32::MAX);
                let skip = skip.saturating_add(rows);
                self.start = PageStart::WithinItem {
                    item: item.clone(),
                    skip,
                };
                return Next::Page;
            }
            // The item is whole; the page after it decides whether anything follows.
            self.start = PageStart::AfterItem(item.clone());
            return Next::Page;
        }
        if !has_more {
            return Next::End;
        }
        if let (PagingMode::NextLink, Some(link)) = (self.mode, end.next_link) {
            self.empty_pages = if end.rows == 0 {
                self.empty_pages + 1
            } else {
                0
            };
            if self.empty_pages > MOST_EMPTY_PAGES {
                return Next::Stuck("D365 announces more and more pages that are empty");
            }
            if self.trail.follow(&link).is_err() {
                return Next::Stuck("D365 gave a continuation twice, or continuations without end");
            }
            self.start = PageStart::Link(link);
            return Next::Page;
        }
        if completed_here > 0 {
            fold.forget();
            return self.go_on_by_key();
        }
        match fold.held_item() {
            // Nothing but this item on a whole page: it has more rows than a page.
            Some(item) => {
                let skip = u32::try_from(fold.held_rows()).unwrap_or(u32::MAX);
                self.start = PageStart::WithinItem {
                    item: item.clone(),
                    skip,
                };
                Next::Page
            }
            None => Next::Stuck("a page held no row that was asked for, and more were announced"),
        }
    }

    /// A page failed half-way: goes on after the last complete item, by key in either mode.
    pub(crate) fn page_failed(&mut self, fold: &mut Fold) {
        self.completed_here = 0;
        fold.forget();
        if let PageStart::WithinItem { item, .. } = &self.start {
            self.start = PageStart::WithinItem {
                item: item.clone(),
                skip: 0,
            };
        } else {
            let _ = self.go_on_by_key();
        }
    }

    fn go_on_by_key(&mut self) -> Next {
        self.start = match self.behind() {
            Some(item) => PageStart::AfterItem(item.clone()),
            None => PageStart::First,
        };
        Next::Page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::d365::read_recorded_page;
    use shared::stock::{AsOf, OnHandRow, ProductDimensions, Quantities, WarehouseId};

    /// A warehouse of items with this many rows each, in D365's order, served by key or within an
    /// item as D365 would.
    struct Shelf(Vec<(ItemNumber, u32)>);

    impl Shelf {
        fn of(rows_per_item: &[u32]) -> Self {
            // An order that is not Rust's: the walk must not care.
            let names = ["b", "A", " c", "a-1", "B2", "Z"];
            Self(
                rows_per_item
                    .iter()
                    .enumerate()
                    .map(|(n, rows)| {
                        (
                            ItemNumber::parse(format!("{}{n}", names[n % 6])).unwrap(),
                            *rows,
                        )
                    })
                    .collect(),
            )
        }

        fn page(&self, start: &PageStart, size: usize) -> Vec<ItemNumber> {
            let all = |items: &[(ItemNumber, u32)]| -> Vec<ItemNumber> {
                items
                    .iter()
                    .flat_map(|(item, rows)| std::iter::repeat_n(item.clone(), *rows as usize))
                    .collect()
            };
            let rows = match start {
                PageStart::First => all(&self.0),
                PageStart::AfterItem(item) => {
                    let at = self.0.iter().position(|(other, _)| other == item).unwrap();
                    all(&self.0[at + 1..])
                }
                PageStart::WithinItem { item, skip } => {
                    let one: Vec<_> = self
                        .0
                        .iter()
                        .filter(|(other, _)| other == item)
                        .cloned()
                        .collect();
                    all(&one).split_off((*skip as usize).min(all(&one).len()))
                }
                PageStart::Link(_) => panic!("not by link here"),
            };
            rows.into_iter().take(size).collect()
        }
    }

    fn row(item: &ItemNumber, n: usize) -> OnHandRow {
        OnHandRow {
            item: item.clone(),
            dimensions: ProductDimensions {
                size: n.to_string().into(),
                ..ProductDimensions::default()
            },
            site: None,
            warehouse: WarehouseId::parse("24").unwrap(),
            quantities: Quantities::default(),
        }
    }

    fn walked(shelf: &Shelf, page_size: u32) -> Vec<(ItemNumber, usize)> {
        let mut walk = PageWalk::new(PagingMode::Keyset, page_size, None);
        let mut fold = Fold::default();
        let mut found = Vec::new();
        for page in 0..1_000 {
            let rows = shelf.page(walk.start(), page_size as usize);
            for (n, item) in rows.iter().enumerate() {
                if let Some(complete) = fold.push(row(item, page * 1_000 + n), AsOf::EPOCH) {
                    let number = complete.number().unwrap().clone();
                    walk.completed(&number);
                    found.push((number, complete.rows.len()));
                }
            }
            let end = PageEnd {
                rows: rows.len() as u64,
                ..PageEnd::default()
            };
            match walk.page_ended(end, &mut fold) {
                Next::Page => {}
                Next::End => {
                    found.extend(
                        fold.complete()
                            .map(|c| (c.number().unwrap().clone(), c.rows.len())),
                    );
                    return found;
                }
                Next::Stuck(why) => panic!("{why}"),
            }
        }
        panic!("the walk did not end");
    }

    #[test]
    fn every_item_is_found_whole_and_once_whatever_the_page_size() {
        for rows_per_item in [
            vec![1, 2, 3, 1, 1],
            vec![7],
            vec![1, 9, 1],
            vec![4, 4, 4],
            vec![9, 9],
            vec![],
        ] {
            let shelf = Shelf::of(&rows_per_item);
            let expected: Vec<_> = shelf
                .0
                .iter()
                .map(|(item, rows)| (item.clone(), *rows as usize))
                .collect();
            for page_size in 1..=12 {
                assert_eq!(
                    walked(&shelf, page_size),
                    expected,
                    "{rows_per_item:?} by {page_size}"
                );
            }
        }
    }

    #[test]
    fn a_short_page_with_a_continuation_is_not_the_end() {
        let mut walk = PageWalk::new(PagingMode::Keyset, 100, None);
        let mut fold = Fold::default();
        let end = PageEnd {
            rows: 3,
            ..PageEnd::default()
        };
        assert_eq!(walk.page_ended(end, &mut fold), Next::End);
    }

    /// The end of a page that announces the one at this place; without rows of its own if asked so.
    async fn end_before(place: u32, rows: u64) -> PageEnd {
        let environment = [
            ("ID", "contoso"),
            ("ENVIRONMENT_URL", "https://contoso.operations.dynamics.com"),
            ("LEGAL_ENTITY", "usmf"),
            ("WAREHOUSES", "24"),
            ("ENTRA__TENANT_ID", "directory"),
            ("ENTRA__CLIENT_ID", "app"),
            ("ENTRA__CLIENT_SECRET", "secret"),
        ]
        .map(|(name, value)| (format!("CONNECTOR__TENANTS__0__{name}"), value.to_owned()));
        let settings = shared::settings::Layers::with_environment(environment.into());
        let tenant = &settings.load().unwrap().tenants[0];
        let page = format!(r#"{{"value":[],"@odata.nextLink":"?$skip={place}"}}"#);
        let read = read_recorded_page(tenant, &tenant.warehouses[0], vec![page.into()]);
        let (_, end) = read.await.unwrap();
        PageEnd { rows, ..end }
    }

    #[tokio::test]
    async fn continuations_that_run_in_a_circle_end_the_walk() {
        let mut walk = PageWalk::new(PagingMode::NextLink, 100, None);
        let mut fold = Fold::default();
        for place in [1, 2, 3] {
            let next = walk.page_ended(end_before(place, 100).await, &mut fold);
            assert_eq!(next, Next::Page, "{place}");
        }
        let next = walk.page_ended(end_before(2, 100).await, &mut fold);
        assert!(matches!(next, Next::Stuck(_)), "{next:?}");
    }

    #[tokio::test]
    async fn empty_pages_are_borne_for_a_while() {
        let mut walk = PageWalk::new(PagingMode::NextLink, 100, None);
        let mut fold = Fold::default();
        for place in 0..MOST_EMPTY_PAGES {
            let next = walk.page_ended(end_before(place, 0).await, &mut fold);
            assert_eq!(next, Next::Page, "{place}");
        }
        let next = walk.page_ended(end_before(1_000, 0).await, &mut fold);
        assert!(matches!(next, Next::Stuck(_)), "{next:?}");
    }
}

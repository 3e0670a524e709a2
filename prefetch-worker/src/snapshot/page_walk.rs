//! From page to page: where the next one begins.
//!
//! The walk goes by key: the next page starts after the last *complete* item, in D365's own order
//! (never judged by ours: it is the database's collation). The item a page ends with is read again
//! with the next page, unless the chain has ended. Continuation links are followed where the
//! settings say so; then the held item is carried over instead.

use shared::d365::{LinkTrail, PageEnd, PageStart};
use shared::settings::PagingMode;
use shared::stock::{AsOf, ItemNumber, OnHandRow};

/// An item with more rows than this is not believed.
const MOST_ROWS_OF_AN_ITEM: usize = 200_000;
/// A part with more continuations than this has no end.
const MOST_LINKS: usize = 50_000;
/// So many pages without a row are not believed to lead anywhere.
const MOST_EMPTY_PAGES: u32 = 20;

/// The rows of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ItemRows {
    pub(super) number: ItemNumber,
    pub(super) rows: Vec<OnHandRow>,
    /// Of the page that brought the first of them: the older as-of is the honest one.
    pub(super) as_of: AsOf,
}

/// What follows a whole page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterPage {
    /// Another page.
    Page,
    /// The chain has ended: what is held is complete.
    End,
    /// Reading on is of no use; the facts say why.
    GivenUp,
}

/// Where the walk is.
#[derive(Debug)]
pub struct PageWalk {
    mode: PagingMode,
    page_size: u32,
    start: PageStart,
    /// The last complete item; at first the one the walk begins after.
    behind: Option<ItemNumber>,
    /// Items completed by the page under way.
    completed_here: u64,
    /// Items completed by the walk.
    completed: u64,
    trail: LinkTrail,
    /// Pages without a row, in a row.
    empty_pages: u32,
}

impl PageWalk {
    /// Begins after an item, or at the warehouse's first one.
    pub fn new(mode: PagingMode, page_size: u32, after: Option<ItemNumber>) -> Self {
        Self {
            mode,
            page_size,
            start: after.clone().map_or(PageStart::First, PageStart::AfterItem),
            behind: after,
            completed_here: 0,
            completed: 0,
            trail: LinkTrail::new(MOST_LINKS),
            empty_pages: 0,
        }
    }

    pub(super) fn start(&self) -> &PageStart {
        &self.start
    }

    /// The last item this walk has completed.
    pub(super) fn last_complete(&self) -> Option<&ItemNumber> {
        self.behind.as_ref().filter(|_| self.completed > 0)
    }

    /// The item everything that comes now lies behind.
    pub(super) fn behind(&self) -> Option<&ItemNumber> {
        self.behind.as_ref()
    }

    pub(super) fn complete(&mut self, item: &ItemNumber) {
        self.behind = Some(item.clone());
        self.completed += 1;
        self.completed_here += 1;
    }

    /// A whole page was read: decides where to go on, and what becomes of the held rows. An error
    /// says why the walk cannot go on.
    pub(super) fn page_ended(
        &mut self,
        end: PageEnd,
        held: &mut Option<ItemRows>,
    ) -> Result<AfterPage, &'static str> {
        let completed_here = std::mem::take(&mut self.completed_here);
        let has_more = end.next_link.is_some() || end.rows >= u64::from(self.page_size);
        let held_rows = held.as_ref().map_or(0, |item| item.rows.len());
        if held_rows > MOST_ROWS_OF_AN_ITEM {
            return Err("an item has more rows than can be true");
        }
        if let PageStart::WithinItem { item, skip } = &mut self.start {
            if has_more && end.rows > 0 {
                *skip = skip.saturating_add(u32::try_from(end.rows).unwrap_or(u32::MAX));
            } else {
                // The item is whole; the page after it decides whether anything follows.
                self.start = PageStart::AfterItem(item.clone());
            }
            return Ok(AfterPage::Page);
        }
        if !has_more {
            return Ok(AfterPage::End);
        }
        if let (PagingMode::NextLink, Some(link)) = (self.mode, end.next_link) {
            self.empty_pages = if end.rows == 0 {
                self.empty_pages + 1
            } else {
                0
            };
            if self.empty_pages > MOST_EMPTY_PAGES {
                return Err("D365 announces more and more pages that are empty");
            }
            if self.trail.follow(&link).is_err() {
                return Err("D365 gave a continuation twice, or continuations without end");
            }
            self.start = PageStart::Link(link);
            return Ok(AfterPage::Page);
        }
        if completed_here > 0 {
            *held = None;
            self.go_on_by_key();
            return Ok(AfterPage::Page);
        }
        let Some(item) = held else {
            return Err("a page held no row that was asked for, and more were announced");
        };
        // Nothing but this item on a whole page: it has more rows than a page.
        self.start = PageStart::WithinItem {
            item: item.number.clone(),
            skip: u32::try_from(held_rows).unwrap_or(u32::MAX),
        };
        Ok(AfterPage::Page)
    }

    /// A page failed half-way: goes on after the last complete item, by key in either mode.
    pub(super) fn page_failed(&mut self) {
        self.completed_here = 0;
        if let PageStart::WithinItem { skip, .. } = &mut self.start {
            *skip = 0;
        } else {
            self.go_on_by_key();
        }
    }

    fn go_on_by_key(&mut self) {
        let behind = self.behind.clone();
        self.start = behind.map_or(PageStart::First, PageStart::AfterItem);
    }
}

//! What the services ask of an ERP, whoever answers.

use crate::d365::error::D365Error;
use crate::d365::next_link::NextLink;
use crate::stock::{AsOf, ItemNumber, OnHandRow, Sku, Variant, WarehouseId};
use futures_util::future::BoxFuture;
use std::time::Duration;

/// A future that ends in a value or a [`D365Error`].
pub type Answer<'a, T> = BoxFuture<'a, Result<T, D365Error>>;

/// A source of on-hand stock for one tenant.
pub trait OnHandSource: Send + Sync + std::fmt::Debug {
    /// Reads one page of a warehouse.
    fn read_page<'a>(&'a self, query: &'a PageQuery) -> Answer<'a, OnHandPage>;

    /// Asks for all rows of some items in some warehouses, now.
    fn look_up<'a>(&'a self, question: &'a LookUp) -> Answer<'a, LookUpAnswer>;

    /// Reads released product variants.
    fn variants<'a>(&'a self, question: &'a VariantQuestion) -> Answer<'a, Vec<Variant>>;

    /// The warehouses the ERP knows in this legal entity; shows that token, company and
    /// permissions are right.
    fn warehouses(&self) -> Answer<'_, Vec<WarehouseId>>;
}

/// Which page of a warehouse to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageQuery {
    /// The warehouse.
    pub warehouse: WarehouseId,
    /// Where the page begins.
    pub start: PageStart,
    /// The last item it may hold, in D365's own order; none for the rest of the warehouse.
    pub up_to: Option<ItemNumber>,
    /// Rows asked for, 1 to 10,000 (D365's own maximum).
    pub page_size: u32,
}

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageStart {
    /// At the warehouse's first item.
    First,
    /// At the first item after this one, in D365's own order.
    AfterItem(ItemNumber),
    /// Inside one item that has more rows than a page: its rows from this offset on.
    WithinItem {
        /// The item.
        item: ItemNumber,
        /// Rows of it already read.
        skip: u32,
    },
    /// Where the previous page's continuation points.
    Link(NextLink),
}

/// A whole page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnHandPage {
    /// Start of the request.
    pub as_of: AsOf,
    /// Rows that were asked for, in the order D365 sent them.
    pub rows: Vec<OnHandRow>,
    /// How it ended.
    pub end: PageEnd,
}

/// How a page ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageEnd {
    /// Rows in the page, dropped ones included.
    pub rows: u64,
    /// Rows that were not asked for (another company or warehouse) and were dropped.
    pub dropped_rows: u64,
    /// Rows whose item number nobody could ask for (empty, over-long, control characters); they were
    /// dropped too.
    pub nameless_rows: u64,
    /// Continuation, if D365 says that more rows follow.
    pub next_link: Option<NextLink>,
}

/// A live question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUp {
    /// Items, at most as many as one request carries (see `look_up_chunks`).
    pub items: Vec<ItemNumber>,
    /// Warehouses.
    pub warehouses: Vec<WarehouseId>,
    /// Time left to answer, connecting and retrying included.
    pub time_left: Duration,
    /// Whether it gives way to orders: a quarter of the calls at once is left to them.
    pub gives_way: bool,
}

/// The answer to a live question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUpAnswer {
    /// Start of the request that was answered.
    pub as_of: AsOf,
    /// Rows that were asked for.
    pub rows: Vec<OnHandRow>,
    /// Rows that were not asked for and were dropped.
    pub dropped_rows: u64,
    /// Items whose absence the answer does not prove: a dropped row leaves doubt about them, or D365
    /// may have them in another spelling.
    pub unproved: Vec<ItemNumber>,
}

/// Which variants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariantQuestion {
    /// All of the legal entity.
    All,
    /// Those that carry one of these variant numbers, and all variants of items so named.
    Of {
        /// SKUs, at most as many as one request carries.
        skus: Vec<Sku>,
        /// Time left to answer.
        time_left: Duration,
    },
}

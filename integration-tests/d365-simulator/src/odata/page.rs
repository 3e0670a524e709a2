//! One page: found, damaged if a fault says so, written.

use super::errors::ODATA_JSON;
use super::page_writer::{PageFrame, write_page};
use super::query::Query;
use super::select::{Found, Search, select};
use crate::answer::Answer;
use crate::faults::{Fault, spoil_answer, spoil_link, spoil_rows};
use crate::switches::NumberStyle;
use crate::world::World;

/// What a page depends on besides the query.
pub(crate) struct PageRequest<'a> {
    pub(crate) query: &'a Query,
    /// Scheme, host and port that were called.
    pub(crate) origin: &'a str,
    /// The address of this request.
    pub(crate) here: &'a str,
    pub(crate) numbers: NumberStyle,
    pub(crate) page_size: usize,
    pub(crate) default_company: &'a str,
    pub(crate) faults: &'a [Fault],
}

/// Reads and writes a page.
pub(crate) fn page(world: &World, request: &PageRequest<'_>) -> Answer {
    let query = request.query;
    let take = query.top.unwrap_or(usize::MAX).min(request.page_size);
    let search = Search {
        set: query.set,
        filter: query.filter.as_ref(),
        order: &query.order,
        only_company: (!query.cross_company).then_some(request.default_company),
        skip: query.skip,
        take,
    };
    let Found { mut rows, more } = select(world, &search);
    let following = query.next_link(request.origin, take);
    let ends = spoil_rows(request.faults, query.set, &mut rows);
    let goes_on = more && !ends && query.top.is_none_or(|top| top > take);
    let link = spoil_link(
        request.faults,
        goes_on.then(|| following.clone()),
        &following,
        request.here,
    );
    let columns = query.columns();
    let written = write_page(
        &PageFrame {
            set: query.set,
            origin: request.origin,
            selected: &query.selected,
            columns: &columns,
            next_link: link.as_deref(),
            numbers: request.numbers,
        },
        &rows,
    );
    let mut answer = Answer::bytes(200, ODATA_JSON, written.body).header("OData-Version", "4.0");
    answer.rows = rows.len();
    answer.row_ends = written.row_ends;
    spoil_answer(request.faults, &mut answer);
    answer
}

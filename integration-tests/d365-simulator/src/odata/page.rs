//! One page: found, damaged if a fault says so, written.

use super::entities::EntitySet;
use super::errors::ODATA_JSON;
use super::page_writer::{PageFrame, write_page};
use super::paging::PagePlan;
use super::query::Query;
use super::select::{Found, Search, select};
use crate::answer::Answer;
use crate::faults::{Fault, spoil_answer, spoil_link, spoil_rows, spoil_skip};
use crate::switches::Switches;
use crate::world::World;

/// What a page depends on besides the query.
pub(crate) struct PageRequest<'a> {
    pub(crate) query: &'a Query,
    /// Scheme, host and port that were called.
    pub(crate) origin: &'a str,
    /// The address of this request.
    pub(crate) here: &'a str,
    pub(crate) switches: &'a Switches,
    pub(crate) page_size: usize,
    /// Page size asked for with `Prefer`.
    pub(crate) preferred: Option<usize>,
    pub(crate) default_company: &'a str,
    /// Differs from request to request.
    pub(crate) shuffle_seed: u64,
    pub(crate) faults: &'a [Fault],
}

/// Reads and writes a page.
pub(crate) fn page(world: &World, request: &PageRequest<'_>) -> Answer {
    let query = request.query;
    let preferred = request
        .preferred
        .filter(|_| request.switches.prefer_max_page_size);
    let plan = PagePlan::new(query, request.page_size, preferred);
    let search = Search {
        skip: spoil_skip(request.faults, query.skip),
        take: plan.take,
        count: query.count,
        ..search(request)
    };
    let Found {
        mut rows,
        more,
        total,
    } = select(world, &search);
    let link_origin = request
        .switches
        .next_link_origin
        .as_deref()
        .unwrap_or(request.origin);
    let following = plan.next_link(query, link_origin, request.switches.paging);
    let ends = spoil_rows(request.faults, query.set, &mut rows);
    let link = (plan.goes_on(more) && !ends).then(|| following.clone());
    let link = spoil_link(request.faults, link, &following, request.here);
    let columns = query.columns();
    let written = write_page(
        &PageFrame {
            set: query.set,
            origin: request.origin,
            selected: &query.selected,
            columns: &columns,
            count: total,
            next_link: link.as_deref(),
            numbers: request.switches.numbers,
        },
        &rows,
    );
    let mut answer = Answer::bytes(200, ODATA_JSON, written.body).header("OData-Version", "4.0");
    answer.rows = rows.len();
    answer.row_ends = written.row_ends;
    spoil_answer(request.faults, &mut answer);
    answer
}

/// The bare number of matches, for the `$count` segment.
pub(crate) fn count(world: &World, request: &PageRequest<'_>) -> Answer {
    let search = Search {
        skip: 0,
        take: 0,
        count: true,
        ..search(request)
    };
    let total = select(world, &search).total.unwrap_or_default();
    let mut answer =
        Answer::text(200, "text/plain", &total.to_string()).header("OData-Version", "4.0");
    spoil_answer(request.faults, &mut answer);
    answer
}

fn search<'a>(request: &PageRequest<'a>) -> Search<'a> {
    let query = request.query;
    let shuffled = request.switches.unstable_order && query.order.is_empty();
    Search {
        set: query.set,
        filter: query.filter.as_ref(),
        order: &query.order,
        only_company: (!query.cross_company).then_some(request.default_company),
        skip: 0,
        take: 0,
        count: false,
        shuffle: shuffled.then_some(request.shuffle_seed),
    }
}

/// The list of entity sets at the root.
pub(crate) fn service_document(origin: &str) -> Answer {
    let sets: Vec<_> = EntitySet::ALL
        .into_iter()
        .map(|set| {
            let name = set.name();
            format!(r#"{{"name":"{name}","kind":"EntitySet","url":"{name}"}}"#)
        })
        .collect();
    let body = format!(
        r#"{{"@odata.context":"{origin}/data/$metadata","value":[{}]}}"#,
        sets.join(",")
    );
    Answer::bytes(200, ODATA_JSON, body).header("OData-Version", "4.0")
}

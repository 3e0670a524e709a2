//! Questions answered by a chain of pages, read to its end.

use crate::d365::error::D365Error;
use crate::d365::next_link::{LinkTrail, NextLink, with_query};
use crate::d365::page::{Page, bad_row};
use crate::d365::query::Query;
use crate::d365::sender::{CallLimits, Sender};
use crate::stock::AsOf;
use url::Url;

/// D365's own page size: a page this full may be one of several, link or no link.
const FULL_PAGE: u64 = 10_000;

/// Reads a question's pages one after the other, at most `most_pages`, and gives the start of the
/// first request: no row can be older. `take_row` takes each row's JSON or says what is wrong with it.
pub(super) async fn read_chain(
    sender: &Sender,
    set_url: &Url,
    query: &Query,
    limits: CallLimits,
    most_pages: usize,
    mut take_row: impl FnMut(&str) -> Result<(), String>,
) -> Result<AsOf, D365Error> {
    let mut trail = LinkTrail::new(most_pages.saturating_sub(1));
    let mut rows = 0;
    let mut first_as_of = None;
    let mut url = with_query(set_url, &query.to_string());
    loop {
        let rows_before = rows;
        let read = |body: &[u8]| {
            let page = Page::read(body)?;
            for row in page.rows {
                rows += 1;
                take_row(row.get()).map_err(|problem| bad_row(rows, &problem))?;
            }
            let link = page.next_link.map(|link| NextLink::checked(&link, set_url));
            link.transpose()
        };
        let (as_of, link) = sender.ask(&url, limits, read).await?;
        first_as_of.get_or_insert(as_of);
        let link = match link {
            Some(link) => link,
            None if rows - rows_before >= FULL_PAGE => {
                let onward = query.clone().with("$skip", &rows.to_string());
                NextLink::of_query(set_url, &onward.to_string())
            }
            None => return Ok(first_as_of.unwrap_or(as_of)),
        };
        trail.follow(&link)?;
        url = link.at(set_url)?;
    }
}

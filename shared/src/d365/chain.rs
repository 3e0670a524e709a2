//! Questions answered by a chain of pages, read to its end.

use crate::d365::next_link::LinkTrail;
use crate::d365::page_scanner::PageScanner;
use crate::d365::query::Query;
use crate::d365::sender::{Allowance, Sender};
use crate::d365::{D365Error, NextLink};
use crate::process::guards::{self, Guard};
use crate::stock::AsOf;
use futures_util::StreamExt;
use url::Url;

/// D365's own page size: a page this full may be one of several, link or no link.
const FULL_PAGE: u64 = 10_000;

/// What happens to each row: its number, counted from 1 over all pages, and its JSON.
pub(in crate::d365) trait TakeRow:
    FnMut(u64, &[u8]) -> Result<(), D365Error> + Send
{
}

impl<F: FnMut(u64, &[u8]) -> Result<(), D365Error> + Send> TakeRow for F {}

/// Reads a question's pages one after the other, at most `most_pages`, and gives the start of the
/// first request: no row can be older.
pub(in crate::d365) async fn read_chain(
    sender: &Sender,
    set_url: &Url,
    query: &Query,
    allowance: Allowance,
    most_pages: usize,
    take_row: &mut impl TakeRow,
) -> Result<AsOf, D365Error> {
    let mut trail = LinkTrail::new(most_pages.saturating_sub(1));
    let mut rows = 0;
    let mut first_as_of = None;
    let mut url = with_query(set_url, &query.to_string());
    loop {
        let rows_before = rows;
        let opened = sender.open(&url, allowance).await?;
        let as_of = *first_as_of.get_or_insert(opened.as_of);
        let mut body = opened.body;
        let read = async {
            let mut scanner = PageScanner::default();
            while let Some(chunk) = body.next().await {
                scanner.push(&chunk?, &mut |json| {
                    rows += 1;
                    take_row(rows, json)
                })?;
            }
            let link = scanner.finish()?;
            link.map(|link| NextLink::checked(&link, set_url))
                .transpose()
        };
        let link = match read.await {
            Ok(link) => {
                opened.call.went_well();
                link
            }
            Err(error) => {
                opened.call.failed(&error);
                return Err(error);
            }
        };
        let link = match link {
            Some(link) => link,
            None if rows - rows_before >= FULL_PAGE => {
                let onward = query.clone().with("$skip", &rows.to_string());
                NextLink(format!("{}?{onward}", set_url.path()))
            }
            None => return Ok(as_of),
        };
        trail.follow(&link)?;
        url = at_link(set_url, &link)?;
    }
}

/// An entity set's address with a query.
pub(in crate::d365) fn with_query(set_url: &Url, query: &str) -> Url {
    let mut url = set_url.clone();
    url.set_query(Some(query));
    url
}

/// Where a link points, at the configured origin and nowhere else.
pub(in crate::d365) fn at_link(set_url: &Url, link: &NextLink) -> Result<Url, D365Error> {
    // Checked again: a link may have been stored and come back.
    let checked = NextLink::checked(link.as_str(), set_url)?;
    if guards::is_off(Guard::LinkOrigin)
        && let Ok(anywhere) = Url::parse(checked.as_str())
    {
        return Ok(anywhere);
    }
    let query = checked.as_str().split_once('?').map(|(_, query)| query);
    Ok(with_query(set_url, query.unwrap_or_default()))
}

//! A page of on-hand rows as a stream: rows leave while the page still arrives.

mod row;

pub(in crate::d365) use row::RowReader;

use crate::d365::page_scanner::PageScanner;
use crate::d365::{D365Error, NextLink, PageEnd, PageItem};
use crate::stock::{LegalEntity, OnHandRow, WarehouseId};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, try_unfold};
use std::sync::Arc;
use url::Url;

/// Rows handed on at once. Bounds what a consumer must hold, whatever the page's size.
const ROWS_AT_ONCE: usize = 500;

/// Bytes of an answer as they arrive.
pub(in crate::d365) type Body = BoxStream<'static, Result<Bytes, D365Error>>;

/// What a page was asked for, to compare its rows with.
#[derive(Debug, Clone)]
pub(in crate::d365) struct PageExpectation {
    /// Reads the rows.
    pub(in crate::d365) reader: Arc<RowReader>,
    /// The company asked for.
    pub(in crate::d365) legal_entity: LegalEntity,
    /// The warehouse asked for.
    pub(in crate::d365) warehouse: WarehouseId,
    /// Address of the entity set, which a continuation may not leave.
    pub(in crate::d365) set_url: Url,
}

struct Reading {
    expected: PageExpectation,
    body: Body,
    scanner: PageScanner,
    rows: Vec<OnHandRow>,
    end: PageEnd,
    is_over: bool,
}

/// Turns a page's bytes into its rows.
///
/// Rows of another company or warehouse (the blank one too) are dropped and counted. The stream
/// ends with [`PageItem::End`] only if the page was whole.
pub(in crate::d365) fn on_hand_page(
    expected: PageExpectation,
    body: Body,
) -> BoxStream<'static, Result<PageItem, D365Error>> {
    let reading = Reading {
        expected,
        body,
        scanner: PageScanner::default(),
        rows: Vec::new(),
        end: PageEnd::default(),
        is_over: false,
    };
    try_unfold(reading, |mut reading| async move {
        Ok(reading.next_item().await?.map(|item| (item, reading)))
    })
    .boxed()
}

impl Reading {
    async fn next_item(&mut self) -> Result<Option<PageItem>, D365Error> {
        loop {
            if self.rows.len() >= ROWS_AT_ONCE {
                let later = self.rows.split_off(ROWS_AT_ONCE);
                let now = std::mem::replace(&mut self.rows, later);
                return Ok(Some(PageItem::Rows(now)));
            }
            if self.is_over {
                return Ok(None);
            }
            match self.body.next().await.transpose()? {
                Some(chunk) => self.take(&chunk)?,
                None if !self.rows.is_empty() => {
                    return Ok(Some(PageItem::Rows(std::mem::take(&mut self.rows))));
                }
                None => {
                    self.is_over = true;
                    return self.finish().map(Some);
                }
            }
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), D365Error> {
        let Self {
            expected,
            scanner,
            rows,
            end,
            ..
        } = self;
        scanner.push(chunk, &mut |json| {
            end.rows += 1;
            let raw = expected
                .reader
                .read(json)
                .map_err(|problem| bad_row(end.rows, &problem))?;
            let is_asked_for = expected.legal_entity.is_named_by(raw.company())
                && expected.warehouse.is_named_by(raw.warehouse());
            if !is_asked_for {
                end.dropped_rows += 1;
                return Ok(());
            }
            match raw.into_row() {
                Some(row) => rows.push(row),
                None => end.nameless_rows += 1,
            }
            Ok(())
        })
    }

    fn finish(&mut self) -> Result<PageItem, D365Error> {
        let next_link = std::mem::take(&mut self.scanner)
            .finish()?
            .map(|link| NextLink::checked(&link, &self.expected.set_url))
            .transpose()?;
        self.end.next_link = next_link;
        Ok(PageItem::End(std::mem::take(&mut self.end)))
    }
}

/// The error for a row that cannot be read; rows are counted from 1.
pub(in crate::d365) fn bad_row(number: u64, problem: &str) -> D365Error {
    D365Error::BadAnswer {
        problem: format!(
            "row {number}: {}",
            problem.chars().take(200).collect::<String>()
        ),
    }
}

#[cfg(test)]
mod tests;

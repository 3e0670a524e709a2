//! Reads a part of a warehouse from D365: pages to items to lines, with the facts the verdict needs.

use super::accumulator::{Accumulator, WholeItem};
use super::page_walk::{AfterPage, PageWalk};
use super::part_facts::{Noted, PartFacts};
use super::progress::Progress;
use super::retry::{failures_with, pause_after};
use super::writer::LineWriter;
use crate::metrics;
use crate::refresh::variants::variants_of;
use crate::scheduler::lease::Notes;
use crate::worker::{TenantFeed, Worker};
use shared::d365::{D365Error, PageEnd, PageQuery, VARIANT_SKUS_PER_CALL};
use shared::process::clock::Clock as _;
use shared::redis_store::{ItemRange, PartId};
use shared::stock::{AsOf, SkuMapper, VariantIndex, WarehouseId};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(super) struct Part<'a> {
    pub(super) worker: &'a Worker,
    pub(super) feed: &'a TenantFeed,
    pub(super) warehouse: &'a WarehouseId,
    pub(super) id: PartId,
    pub(super) range: &'a ItemRange,
    /// When the cycle began.
    pub(super) started: AsOf,
}

pub(super) enum PartRead {
    /// It was read to its end, or broke off: the facts say which.
    Ended(PartFacts),
    /// A stop was asked for; what was read is stored and noted.
    Stopped,
    /// The lease was lost or the stop could not wait.
    Abandoned,
}

/// Why the walk over the pages ended. A stop says nothing about the warehouse.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Walked {
    ToTheEnd,
    Stopped,
}

struct PageReader<'a> {
    part: &'a Part<'a>,
    progress: Arc<Progress>,
    writer: LineWriter,
    accumulator: Accumulator,
    /// The list of variants the mapping goes by.
    variants: Option<Arc<VariantIndex>>,
    /// When the last mark was set, on the monotonic clock.
    last_mark: Duration,
}

/// Reads a part from where its notes end.
pub(super) async fn read(
    part: &Part<'_>,
    begin: Noted,
    notes: &Notes,
    lost: &CancellationToken,
) -> PartRead {
    let (worker, feed) = (part.worker, part.feed);
    let Noted { cursor, mut facts } = begin;
    let mapper = match feed.mapper(worker).await {
        Ok(mapper) => mapper,
        Err(error) => {
            facts.broke_off = Some(format!("released product variants: {error}"));
            return PartRead::Ended(facts);
        }
    };
    let rows_before = facts.rows;
    let progress = worker.progress_of(feed, part.warehouse);
    let variants = match &mapper {
        SkuMapper::Variants(index) => Some(Arc::clone(index)),
        SkuMapper::ItemNumber | SkuMapper::Template(_) => None,
    };
    let after = cursor.or_else(|| part.range.after.clone());
    let walk = PageWalk::new(feed.settings.paging, worker.settings.page_size, after);
    let mut reader = PageReader {
        part,
        writer: LineWriter::start(worker, feed, Arc::clone(&progress), notes.clone()),
        progress,
        accumulator: Accumulator::new(mapper, part.id.generation, walk, facts)
            .with_findings(Arc::clone(feed.variants().findings())),
        variants,
        last_mark: worker.clock().monotonic(),
    };
    let walked = tokio::select! {
        walked = reader.read_pages(lost) => walked,
        () = worker.shutdown.hard().cancelled() => return PartRead::Abandoned,
    };
    if worker.shutdown.hard().is_cancelled() || lost.is_cancelled() {
        return PartRead::Abandoned;
    }
    let mut facts = reader.accumulator.into_facts();
    let written = reader.writer.finish().await;
    if walked == Walked::Stopped {
        // What the notes name is stored in any case; the rest is read again.
        if let Err(error) = written {
            tracing::warn!(tenant.id = %feed.id(), warehouse.id = %part.warehouse, %error,
                "the last lines before the stop could not be stored");
        }
        return PartRead::Stopped;
    }
    metrics::rows_read(feed.id(), facts.rows - rows_before);
    if let Err(error) = written {
        facts.not_stored = Some(error.to_string());
    }
    PartRead::Ended(facts)
}

impl PageReader<'_> {
    async fn read_pages(&mut self, lost: &CancellationToken) -> Walked {
        let stop = self.part.worker.shutdown.soft();
        let mut failures = 0;
        while !stop.is_cancelled() && !lost.is_cancelled() {
            if self.writer.has_failed() {
                return Walked::ToTheEnd;
            }
            match self.read_page().await {
                Ok(end) => {
                    failures = 0;
                    if let Some(walked) = self.page_ended(end).await {
                        return walked;
                    }
                }
                Err(error) => {
                    metrics::page_failed(self.part.feed.id());
                    let page = self.accumulator.facts().pages + 1;
                    self.accumulator.page_failed();
                    let what = format!("page {page}");
                    if !self.wait_after(&error, &what, &mut failures).await {
                        return Walked::ToTheEnd;
                    }
                }
            }
        }
        Walked::Stopped
    }

    /// Waits before the next try; false if there is none, and the part has broken off.
    async fn wait_after(&mut self, error: &D365Error, what: &str, failures: &mut u32) -> bool {
        *failures = failures_with(error, *failures);
        let Some(pause) = pause_after(error, *failures) else {
            self.accumulator.break_off(format!("{what}: {error}"));
            return false;
        };
        let part = self.part;
        tracing::warn!(tenant.id = %part.feed.id(), warehouse.id = %part.warehouse, part.id = %part.id,
            what, %error, pause_ms = pause.as_millis(), "a call failed and is made again");
        let stop = part.worker.shutdown.soft();
        let _stopped = tokio::time::timeout(pause, stop.cancelled()).await;
        true
    }

    async fn read_page(&mut self) -> Result<PageEnd, D365Error> {
        let Part { worker, feed, .. } = self.part;
        let query = PageQuery {
            warehouse: self.part.warehouse.clone(),
            start: self.accumulator.start().clone(),
            up_to: self.part.range.up_to.clone(),
            page_size: worker.settings.page_size,
        };
        let asked = worker.clock().monotonic();
        let page = feed.source.read_page(&query).await?;
        let took = worker.clock().monotonic().saturating_sub(asked);
        self.writer.spread_over(took, query.page_size);
        // It was asked for after the cycle had begun, whatever this worker's reading of Redis' clock
        // says: behind the watermark, its lines would look as if the snapshot had missed them.
        let as_of = page.as_of.max(self.part.started);
        for row in page.rows {
            if let Some(item) = self.accumulator.push(row, as_of) {
                self.hand_over(item).await;
            }
        }
        Ok(page.end)
    }

    /// Says how the walk ended, if it did.
    async fn page_ended(&mut self, end: PageEnd) -> Option<Walked> {
        self.progress.page_done();
        let (last, then) = self.accumulator.page_ended(end);
        if let Some(item) = last {
            self.hand_over(item).await;
        }
        if then == AfterPage::GivenUp {
            return Some(Walked::ToTheEnd);
        }
        let ended = self.look_up_unmapped().await;
        if ended.is_some() {
            return ended;
        }
        let worker = self.part.worker;
        let now = worker.clock().monotonic();
        let since_last = now.saturating_sub(self.last_mark);
        if (self.accumulator).mark(since_last, worker.settings.shard_time) {
            self.last_mark = now;
        }
        if then == AfterPage::End {
            return Some(Walked::ToTheEnd);
        }
        // From here another worker can go on.
        if let Some(place) = self.accumulator.place() {
            self.writer.note(place).await;
        }
        None
    }

    /// Rows of combinations the variants that were read before them do not have: D365 is asked once
    /// more, since a variant may have been released in between. Left out, its SKU would count as absent.
    /// Says how the walk ended, if it did over that.
    async fn look_up_unmapped(&mut self) -> Option<Walked> {
        let Part { worker, feed, .. } = self.part;
        let unmapped = self.accumulator.unmapped_items();
        let mut variants = Vec::new();
        for skus in unmapped.chunks(VARIANT_SKUS_PER_CALL) {
            let mut failures = 0;
            loop {
                let error = match variants_of(feed.source.as_ref(), skus).await {
                    Ok(found) => {
                        variants.extend(found);
                        break;
                    }
                    Err(error) => error,
                };
                let what = "released product variants";
                if !self.wait_after(&error, what, &mut failures).await {
                    return Some(Walked::ToTheEnd);
                }
                if worker.shutdown.soft().is_cancelled() {
                    return Some(Walked::Stopped);
                }
            }
        }
        if unmapped.is_empty() {
            return None;
        }
        let (items, is_news) = self.accumulator.settle(variants);
        for item in items {
            self.hand_over(item).await;
        }
        if let Some(list) = self.variants.as_ref().filter(|_| is_news) {
            tracing::info!(tenant.id = %feed.id(),
                "a variant was released since all of them were read; they are read again");
            feed.variants().note_outdated(list);
        }
        None
    }

    async fn hand_over(&mut self, item: WholeItem) {
        self.progress.add_rows(item.rows);
        let rows = &self.part.worker.rows;
        rows.fetch_add(item.rows, Ordering::Relaxed);
        self.writer.take(item.lines).await;
    }
}

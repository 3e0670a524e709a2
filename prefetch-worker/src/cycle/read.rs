//! Reads a part of a warehouse: pages to items to lines, with the facts the judgement needs.

use super::gathering::{AfterPage, GatheredItem, Gathering};
use super::lease::Notes;
use super::page_walk::PageWalk;
use super::part::Part;
use super::part_facts::PartFacts;
use super::publish::Publisher;
use crate::metrics;
use crate::progress::Progress;
use crate::state::{TenantFeed, Worker};
use crate::variants::variants_of;
use futures_util::StreamExt;
use shared::d365::{D365Error, PageEnd, PageItem, PageQuery, VARIANT_SKUS_PER_CALL};
use shared::process::clock::Clock as _;
use shared::process::guards::{self, Guard};
use shared::stock::{AsOf, Origin, SkuMapper, VariantIndex};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Tries of one page before the part breaks off.
const TRIES: u32 = 4;
const FIRST_PAUSE_MS: u64 = 500;
/// D365 asks for seconds to minutes; a part that is told to wait for longer breaks off.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// How reading a part ended.
pub(super) enum PartRead {
    /// It was read to its end, or broke off: the facts tell.
    Ended(PartFacts),
    /// A stop was asked for; what was read is stored and noted.
    Stopped,
    /// The lease was lost or the stop could not wait.
    Abandoned,
}

/// Reads a part from where its notes end.
pub(super) async fn read_part(
    worker: &Worker,
    feed: &TenantFeed,
    (part, started): (&Part<'_>, AsOf),
    progress: &Arc<Progress>,
    notes: &Notes,
    lost: &CancellationToken,
) -> PartRead {
    let mapper = match feed.mapper(worker).await {
        Ok(mapper) => mapper,
        Err(error) => {
            let mut facts = part.facts.clone();
            facts.broke_off = Some(format!("released product variants: {error}"));
            return PartRead::Ended(facts);
        }
    };
    let publisher = Publisher::start(
        &worker.tasks,
        worker.store_of(feed),
        feed.id().clone(),
        Arc::clone(progress),
        notes.clone(),
        worker.settings.low_stock,
    );
    let walk = PageWalk::new(
        feed.settings.paging,
        worker.settings.page_size,
        part.after(),
    );
    let origin = Origin::Snapshot(part.id.generation);
    let variants = match &mapper {
        SkuMapper::Variants(index) => Some(Arc::clone(index)),
        SkuMapper::ItemNumber | SkuMapper::Template(_) => None,
    };
    let learned = Arc::clone(feed.variants().learned());
    let mut reading = Reading {
        feed,
        part,
        started,
        progress,
        rows_of_all_cycles: &worker.rows,
        publisher,
        last_mark: worker.clock().monotonic(),
        gathering: Gathering::new(mapper, learned, origin, walk, part.facts.clone()),
        variants,
    };
    let walked = tokio::select! {
        walked = reading.read_pages(worker, lost) => walked,
        () = worker.shutdown.hard().cancelled() => Walked::Stopped,
    };
    let is_forced = worker.shutdown.hard().is_cancelled();
    match walked {
        _ if is_forced || lost.is_cancelled() => PartRead::Abandoned,
        Walked::Stopped => match reading.publisher.finish().await {
            Ok(()) => PartRead::Stopped,
            // What the notes name is stored in any case; the rest is read again.
            Err(error) => {
                tracing::warn!(tenant.id = %feed.id(), warehouse.id = %part.warehouse, %error,
                    "the last lines before the stop could not be stored");
                PartRead::Stopped
            }
        },
        Walked::ToTheEnd => PartRead::Ended(reading.finish(part.facts.rows).await),
    }
}

/// Whether the walk was broken off by a stop, which says nothing about the warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Walked {
    ToTheEnd,
    Stopped,
}

struct Reading<'a> {
    feed: &'a TenantFeed,
    part: &'a Part<'a>,
    /// When the cycle began.
    started: AsOf,
    progress: &'a Arc<Progress>,
    rows_of_all_cycles: &'a AtomicU64,
    publisher: Publisher,
    /// When the last mark was set, on the monotonic clock.
    last_mark: Duration,
    gathering: Gathering,
    /// The list the mapping goes by.
    variants: Option<Arc<VariantIndex>>,
}

impl Reading<'_> {
    async fn read_pages(&mut self, worker: &Worker, lost: &CancellationToken) -> Walked {
        let mut failures = 0;
        loop {
            if worker.shutdown.soft().is_cancelled() || lost.is_cancelled() {
                return Walked::Stopped;
            }
            if self.publisher.has_failed() {
                return Walked::ToTheEnd;
            }
            let query = PageQuery {
                warehouse: self.part.warehouse.clone(),
                start: self.gathering.start().clone(),
                up_to: self.part.range.up_to.clone(),
                page_size: worker.settings.page_size,
            };
            match self.read_page(worker, &query).await {
                Ok(end) => {
                    failures = 0;
                    self.progress.page_done();
                    let ended = self.gathering.page_ended(end);
                    if let Some(item) = ended.item {
                        self.hand_over(item).await;
                    }
                    if ended.then != AfterPage::GivenUp
                        && let Some(walked) = self.settle_strangers(worker).await
                    {
                        return walked;
                    }
                    match ended.then {
                        AfterPage::Page => self.note(worker).await,
                        AfterPage::End => {
                            self.set_mark(worker);
                            return Walked::ToTheEnd;
                        }
                        AfterPage::GivenUp => return Walked::ToTheEnd,
                    }
                }
                Err(error) => {
                    failures += failure(&error);
                    metrics::page_failed(self.feed.id());
                    let page = self.gathering.facts().pages + 1;
                    self.gathering.page_failed();
                    let Some(pause) = pause_after(&error, failures) else {
                        self.gathering.break_off(format!("page {page}: {error}"));
                        return Walked::ToTheEnd;
                    };
                    tracing::warn!(tenant.id = %self.feed.id(), warehouse.id = %self.part.warehouse,
                        part.id = %self.part.id, page, %error, pause_ms = pause.as_millis(),
                        "a page failed and is read again");
                    wait(worker, pause).await;
                }
            }
        }
    }

    /// Rows of combinations the variants that were read before them do not have: D365 is asked once
    /// more, since a variant may have been released in between. Left out, it would be told absent.
    /// Says how the walk ended, if it did over that.
    async fn settle_strangers(&mut self, worker: &Worker) -> Option<Walked> {
        let strangers = self.gathering.strangers();
        let mut variants = Vec::new();
        for skus in strangers.chunks(VARIANT_SKUS_PER_CALL) {
            let mut failures = 0;
            loop {
                let error = match variants_of(self.feed.source.as_ref(), skus).await {
                    Ok(found) => {
                        variants.extend(found);
                        break;
                    }
                    Err(error) => error,
                };
                failures += failure(&error);
                let Some(pause) = pause_after(&error, failures) else {
                    let why = format!("released product variants: {error}");
                    self.gathering.break_off(why);
                    return Some(Walked::ToTheEnd);
                };
                tracing::warn!(tenant.id = %self.feed.id(), warehouse.id = %self.part.warehouse,
                    part.id = %self.part.id, %error, pause_ms = pause.as_millis(),
                    "variants could not be read and are asked for again");
                wait(worker, pause).await;
                if worker.shutdown.soft().is_cancelled() {
                    return Some(Walked::Stopped);
                }
            }
        }
        if strangers.is_empty() {
            return None;
        }
        let (items, is_news) = self.gathering.settle(variants);
        for item in items {
            self.hand_over(item).await;
        }
        if let Some(list) = self.variants.as_ref().filter(|_| is_news) {
            tracing::info!(tenant.id = %self.feed.id(),
                "a variant was released since all of them were read; they are read again");
            self.feed.variants().note_outdated(list);
        }
        None
    }

    async fn read_page(
        &mut self,
        worker: &Worker,
        query: &PageQuery,
    ) -> Result<PageEnd, D365Error> {
        let asked = worker.clock().monotonic();
        let mut page = self.feed.source.read_page(query).await?;
        let took = worker.clock().monotonic().saturating_sub(asked);
        self.publisher.pace(took, query.page_size);
        // It was asked for after the cycle had begun, whatever this worker's reading of Redis' clock
        // says: behind the watermark, its lines would look as if the snapshot had missed them.
        let as_of = page.as_of.max(self.started);
        while let Some(piece) = page.items.next().await {
            match piece? {
                PageItem::Rows(rows) => {
                    for row in rows {
                        if let Some(item) = self.gathering.push(row, as_of) {
                            self.hand_over(item).await;
                        }
                    }
                }
                PageItem::End(end) => return Ok(end),
            }
        }
        Err(D365Error::BadAnswer {
            problem: "the page ended before its end".to_owned(),
        })
    }

    async fn hand_over(&mut self, item: GatheredItem) {
        self.progress.add_rows(item.rows);
        self.rows_of_all_cycles
            .fetch_add(item.rows, Ordering::Relaxed);
        self.publisher.take(item.lines).await;
    }

    fn set_mark(&mut self, worker: &Worker) {
        let now = worker.clock().monotonic();
        let since_last = now.saturating_sub(self.last_mark);
        if self.gathering.mark(since_last, worker.settings.shard_time) {
            self.last_mark = now;
        }
    }

    /// Notes how far reading has come, so that another worker can go on from here.
    async fn note(&mut self, worker: &Worker) {
        self.set_mark(worker);
        if let Some(place) = self.gathering.place() {
            self.publisher.note(place).await;
        }
    }

    async fn finish(self, rows_before: u64) -> PartFacts {
        let mut facts = self.gathering.into_facts();
        metrics::rows_read(self.feed.id(), facts.rows - rows_before);
        if let Err(error) = self.publisher.finish().await {
            facts.not_stored = Some(error.to_string());
        }
        facts
    }
}

async fn wait(worker: &Worker, pause: Duration) {
    let _stopped = tokio::time::timeout(pause, worker.shutdown.soft().cancelled()).await;
}

/// Being told to wait is no failure: it must not use up the tries.
fn failure(error: &D365Error) -> u32 {
    u32::from(!matches!(error, D365Error::Throttled { .. }))
}

/// How long to wait before a failed page is read again; none if it is not.
pub(super) fn pause_after(error: &D365Error, failures: u32) -> Option<Duration> {
    if let D365Error::Throttled { retry_after } = error {
        // Not a failure of the page: D365 says when to come back.
        return (*retry_after <= LONGEST_WAIT).then_some(*retry_after);
    }
    if guards::is_off(Guard::Pauses) {
        return Some(Duration::from_millis(1));
    }
    if failures >= TRIES || !error.may_be_tried_again() {
        return None;
    }
    // Full jitter: replicas that failed together do not come back together.
    let longest = FIRST_PAUSE_MS << failures.min(6);
    let chance = RandomState::new().hash_one(failures) % longest;
    Some(Duration::from_millis(chance.max(50)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_page_is_read_again_a_few_times_and_never_when_it_cannot_help() {
        let broken = D365Error::Connection {
            cause: "reset".to_owned(),
        };
        assert!(pause_after(&broken, 1).unwrap() < Duration::from_secs(2));
        assert!(pause_after(&broken, 3).is_some());
        assert_eq!(pause_after(&broken, 4), None);
        let forbidden = D365Error::Status {
            status: 403,
            message: String::new(),
        };
        assert_eq!(pause_after(&forbidden, 1), None);
    }

    #[test]
    fn throttling_is_waited_out_exactly() {
        let throttled = |s| D365Error::Throttled {
            retry_after: Duration::from_secs(s),
        };
        assert_eq!(
            pause_after(&throttled(37), 9),
            Some(Duration::from_secs(37))
        );
        assert_eq!(pause_after(&throttled(601), 1), None);
    }
}

//! Lines to the store, while the next rows are being read.

use super::progress::Progress;
use crate::refresh::low_stock::{is_low, whole_units};
use crate::scheduler::lease::Notes;
use crate::worker::{TenantFeed, Worker};
use shared::process::clock::Clock as _;
use shared::redis_store::{ShardProgress, StockStore, StoreError};
use shared::stock::{Sku, StockLine, TenantId, Verdict};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Lines of one script call: fewer than may be, because who browses waits for a script to end
/// (measured: p99 beside a prefetch 2.1 x calm with 250 lines; with 25 a line costs the worker twice as
/// much).
const BATCH: usize = 40;
/// Pieces waiting, a page and its note: an answer of D365 is taken off the line as it comes, however
/// unhurriedly its lines are written. Reading waits when writing falls behind by more.
const WAITING: usize = 10_000 / BATCH + 2;
/// Longest time from one batch to the next: a page is written within a few seconds however slow D365
/// is.
const LONGEST_PACE: Duration = Duration::from_millis(10);
/// A rest shorter than this is not worth a timer.
const SHORTEST_REST: Duration = Duration::from_millis(1);
/// Tries of a batch before the cycle is given up. Repeating is harmless: lines carry their as-of.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// What waits to be written.
#[derive(Debug)]
enum Piece {
    /// Lines, and the time from their beginning to that of the next.
    Lines(Vec<StockLine>, Duration),
    /// All lines up to here have been handed over.
    Note(ShardProgress),
}

/// Writes the lines of one part in the background. Notes take effect once everything before them is
/// stored, so that a reader that goes on from them misses nothing.
#[derive(Debug)]
pub(super) struct LineWriter {
    batch: Vec<StockLine>,
    pace: Duration,
    pieces: mpsc::Sender<Piece>,
    ended: oneshot::Receiver<Result<(), StoreError>>,
}

impl LineWriter {
    pub(super) fn start(
        worker: &Worker,
        feed: &TenantFeed,
        progress: Arc<Progress>,
        notes: Notes,
    ) -> Self {
        let (pieces, queue) = mpsc::channel(WAITING);
        let (end, ended) = oneshot::channel();
        let writing = Writing {
            store: worker.store_of(feed),
            tenant: feed.id().clone(),
            progress,
            notes,
            low_stock: worker.settings.low_stock,
        };
        worker.tasks.spawn("publish", async move {
            let result = writing.write_all(queue).await;
            // The cycle may have been dropped meanwhile.
            let _ = end.send(result);
        });
        Self {
            batch: Vec::with_capacity(BATCH),
            pace: Duration::ZERO,
            pieces,
            ended,
        }
    }

    /// D365 took this long for a page of so many rows: its lines are written in half of that time
    /// instead of in one burst, so that who browses meets a batch now and then and not a hundred in a
    /// row. The next page is not on its way for less, so reading never waits for it.
    pub(super) fn spread_over(&mut self, page_took: Duration, page_size: u32) {
        let batches = page_size.div_ceil(u32::try_from(BATCH).unwrap_or(u32::MAX));
        self.pace = (page_took / 2 / batches.max(1)).min(LONGEST_PACE);
    }

    /// Takes lines. Waits while too much is waiting; does nothing once writing has failed (the end
    /// tells).
    pub(super) async fn take(&mut self, lines: Vec<StockLine>) {
        self.batch.extend(lines);
        while self.batch.len() >= BATCH {
            let rest = self.batch.split_off(BATCH);
            let batch = std::mem::replace(&mut self.batch, rest);
            let _ = self.pieces.send(Piece::Lines(batch, self.pace)).await;
        }
    }

    /// Notes how far reading has come with the lines taken so far.
    pub(super) async fn note(&mut self, place: ShardProgress) {
        self.send_rest().await;
        let _ = self.pieces.send(Piece::Note(place)).await;
    }

    async fn send_rest(&mut self) {
        if !self.batch.is_empty() {
            let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
            let _ = self.pieces.send(Piece::Lines(batch, self.pace)).await;
        }
    }

    /// Whether writing has failed already, so that reading on is of no use.
    pub(super) fn has_failed(&self) -> bool {
        self.pieces.is_closed()
    }

    /// Writes what is left and tells how it went.
    pub(super) async fn finish(mut self) -> Result<(), StoreError> {
        self.send_rest().await;
        drop(self.pieces);
        self.ended.await.unwrap_or(Err(StoreError::Misbehaved {
            what: "the end of a write",
        }))
    }
}

/// When the next batch may begin, on the monotonic clock.
#[derive(Debug, Default)]
struct WritePacer(Duration);

impl WritePacer {
    /// How long to rest now, so that batches begin `pace` apart. What is late is not made up for by a
    /// burst.
    fn rest(&mut self, pace: Duration, now: Duration) -> Duration {
        self.0 = (self.0 + pace).max(now);
        let rest = self.0.saturating_sub(now);
        if rest < SHORTEST_REST {
            Duration::ZERO
        } else {
            rest
        }
    }
}

/// The writing task's own side.
struct Writing {
    store: StockStore,
    tenant: TenantId,
    progress: Arc<Progress>,
    notes: Notes,
    low_stock: u32,
}

impl Writing {
    async fn write_all(&self, mut queue: mpsc::Receiver<Piece>) -> Result<(), StoreError> {
        let mut pacer = WritePacer::default();
        while let Some(piece) = queue.recv().await {
            match piece {
                Piece::Note(place) => self.notes.set(place),
                Piece::Lines(batch, pace) => {
                    self.write(&batch).await?;
                    self.progress.add_lines(batch.len() as u64);
                    self.note_low(&batch).await;
                    let rest = pacer.rest(pace, self.store.clock().monotonic());
                    // Even no rest at all would be one of up to a millisecond.
                    if !rest.is_zero() {
                        tokio::time::sleep(rest).await;
                    }
                }
            }
        }
        Ok(())
    }

    async fn write(&self, batch: &[StockLine]) -> Result<(), StoreError> {
        let (tenant, mut pause) = (&self.tenant, FIRST_PAUSE);
        for attempt in 1.. {
            match self.store.apply(tenant, batch).await {
                // A snapshot vouches for what it has seen; what was refused for its stamp is not stored.
                Ok(applied) if applied.verdicts.contains(&Verdict::RefusedFuture) => {
                    return Err(StoreError::ClockSetBack);
                }
                Ok(applied) if applied.verdicts.contains(&Verdict::RefusedOtherSettings) => {
                    return Err(StoreError::OtherSettings);
                }
                Ok(_applied) => return Ok(()),
                Err(error) if attempt < TRIES && error.may_be_tried_again() => {
                    tracing::warn!(tenant.id = %tenant, %error, attempt, "lines are written again");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What there is little of is read again first. A note that is lost is made by the next snapshot.
    async fn note_low(&self, batch: &[StockLine]) {
        let low: Vec<(Sku, u32)> = batch
            .iter()
            .filter(|line| is_low(line, self.low_stock))
            .map(|line| (line.sku.clone(), whole_units(line)))
            .collect();
        if let Err(error) = self.store.note_low(&self.tenant, &low).await {
            tracing::debug!(tenant.id = %self.tenant, %error, "low stock could not be noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_begin_apart_and_what_is_late_is_not_made_up_for() {
        let ms = Duration::from_millis;
        let mut pacer = WritePacer::default();
        for (now, pace, rest) in [
            // The first after a pause is the new beat.
            (5_000, 4, 0),
            (5_001, 4, 3),
            (5_005, 4, 3),
            // A batch took long.
            (5_030, 4, 0),
            (5_031, 4, 3),
            // Nothing to rest for when D365 is fast.
            (5_035, 0, 0),
        ] {
            assert_eq!(pacer.rest(ms(pace), ms(now)), ms(rest), "at {now}");
        }
        let micros = Duration::from_micros;
        assert_eq!(pacer.rest(micros(900), micros(5_035_000)), Duration::ZERO);
        assert_eq!(
            pacer.rest(micros(900), micros(5_035_100)),
            micros(1_700),
            "short rests add up to one"
        );
    }
}

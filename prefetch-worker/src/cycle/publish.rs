//! Lines to the store, while the next rows are being read.

use super::lease::Notes;
use crate::demand::{is_low, whole_units};
use crate::progress::Progress;
use shared::process::clock::Clock as _;
use shared::process::tasks::Tasks;
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
/// stored, so that whoever goes on from them misses nothing.
#[derive(Debug)]
pub(crate) struct Publisher {
    batch: Vec<StockLine>,
    pace: Duration,
    pieces: mpsc::Sender<Piece>,
    ended: oneshot::Receiver<Result<(), StoreError>>,
}

impl Publisher {
    pub(crate) fn start(
        tasks: &Tasks,
        store: StockStore,
        tenant: TenantId,
        progress: Arc<Progress>,
        notes: Notes,
        low_stock: u32,
    ) -> Self {
        let (pieces, mut waiting) = mpsc::channel(WAITING);
        let (tell, ended) = oneshot::channel();
        tasks.spawn("publish", async move {
            let mut result = Ok(());
            let mut rhythm = Rhythm::default();
            while let Some(piece) = waiting.recv().await {
                let (batch, pace) = match piece {
                    Piece::Lines(batch, pace) => (batch, pace),
                    Piece::Note(place) => {
                        notes.set(place);
                        continue;
                    }
                };
                match write(&store, &tenant, &batch).await {
                    Ok(()) => {
                        progress.add_lines(batch.len() as u64);
                        note_low(&store, &tenant, &batch, low_stock).await;
                        let rest = rhythm.rest(pace, store.clock().monotonic());
                        // Even no rest at all would be one of up to a millisecond.
                        if !rest.is_zero() {
                            tokio::time::sleep(rest).await;
                        }
                    }
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                }
            }
            // Nobody listens if the cycle was dropped; then nobody needs to know.
            let _ = tell.send(result);
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
    pub(crate) fn pace(&mut self, page_took: Duration, page_size: u32) {
        let batches = page_size.div_ceil(u32::try_from(BATCH).unwrap_or(u32::MAX));
        self.pace = (page_took / 2 / batches.max(1)).min(LONGEST_PACE);
    }

    /// Takes lines. Waits while too much is waiting; does nothing once writing has failed (the end
    /// tells).
    pub(crate) async fn take(&mut self, lines: Vec<StockLine>) {
        self.batch.extend(lines);
        while self.batch.len() >= BATCH {
            let rest = self.batch.split_off(BATCH);
            let batch = std::mem::replace(&mut self.batch, rest);
            let _ = self.pieces.send(Piece::Lines(batch, self.pace)).await;
        }
    }

    /// Notes how far reading has come with the lines taken so far.
    pub(crate) async fn note(&mut self, place: ShardProgress) {
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
    pub(crate) fn has_failed(&self) -> bool {
        self.pieces.is_closed()
    }

    /// Writes what is left and tells how it went.
    pub(crate) async fn finish(mut self) -> Result<(), StoreError> {
        self.send_rest().await;
        drop(self.pieces);
        self.ended.await.unwrap_or(Err(StoreError::Misbehaved {
            what: "the end of a write",
        }))
    }
}

/// When the next batch may begin, on the monotonic clock.
#[derive(Debug, Default)]
struct Rhythm(Duration);

impl Rhythm {
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

/// What there is little of is read again first. A note that is lost is made by the next snapshot.
async fn note_low(store: &StockStore, tenant: &TenantId, batch: &[StockLine], low_stock: u32) {
    let low: Vec<(Sku, u32)> = batch
        .iter()
        .filter(|line| is_low(line, low_stock))
        .map(|line| (line.sku.clone(), whole_units(line)))
        .collect();
    if let Err(error) = store.note_low(tenant, &low).await {
        tracing::debug!(tenant.id = %tenant, %error, "low stock could not be noted");
    }
}

async fn write(
    store: &StockStore,
    tenant: &TenantId,
    batch: &[StockLine],
) -> Result<(), StoreError> {
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        match store.apply(tenant, batch).await {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_begin_apart_and_what_is_late_is_not_made_up_for() {
        let ms = Duration::from_millis;
        let mut rhythm = Rhythm::default();
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
            assert_eq!(rhythm.rest(ms(pace), ms(now)), ms(rest), "at {now}");
        }
        let micros = Duration::from_micros;
        assert_eq!(rhythm.rest(micros(900), micros(5_035_000)), Duration::ZERO);
        assert_eq!(
            rhythm.rest(micros(900), micros(5_035_100)),
            micros(1_700),
            "short rests add up to one"
        );
    }
}

//! The one way to change what orders hold: read, judge, swap; again if others were faster.
//!
//! A swap is done only if the records and holds still read as they were judged. Orders of one process for
//! the same SKU go one after the other (`sku_locks`), so that they do not overtake each other.

use super::record::Record;
use crate::error::ApiError;
use crate::live::deadline::Deadline;
use crate::metrics;
use crate::state::AppState;
use shared::redis_store::{HeldChange, HeldSku, OrderChange, OrderText, StoreError};
use shared::stock::{AsOf, Hold, HoldOwner, Sku, TenantId};
use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Redis that does not answer for so long is to blame; a change with less time for it came too late.
const REDIS_IS_SLOW: Duration = Duration::from_millis(50);
/// Longest pause before a change is tried again that others were faster with.
const LONGEST_PAUSE_MS: u64 = 20;

/// What a change is judged by: the records of its owners, and the holds of its SKUs, then of those the
/// records name besides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) records: Vec<OrderText>,
    pub(crate) held: Vec<HeldSku>,
}

impl Seen {
    /// The record of the first owner.
    pub(super) fn record(&self) -> Option<Record> {
        Record::of(self.records.first()?)
    }

    /// Those whose holds were read, and those the records name.
    fn skus(&self) -> Vec<Sku> {
        let records = self.records.iter().filter_map(Record::of);
        let held = self.held.iter().map(|held| held.sku.clone());
        held.chain(records.flat_map(|record| record.skus()))
            .collect()
    }
}

/// The holds of a SKU without those that have ended and those of `owners`; none if they cannot be
/// read.
pub(super) fn others(held: &HeldSku, owners: &[HoldOwner], now: AsOf) -> Option<Vec<Hold>> {
    let holds = held.holds.as_ref()?;
    let stays = |hold: &&Hold| now < hold.until && !owners.contains(&hold.owner);
    Some(holds.iter().filter(stays).cloned().collect())
}

/// What is to be done about what was seen.
#[derive(Debug)]
pub(super) enum Step<T> {
    /// Nothing is to be changed.
    Done(T),
    /// These changes, together or not at all.
    Swap {
        records: Vec<OrderChange>,
        held: Vec<HeldChange>,
        then: T,
    },
}

/// Why a change was not made.
#[derive(Debug)]
pub(super) enum BookError {
    /// It may not be made.
    Refused(ApiError),
    /// The time ended while others for the same SKUs were first.
    Contended,
    /// The time ended while Redis was asked.
    NotInTime,
    /// Redis failed. Whether it was done may not be known.
    Store(StoreError),
}

impl From<StoreError> for BookError {
    fn from(cause: StoreError) -> Self {
        match cause {
            StoreError::TooLate => Self::NotInTime,
            cause => Self::Store(cause),
        }
    }
}

/// For callers that have one word for everything Redis fails at.
impl From<BookError> for ApiError {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Refused(refusal) => refusal,
            BookError::Contended | BookError::NotInTime => Self::CacheUnavailable { cause: None },
            BookError::Store(cause) => Self::CacheUnavailable { cause: Some(cause) },
        }
    }
}

/// How far a change has come.
#[derive(Debug, Clone, Copy)]
enum Progress {
    /// Others for the same SKUs are first, or were faster.
    Contends,
    /// Redis is asked since this reading of the monotonic clock.
    AsksSince(Duration),
}

/// What a change is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) owners: &'a [HoldOwner],
    pub(super) skus: &'a [Sku],
    /// Whether it finds itself done already when it is tried again: then a connection that died is no
    /// failure yet.
    pub(super) is_repeatable: bool,
}

/// What orders of one tenant hold, for one caller.
#[derive(Debug, Clone, Copy)]
pub(super) struct HoldBook<'a> {
    pub(super) state: &'a AppState,
    pub(super) tenant: &'a TenantId,
    pub(super) deadline: &'a Deadline,
}

impl HoldBook<'_> {
    /// Makes a change that `judge` finds right by what is seen; `seen` is what was read already.
    pub(super) async fn change<T>(
        &self,
        change: Change<'_>,
        seen: Option<Seen>,
        judge: impl FnMut(&Seen, AsOf) -> Result<Step<T>, ApiError>,
    ) -> Result<T, BookError> {
        let progress = Cell::new(Progress::Contends);
        let changing = self.read_judge_swap(change, seen, judge, &progress);
        let changed = self.deadline.wait_for(Box::pin(changing)).await;
        match changed {
            Some(Err(BookError::NotInTime)) | None => Err(match progress.get() {
                Progress::AsksSince(began) if self.deadline.since(began) >= REDIS_IS_SLOW => {
                    BookError::NotInTime
                }
                Progress::AsksSince(_) | Progress::Contends => BookError::Contended,
            }),
            Some(changed) => changed,
        }
    }

    async fn read_judge_swap<T>(
        &self,
        change: Change<'_>,
        seen: Option<Seen>,
        mut judge: impl FnMut(&Seen, AsOf) -> Result<Step<T>, ApiError>,
        progress: &Cell<Progress>,
    ) -> Result<T, BookError> {
        let asks = || progress.set(Progress::AsksSince(self.deadline.now()));
        let skus = seen
            .as_ref()
            .map_or_else(|| change.skus.to_vec(), Seen::skus);
        let locked = self.state.sku_locks.lock(self.tenant, &skus).await;
        asks();
        let mut seen = match seen {
            Some(seen) if !locked.has_waited => self.with_holds_of_records(seen).await?,
            _ => self.read(change).await?,
        };
        let mut pause_ms = 1;
        let mut may_be_done = false;
        loop {
            let step = judge(&seen, self.state.clock.now()).map_err(BookError::Refused)?;
            let (records, held, then) = match step {
                Step::Done(done) => return Ok(done),
                Step::Swap {
                    records,
                    held,
                    then,
                } => (records, held, then),
            };
            let left = self.deadline.left().unwrap_or_default();
            let swapping = self
                .state
                .store
                .swap_orders(self.tenant, &records, &held, left);
            match swapping.await {
                Ok(true) => return Ok(then),
                Ok(false) => {
                    metrics::hold("overtaken");
                    progress.set(Progress::Contends);
                    let drawn_ms = RandomState::new().hash_one(pause_ms) % pause_ms;
                    tokio::time::sleep(Duration::from_millis(drawn_ms)).await;
                    pause_ms = (pause_ms * 2).min(LONGEST_PAUSE_MS);
                }
                // Its connection died. Whether it was done all the same shows in what is read next.
                Err(StoreError::Unavailable { .. }) if change.is_repeatable && !may_be_done => {
                    may_be_done = true;
                }
                Err(cause) => return Err(cause.into()),
            }
            asks();
            seen = self.read(change).await?;
        }
    }

    /// Reads what a change is judged by.
    pub(super) async fn read(&self, change: Change<'_>) -> Result<Seen, StoreError> {
        let Change { owners, skus, .. } = change;
        let reading = self.state.store.read_orders(self.tenant, owners, skus);
        let (records, held) = reading.await?;
        self.with_holds_of_records(Seen { records, held }).await
    }

    /// What the records hold besides is given back or confirmed in the same step.
    pub(super) async fn with_holds_of_records(&self, mut seen: Seen) -> Result<Seen, StoreError> {
        let records = seen.records.iter().filter_map(Record::of);
        let mut more: Vec<Sku> = records.flat_map(|record| record.skus()).collect();
        more.sort();
        more.dedup();
        more.retain(|sku| seen.held.iter().all(|held| held.sku != *sku));
        if !more.is_empty() {
            let reading = self.state.store.read_orders(self.tenant, &[], &more);
            seen.held.extend(reading.await?.1);
        }
        Ok(seen)
    }
}

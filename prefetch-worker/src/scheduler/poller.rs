//! The loop of a worker: claim the earliest due shard, do what it asks for, give it back.

use super::log_limit::LogLimit;
use crate::refresh::demand::{self, Pass};
use crate::snapshot::outcome::CycleOutcome;
use crate::snapshot::{advance, part};
use crate::worker::{TenantFeed, Work, Worker};
use shared::process::clock::Clock as _;
use shared::redis_store::{Claim, Claimed, Finished, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A refresh may be asked for at any time, so nobody sleeps longer than this.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// A shard that was left to others this often in a row, a lease apart, is known to nobody.
const UNKNOWN_FOR_GOOD: u32 = 10;

const AFTER_REBUILDING: Duration = Duration::from_millis(100);

/// What one step of a poller did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It did what a shard asked for.
    Done(CycleOutcome),
    /// It read again what is asked for.
    Reread(Pass),
    /// Nothing was due; something will be after this time.
    NothingDue(Duration),
    /// Redis failed.
    Failed(StoreError),
}

/// Takes due work, one shard at a time.
#[derive(Debug)]
pub struct Poller {
    worker: Worker,
    /// Which tenant is asked first: each gets its turn.
    turn: usize,
}

impl Poller {
    /// A poller of this worker; the number spreads the pollers over the tenants.
    pub fn new(worker: Worker, number: usize) -> Self {
        Self {
            worker,
            turn: number,
        }
    }

    /// Works until a stop is asked for.
    pub async fn run(self) {
        let stop = self.worker.shutdown.soft().clone();
        self.run_until(stop).await;
    }

    /// Works until this; what is under way then is finished first, unless the worker itself stops.
    pub(crate) async fn run_until(mut self, stop: CancellationToken) {
        let mut limit = LogLimit::default();
        while !stop.is_cancelled() {
            let done = self.step().await;
            if !matches!(done, Step::Failed(_)) {
                limit.reset();
            }
            let rest = match done {
                Step::Done(_) | Step::Reread(_) => continue,
                Step::NothingDue(rest) => rest.min(LONGEST_REST),
                Step::Failed(error) => {
                    if limit.lets_pass(self.worker.clock().monotonic()) {
                        tracing::warn!(%error, "no work could be claimed");
                    }
                    LONGEST_REST
                }
            };
            let _ = tokio::time::timeout(rest, stop.cancelled()).await;
        }
    }

    /// One step: claimed and done, nothing due, or failed.
    pub async fn step(&mut self) -> Step {
        // As-of stamps must be on the clock all replicas share.
        if !self.worker.clock().is_shared() {
            return Step::NothingDue(Duration::from_millis(100));
        }
        let feeds = Arc::clone(&self.worker.feeds);
        let mut earliest = LONGEST_REST;
        for offset in 0..feeds.len() {
            let feed = &feeds[(self.turn + offset) % feeds.len()];
            let worker = &self.worker;
            if feed.is_yielded() {
                earliest = earliest.min(AFTER_REBUILDING);
                continue;
            }
            match worker
                .store
                .claim(feed.id(), &worker.id, worker.settings.lease)
                .await
            {
                Ok(Claimed::Shard(claim)) => {
                    self.turn = self.turn.wrapping_add(offset + 1) % feeds.len();
                    return self.work(feed, &claim).await;
                }
                Ok(Claimed::NothingDue {
                    next_due_in: Some(time),
                }) => earliest = earliest.min(time),
                // An empty schedule is a lost one: Redis came back without its memory.
                Ok(Claimed::NothingDue { next_due_in: None }) => {
                    if let Err(error) = worker.rebuild_schedule(feed).await {
                        return Step::Failed(error);
                    }
                    earliest = earliest.min(AFTER_REBUILDING);
                }
                Err(error) => return Step::Failed(error),
            }
        }
        Step::NothingDue(earliest)
    }

    async fn work(&self, feed: &TenantFeed, claim: &Claim) -> Step {
        let worker = &self.worker;
        match feed.work_of(&claim.shard) {
            Some(Work::Warehouse(warehouse)) => {
                Step::Done(advance::advance_cycle(worker, feed, warehouse, claim).await)
            }
            Some(Work::Part(warehouse, part)) => {
                let name = format!("{}/{}", feed.id(), claim.shard);
                worker.note_reading(&name, true);
                let outcome = part::read_part(worker, feed, warehouse, part, claim).await;
                worker.note_reading(&name, false);
                Step::Done(outcome)
            }
            Some(Work::Demand) => Step::Reread(demand::pass(worker, feed, claim).await),
            None => self.hand_back_unknown(feed, claim).await,
        }
    }

    /// Another version of the settings scheduled it: a worker that knows it will take it. What
    /// nobody has known for a while is taken off the schedule.
    async fn hand_back_unknown(&self, feed: &TenantFeed, claim: &Claim) -> Step {
        let store = &self.worker.store;
        let how = Finished::Failed {
            error: "not configured where it was taken".to_owned(),
        };
        let left = store
            .finish(feed.id(), claim, self.worker.settings.lease, &how)
            .await;
        let dropped = match left {
            Ok(Ok(failures)) if failures >= UNKNOWN_FOR_GOOD => {
                store.unschedule(feed.id(), &claim.shard).await
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        tracing::warn!(tenant.id = %feed.id(), shard.id = claim.shard,
            "a shard is due that is not configured here; it is left to others");
        match dropped {
            Ok(()) => Step::NothingDue(Duration::ZERO),
            Err(error) => Step::Failed(error),
        }
    }
}

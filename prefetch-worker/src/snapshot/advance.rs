//! A warehouse that is due: its cycle is opened, looked after, or sealed.

use super::next_step::NextStep;
use super::outcome::CycleOutcome;
use super::seal::seal;
use crate::scheduler::plan;
use crate::scheduler::settings_change::until_settled;
use crate::worker::{TenantFeed, Worker};
use shared::process::clock::Clock as _;
use shared::redis_store::{Claim, Finished, ItemRange, OpenCycle, Sealed, StoreError};
use shared::stock::{Generation, WarehouseId};
use std::time::Duration;

/// How soon a warehouse of other settings is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Longest wait of a warehouse whose settings have just changed.
const LONGEST_SETTLING: Duration = Duration::from_secs(2);

struct Warehouse<'a> {
    worker: &'a Worker,
    feed: &'a TenantFeed,
    id: &'a WarehouseId,
    claim: &'a Claim,
}

/// Does what a claimed warehouse needs next, and gives it back.
pub(crate) async fn advance_cycle(
    worker: &Worker,
    feed: &TenantFeed,
    id: &WarehouseId,
    claim: &Claim,
) -> CycleOutcome {
    let warehouse = Warehouse {
        worker,
        feed,
        id,
        claim,
    };
    match warehouse.advance().await {
        Ok(outcome) => outcome,
        Err(error) => {
            warehouse.give_back_failed(error.to_string()).await;
            CycleOutcome::StoreFailed(error)
        }
    }
}

impl Warehouse<'_> {
    async fn advance(&self) -> Result<CycleOutcome, StoreError> {
        let (store, tenant) = (&self.worker.store, self.feed.id());
        let mut snapshots = store
            .snapshots(tenant, std::slice::from_ref(self.id))
            .await?;
        let record = snapshots.pop().unwrap_or_default();
        let until_settled = until_settled(&record, self.worker.clock().now());
        let own = Some(self.feed.fingerprint());
        if record.standing.is_of_other_settings(own) || until_settled > LONGEST_SETTLING {
            self.give_back(LOOK_AGAIN, &Finished::Later).await;
            return Ok(CycleOutcome::OtherSettings);
        }
        // No cycle begins before its settings hold.
        if !until_settled.is_zero() {
            tokio::time::sleep(until_settled).await;
        }
        let under_way = store.cycle_under_way(tenant, self.id).await?;
        match NextStep::of(&record, under_way) {
            NextStep::Open => {
                // What is left of a cycle whose record is gone proves nothing.
                store.forget_cycle(tenant, self.id).await?;
                self.open(record.generation).await
            }
            NextStep::Watch(cycle) => self.watch(&cycle).await,
            NextStep::Seal(cycle, whole) => {
                let recent_rows = record.recent_rows;
                let end =
                    seal(self.worker, self.feed, self.id, &cycle, recent_rows, *whole).await?;
                match &end.sealed {
                    Sealed::Complete { .. } => {
                        let next_due_in = self.worker.clock().now().age_at(end.next_due);
                        self.give_back(next_due_in, &Finished::Well).await;
                    }
                    Sealed::Partial { reason } | Sealed::Quarantined { reason, .. } => {
                        self.give_back_failed(reason.clone()).await;
                    }
                }
                Ok(CycleOutcome::Sealed(end))
            }
        }
    }

    async fn open(&self, seen: Generation) -> Result<CycleOutcome, StoreError> {
        let (worker, feed) = (self.worker, self.feed);
        let borders = worker.store.borders(feed.id(), self.id).await?;
        let ranges = ItemRange::between(&borders);
        let started = worker.clock().now();
        let opened = worker
            .store_of(feed)
            .open_cycle(
                feed.id(),
                self.id,
                seen,
                started,
                &ranges,
                worker.settings.lease,
            )
            .await?;
        let Some(generation) = opened else {
            return Ok(CycleOutcome::LeaseLost);
        };
        let parts = ranges.len();
        tracing::info!(tenant.id = %feed.id(), warehouse.id = %self.id,
            cycle.generation = %generation, parts, "the cycle begins");
        Ok(CycleOutcome::Opened { generation, parts })
    }

    async fn watch(&self, cycle: &OpenCycle) -> Result<CycleOutcome, StoreError> {
        let (store, lease) = (&self.worker.store, self.worker.settings.lease);
        let watched = store.watch_cycle(self.feed.id(), self.claim, lease).await?;
        let Ok(put_back) = watched else {
            return Ok(CycleOutcome::LeaseLost);
        };
        if put_back > 0 {
            tracing::warn!(tenant.id = %self.feed.id(), warehouse.id = %self.id,
                cycle.generation = %cycle.generation, parts = put_back,
                "parts of the cycle were off the schedule and are due again");
        }
        Ok(CycleOutcome::UnderWay { put_back })
    }

    /// Each failure in a row makes the next try later.
    async fn give_back_failed(&self, error: String) {
        let (store, tenant) = (&self.worker.store, self.feed.id());
        let record = store.shard_record(tenant, &self.claim.shard).await;
        let failures = record.unwrap_or_default().failures + 1;
        let next_due_in = plan::backoff(failures, self.feed.settings.refresh_interval);
        self.give_back(next_due_in, &Finished::Failed { error })
            .await;
    }

    async fn give_back(&self, next_due_in: Duration, how: &Finished) {
        let (store, tenant) = (&self.worker.store, self.feed.id());
        // Not given back, it falls due by itself when the lease ends.
        if let Err(error) = store.finish(tenant, self.claim, next_due_in, how).await {
            tracing::warn!(tenant.id = %tenant, shard.id = self.claim.shard, %error,
                "a warehouse could not be given back; it falls due when its lease ends");
        }
    }
}

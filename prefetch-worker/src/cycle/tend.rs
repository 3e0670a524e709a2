//! A warehouse that is due: its cycle is opened, looked after, or sealed.

use super::part_facts::PartFacts;
use super::{CycleOutcome, seal};
use crate::plan;
use crate::settings_change::until_settled;
use crate::state::{TenantFeed, Worker};
use shared::process::clock::Clock as _;
use shared::redis_store::{Claim, CycleEnd, Finished, ItemRange, OpenCycle, Sealed, StoreError};
use shared::stock::{WarehouseId, WarehouseSnapshot};
use std::time::Duration;

/// How soon a warehouse of other settings is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Longest wait of a warehouse whose settings have just changed.
const LONGEST_SETTLING: Duration = Duration::from_secs(2);

/// Does what a claimed warehouse needs next, and gives it back.
pub(crate) async fn tend(
    worker: &Worker,
    feed: &TenantFeed,
    warehouse: &WarehouseId,
    claim: &Claim,
) -> CycleOutcome {
    match next_for(worker, feed, warehouse, claim).await {
        Ok(outcome) => outcome,
        Err(error) => {
            fail(worker, feed, claim, &error).await;
            CycleOutcome::StoreFailed(error)
        }
    }
}

async fn next_for(
    worker: &Worker,
    feed: &TenantFeed,
    warehouse: &WarehouseId,
    claim: &Claim,
) -> Result<CycleOutcome, StoreError> {
    let mut snapshots = worker
        .store
        .snapshots(feed.id(), std::slice::from_ref(warehouse))
        .await?;
    let record = snapshots.pop().unwrap_or_default();
    let until_settled = until_settled(&record, worker.clock().now());
    let own = Some(feed.fingerprint());
    if record.standing.is_of_other_settings(own) || until_settled > LONGEST_SETTLING {
        finish(worker, feed, claim, LOOK_AGAIN, &Finished::Later).await;
        return Ok(CycleOutcome::OtherSettings);
    }
    // No cycle begins before its settings hold.
    if !until_settled.is_zero() {
        tokio::time::sleep(until_settled).await;
    }
    let under_way = worker.store.cycle_under_way(feed.id(), warehouse).await?;
    match next_step(&record, under_way) {
        NextStep::Open => {
            // What is left of a cycle whose record is gone proves nothing.
            worker.store.forget_cycle(feed.id(), warehouse).await?;
            open(worker, feed, warehouse, record.generation).await
        }
        NextStep::Watch(cycle) => watch(worker, feed, warehouse, claim, &cycle).await,
        NextStep::Seal(cycle, whole) => {
            let recent_rows = record.recent_rows;
            let end = seal::seal(worker, feed, warehouse, &cycle, recent_rows, *whole).await?;
            give_back(worker, feed, claim, &end).await;
            Ok(CycleOutcome::Sealed(end))
        }
    }
}

/// What a claimed warehouse needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextStep {
    /// There is no cycle, or only what is left of one.
    Open,
    /// The cycle's parts are being read.
    Watch(OpenCycle),
    /// All parts have ended; these are their facts.
    Seal(OpenCycle, Box<PartFacts>),
}

pub(super) fn next_step(record: &WarehouseSnapshot, under_way: Option<OpenCycle>) -> NextStep {
    let Some(cycle) = under_way.filter(|cycle| {
        cycle.generation == record.generation && Some(cycle.started) == record.started
    }) else {
        return NextStep::Open;
    };
    match ends_of(&cycle) {
        Some(parts) => NextStep::Seal(cycle, Box::new(PartFacts::joined(parts))),
        None => NextStep::Watch(cycle),
    }
}

async fn watch(
    worker: &Worker,
    feed: &TenantFeed,
    warehouse: &WarehouseId,
    claim: &Claim,
    cycle: &OpenCycle,
) -> Result<CycleOutcome, StoreError> {
    let watched = worker
        .store
        .watch_cycle(feed.id(), claim, worker.settings.lease)
        .await?;
    let Ok(put_back) = watched else {
        return Ok(CycleOutcome::LeaseLost);
    };
    if put_back > 0 {
        tracing::warn!(tenant.id = %feed.id(), warehouse.id = %warehouse,
            cycle.generation = %cycle.generation, parts = put_back,
            "parts of the cycle were off the schedule and are due again");
    }
    Ok(CycleOutcome::UnderWay { put_back })
}

/// The facts of every part; none while one has not ended. An end nobody can read broke off.
fn ends_of(cycle: &OpenCycle) -> Option<Vec<PartFacts>> {
    let ends = cycle.ends()?;
    let unreadable = || PartFacts {
        broke_off: Some("a part's end cannot be read".to_owned()),
        ..PartFacts::default()
    };
    Some(
        ends.into_iter()
            .map(|end| PartFacts::from_notes(end).unwrap_or_else(unreadable))
            .collect(),
    )
}

async fn open(
    worker: &Worker,
    feed: &TenantFeed,
    warehouse: &WarehouseId,
    seen: shared::stock::Generation,
) -> Result<CycleOutcome, StoreError> {
    let borders = worker.store.borders(feed.id(), warehouse).await?;
    let ranges = ItemRange::between(&borders);
    let started = worker.clock().now();
    let watch = worker.settings.lease;
    let opened = worker
        .store_of(feed)
        .open_cycle(feed.id(), warehouse, seen, started, &ranges, watch)
        .await?;
    let Some(generation) = opened else {
        return Ok(CycleOutcome::LeaseLost);
    };
    tracing::info!(tenant.id = %feed.id(), warehouse.id = %warehouse,
        cycle.generation = %generation, parts = ranges.len(), "the cycle begins");
    Ok(CycleOutcome::Opened {
        generation,
        parts: ranges.len(),
    })
}

/// When the warehouse is due again depends on how the cycle went.
async fn give_back(worker: &Worker, feed: &TenantFeed, claim: &Claim, end: &CycleEnd) {
    let (next_due_in, how) = match &end.sealed {
        Sealed::Complete { .. } => (worker.clock().now().age_at(end.next_due), Finished::Well),
        Sealed::Partial { reason } | Sealed::Quarantined { reason, .. } => (
            backoff(worker, feed, claim).await,
            Finished::Failed {
                error: reason.clone(),
            },
        ),
    };
    finish(worker, feed, claim, next_due_in, &how).await;
}

async fn fail(worker: &Worker, feed: &TenantFeed, claim: &Claim, error: &StoreError) {
    let how = Finished::Failed {
        error: error.to_string(),
    };
    finish(
        worker,
        feed,
        claim,
        backoff(worker, feed, claim).await,
        &how,
    )
    .await;
}

async fn finish(
    worker: &Worker,
    feed: &TenantFeed,
    claim: &Claim,
    next_due_in: Duration,
    how: &Finished,
) {
    let given_back = worker
        .store
        .finish(feed.id(), claim, next_due_in, how)
        .await;
    // Not given back, it falls due by itself when the lease ends.
    if let Err(error) = given_back {
        tracing::warn!(tenant.id = %feed.id(), shard.id = claim.shard, %error,
            "a warehouse could not be given back; it falls due when its lease ends");
    }
}

async fn backoff(worker: &Worker, feed: &TenantFeed, claim: &Claim) -> Duration {
    let record = worker
        .store
        .shard_record(feed.id(), &claim.shard)
        .await
        .unwrap_or_default();
    plan::backoff(record.failures + 1, feed.settings.refresh_interval)
}

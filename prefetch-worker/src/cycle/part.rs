//! A part of a cycle: read from where its notes end, under a claim, to its end.

use super::CycleOutcome;
use super::lease::{Notes, keep_lease};
use super::part_facts::PartFacts;
use super::read::{self, PartRead};
use crate::metrics;
use crate::progress::Progress;
use crate::state::{TenantFeed, Worker};
use shared::redis_store::{
    Claim, Finished, ItemRange, LeaseLost, PartEnded, PartId, ShardRecord, StoreError,
};
use shared::stock::{AsOf, ItemNumber, WarehouseId};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A part that was taken this often without getting on is given up: it may be what kills workers.
const MOST_TAKES: u32 = 5;

/// How soon a part of other settings is looked at again: by a worker that has them, it is hoped.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A part to read.
pub(super) struct Part<'a> {
    pub(super) warehouse: &'a WarehouseId,
    pub(super) id: PartId,
    pub(super) range: ItemRange,
    /// Where whoever held it before had come to; none at its beginning.
    pub(super) cursor: Option<ItemNumber>,
    /// What whoever held it before had noted.
    pub(super) facts: PartFacts,
}

impl Part<'_> {
    /// The item reading goes on after; none at the warehouse's beginning.
    pub(super) fn after(&self) -> Option<ItemNumber> {
        self.cursor.clone().or_else(|| self.range.after.clone())
    }
}

/// Reads a claimed part, and gives it back.
pub(crate) async fn read_part(
    worker: &Worker,
    feed: &TenantFeed,
    warehouse: &WarehouseId,
    id: PartId,
    claim: &Claim,
    progress: &Arc<Progress>,
) -> CycleOutcome {
    let outcome = begin(worker, feed, warehouse, id, claim, progress).await;
    // Not given back, it falls due by itself when the lease ends.
    outcome.unwrap_or_else(|error| {
        tracing::warn!(tenant.id = %feed.id(), shard.id = claim.shard, %error,
            "a part could not be read or given back; it falls due when its lease ends");
        CycleOutcome::StoreFailed(error)
    })
}

async fn begin(
    worker: &Worker,
    feed: &TenantFeed,
    warehouse: &WarehouseId,
    id: PartId,
    claim: &Claim,
    progress: &Arc<Progress>,
) -> Result<CycleOutcome, StoreError> {
    let cycle = worker
        .store
        .cycle_under_way(feed.id(), warehouse)
        .await?
        .filter(|cycle| cycle.generation == id.generation);
    let number = usize::try_from(id.number).unwrap_or(usize::MAX);
    let part = cycle
        .as_ref()
        .and_then(|cycle| cycle.parts.get(number.checked_sub(1)?));
    let (Some(cycle), Some(open)) = (&cycle, part) else {
        worker.store.drop_shard(feed.id(), claim).await?;
        return Ok(CycleOutcome::Superseded);
    };
    if cycle.settings.is_some_and(|own| own != feed.fingerprint()) {
        let later = Finished::Later;
        let left = worker.store.finish(feed.id(), claim, LOOK_AGAIN, &later);
        return Ok(match left.await? {
            Ok(_failures) => CycleOutcome::OtherSettings,
            Err(LeaseLost) => CycleOutcome::LeaseLost,
        });
    }
    let record = worker.store.shard_record(feed.id(), &claim.shard).await?;
    let taken = record.taken;
    let mut part = resumed(warehouse, id, open.range.clone(), record);
    if let Some(reason) = given_up(id, taken) {
        part.facts.broke_off = Some(reason);
        return finish(worker, feed, claim, &part, cycle.started, &part.facts).await;
    }
    if part.cursor.is_some() {
        tracing::info!(tenant.id = %feed.id(), shard.id = claim.shard, rows = part.facts.rows,
            "the part is read on from where it was left");
        metrics::part_resumed(feed.id());
    }
    read_under_lease(worker, feed, claim, &part, cycle.started, progress).await
}

/// Why a part that was taken so often is not read again; none if it is.
pub(super) fn given_up(id: PartId, taken: u32) -> Option<String> {
    (taken > MOST_TAKES)
        .then(|| format!("part {id} was taken {MOST_TAKES} times and nobody got on with it"))
}

/// Notes count only as a whole: without a place, or without what was found up to there, the part
/// begins again.
pub(super) fn resumed(
    warehouse: &WarehouseId,
    id: PartId,
    range: ItemRange,
    record: ShardRecord,
) -> Part<'_> {
    let cursor = record
        .cursor
        .and_then(|cursor| ItemNumber::parse(cursor).ok());
    let facts = record.notes.and_then(|notes| PartFacts::from_notes(&notes));
    let (cursor, facts) = match (cursor, facts) {
        (Some(cursor), Some(facts)) => (Some(cursor), facts),
        _ => (None, PartFacts::default()),
    };
    Part {
        warehouse,
        id,
        range,
        cursor,
        facts,
    }
}

async fn read_under_lease(
    worker: &Worker,
    feed: &TenantFeed,
    claim: &Claim,
    part: &Part<'_>,
    started: AsOf,
    progress: &Arc<Progress>,
) -> Result<CycleOutcome, StoreError> {
    let lost = CancellationToken::new();
    let notes = Notes::default();
    let lease = keep_lease(worker, feed, claim, &notes, &lost);
    let reading = read::read_part(worker, feed, (part, started), progress, &notes, &lost);
    let read = tokio::select! {
        read = reading => read,
        () = lease => PartRead::Abandoned,
    };
    match read {
        PartRead::Ended(facts) => finish(worker, feed, claim, part, started, &facts).await,
        PartRead::Stopped => {
            if let Some(progress) = notes.take() {
                let lease = worker.settings.lease;
                let extend = worker
                    .store
                    .extend(feed.id(), claim, lease, Some(&progress));
                if extend.await?.is_err() {
                    return Ok(CycleOutcome::LeaseLost);
                }
            }
            tracing::info!(tenant.id = %feed.id(), shard.id = claim.shard,
                "the worker stops; the part is read on by another");
            let put_back = worker.store.put_back(feed.id(), claim).await?;
            Ok(match put_back {
                Ok(()) => CycleOutcome::Stopped,
                Err(LeaseLost) => CycleOutcome::LeaseLost,
            })
        }
        PartRead::Abandoned => {
            if !lost.is_cancelled() {
                return Ok(CycleOutcome::Stopped);
            }
            metrics::lease_lost(feed.id());
            tracing::warn!(tenant.id = %feed.id(), shard.id = claim.shard,
                "another worker has this part by now; its reading counts");
            Ok(CycleOutcome::LeaseLost)
        }
    }
}

async fn finish(
    worker: &Worker,
    feed: &TenantFeed,
    claim: &Claim,
    part: &Part<'_>,
    started: AsOf,
    facts: &PartFacts,
) -> Result<CycleOutcome, StoreError> {
    if let Some(reason) = &facts.broke_off {
        tracing::warn!(tenant.id = %feed.id(), shard.id = claim.shard, reason,
            "a part of the cycle broke off; the others are read all the same");
    }
    let ended = worker
        .store
        .finish_part(
            feed.id(),
            part.warehouse,
            claim,
            part.id,
            started,
            &facts.to_notes(),
        )
        .await?;
    Ok(match ended {
        Ok(PartEnded::Noted { open }) => CycleOutcome::PartRead { open },
        Ok(PartEnded::Superseded) => CycleOutcome::Superseded,
        Err(LeaseLost) => CycleOutcome::LeaseLost,
    })
}

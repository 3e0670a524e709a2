//! A part of a cycle: read from where its notes end, under a claim, to its end.

use super::outcome::CycleOutcome;
use super::page_reader::{self, Part, PartRead};
use super::part_facts::{Noted, PartFacts};
use crate::metrics;
use crate::scheduler::lease::{Notes, keep_lease};
use crate::worker::{TenantFeed, Worker};
use shared::redis_store::{Claim, Finished, LeaseLost, PartEnded, PartId, StoreError};
use shared::stock::WarehouseId;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How soon a part of other settings is looked at again: by a worker that has them, it is hoped.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Reads a claimed part, and gives it back.
pub(crate) async fn read_part(
    worker: &Worker,
    feed: &TenantFeed,
    warehouse: &WarehouseId,
    id: PartId,
    claim: &Claim,
) -> CycleOutcome {
    let outcome = begin(worker, feed, warehouse, id, claim).await;
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
) -> Result<CycleOutcome, StoreError> {
    let store = &worker.store;
    let cycle = store.cycle_under_way(feed.id(), warehouse).await?;
    let known = cycle.as_ref();
    let Some((cycle, range)) = known.and_then(|cycle| Some((cycle, cycle.range_of(id)?))) else {
        store.drop_shard(feed.id(), claim).await?;
        return Ok(CycleOutcome::Superseded);
    };
    if cycle.settings.is_some_and(|own| own != feed.fingerprint()) {
        let later = Finished::Later;
        let left = store.finish(feed.id(), claim, LOOK_AGAIN, &later).await?;
        return Ok(left.map_or(CycleOutcome::LeaseLost, |_| CycleOutcome::OtherSettings));
    }
    let part = Part {
        worker,
        feed,
        warehouse,
        id,
        range,
        started: cycle.started,
    };
    let record = store.shard_record(feed.id(), &claim.shard).await?;
    if let Some(facts) = PartFacts::given_up(id, &record) {
        return finish(&part, claim, &facts).await;
    }
    let begin = Noted::of(record);
    if begin.cursor.is_some() {
        tracing::info!(tenant.id = %feed.id(), shard.id = claim.shard, rows = begin.facts.rows,
            "the part is read on from where it was left");
        metrics::part_resumed(feed.id());
    }
    read_under_lease(&part, claim, begin).await
}

async fn read_under_lease(
    part: &Part<'_>,
    claim: &Claim,
    begin: Noted,
) -> Result<CycleOutcome, StoreError> {
    let (worker, feed) = (part.worker, part.feed);
    let (notes, lost) = (Notes::default(), CancellationToken::new());
    let read = tokio::select! {
        read = page_reader::read(part, begin, &notes, &lost) => read,
        () = keep_lease(worker, feed, claim, &notes, &lost) => PartRead::Abandoned,
    };
    match read {
        PartRead::Ended(facts) => finish(part, claim, &facts).await,
        PartRead::Stopped => release(part, claim, &notes).await,
        PartRead::Abandoned if !lost.is_cancelled() => Ok(CycleOutcome::Stopped),
        PartRead::Abandoned => {
            metrics::lease_lost(feed.id());
            tracing::warn!(tenant.id = %feed.id(), shard.id = claim.shard,
                "another worker has this part by now; its reading counts");
            Ok(CycleOutcome::LeaseLost)
        }
    }
}

/// Notes how far reading has come and makes the part due at once.
async fn release(
    part: &Part<'_>,
    claim: &Claim,
    notes: &Notes,
) -> Result<CycleOutcome, StoreError> {
    let (store, tenant) = (&part.worker.store, part.feed.id());
    if let Some(progress) = notes.take() {
        let lease = part.worker.settings.lease;
        let extended = store.extend(tenant, claim, lease, Some(&progress)).await?;
        if extended == Err(LeaseLost) {
            return Ok(CycleOutcome::LeaseLost);
        }
    }
    tracing::info!(tenant.id = %tenant, shard.id = claim.shard,
        "the worker stops; the part is read on by another");
    let released = store.put_back(tenant, claim).await?;
    Ok(released.map_or(CycleOutcome::LeaseLost, |()| CycleOutcome::Stopped))
}

async fn finish(
    part: &Part<'_>,
    claim: &Claim,
    facts: &PartFacts,
) -> Result<CycleOutcome, StoreError> {
    let (store, tenant) = (&part.worker.store, part.feed.id());
    if let Some(reason) = &facts.broke_off {
        tracing::warn!(tenant.id = %tenant, shard.id = claim.shard, reason,
            "a part of the cycle broke off; the others are read all the same");
    }
    let (notes, started) = (facts.to_notes(), part.started);
    let ended = store
        .finish_part(tenant, part.warehouse, claim, part.id, started, &notes)
        .await?;
    Ok(match ended {
        Ok(PartEnded::Noted { open }) => CycleOutcome::PartRead { open },
        Ok(PartEnded::Superseded) => CycleOutcome::Superseded,
        Err(LeaseLost) => CycleOutcome::LeaseLost,
    })
}

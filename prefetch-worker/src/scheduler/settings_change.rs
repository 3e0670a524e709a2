//! Which settings a tenant's feeds are read with, when workers do not agree.
//!
//! Those of the worker that started last count, as long as one that has them gives signs of life:
//! during a rolling change the old workers stand back, and after a rollback the new ones do. What was
//! read with others before vouches for nothing.

use crate::worker::{TenantFeed, Worker};
use shared::process::clock::Clock as _;
use shared::redis_store::{StoreError, WorkerHeartbeat};
use shared::stock::{
    AsOf, FUTURE_TOLERANCE, Fingerprint, TenantId, WarehouseId, WarehouseSnapshot,
};
use std::time::Duration;

/// From a change to the instant it holds from: longer than a script call takes, and than any two
/// readings of Redis' clock differ.
const AHEAD: Duration = Duration::from_secs(1);

/// Whether a tenant is read with this worker's settings, by all workers that gave a sign of life.
pub(crate) fn are_latest(
    own: &WorkerHeartbeat,
    tenant: &TenantId,
    workers: &[WorkerHeartbeat],
) -> bool {
    let of = |worker: &WorkerHeartbeat| {
        let settings = worker.settings.iter();
        settings
            .filter(|(id, _)| id == tenant)
            .map(|(_, fingerprint)| *fingerprint)
            .next()
    };
    let latest = workers
        .iter()
        .chain([own])
        .filter_map(|worker| Some((&worker.started, &worker.id, of(worker)?)))
        .max_by_key(|(started, id, _)| (*started, *id));
    latest.is_none_or(|(_, _, fingerprint)| Some(fingerprint) == of(own))
}

/// Brings a tenant's feeds under this worker's settings; what was read with others is begun anew at
/// once. Records of a version before fingerprints were read with what was published then.
pub(crate) async fn settle(
    worker: &Worker,
    feed: &TenantFeed,
    records: &[WarehouseSnapshot],
) -> Result<(), StoreError> {
    let (store, own) = (&worker.store, feed.fingerprint());
    let old: Vec<WarehouseId> = of_before_fingerprints(feed, records).cloned().collect();
    let adopted = published_or(worker, feed, &old).await?;
    store.adopt_feeds(feed.id(), &old, adopted).await?;
    for (warehouse, record) in feed.settings.warehouses.iter().zip(records) {
        let is_of_others = record.standing.is_of_other_settings(Some(own))
            || (adopted != own && old.contains(warehouse));
        // Set by a clock that has been put back since: it would hold for an unknown time.
        let latest_true = worker.clock().now().plus(FUTURE_TOLERANCE);
        let is_ahead = (record.standing.settings).is_some_and(|known| known.since > latest_true);
        if !is_of_others && !is_ahead {
            continue;
        }
        let since = worker.clock().not_before_now().plus(AHEAD);
        let changed = store.change_settings(feed.id(), warehouse, own, since);
        if changed.await? {
            tracing::warn!(tenant.id = %feed.id(), warehouse.id = %warehouse, %since,
                "the warehouse was read with other settings; what is stored of it counts for nothing, it is read anew");
        }
        store.make_due(feed.id(), warehouse.as_str()).await?;
    }
    Ok(())
}

fn of_before_fingerprints<'a>(
    feed: &'a TenantFeed,
    records: &'a [WarehouseSnapshot],
) -> impl Iterator<Item = &'a WarehouseId> {
    let all = feed.settings.warehouses.iter().zip(records);
    all.filter(|(_, record)| record.standing.settings.is_none() && record.generation.0 > 0)
        .map(|(warehouse, _)| warehouse)
}

/// The settings that were published last, if these warehouses ask for it; the worker's own where
/// none were.
async fn published_or(
    worker: &Worker,
    feed: &TenantFeed,
    old: &[WarehouseId],
) -> Result<Fingerprint, StoreError> {
    if old.is_empty() {
        return Ok(feed.fingerprint());
    }
    let published = worker.store.published_tenant(feed.id()).await?;
    let meaning = published.and_then(|published| published.line_meaning());
    Ok(meaning.map_or(feed.fingerprint(), |meaning| meaning.fingerprint()))
}

/// Settings beside those of what is stored.
pub(crate) enum Compared {
    NothingStored,
    Same,
    /// In which way, for people.
    Different(String),
}

/// Compares this worker's settings with those of what is stored.
pub(crate) async fn compared(worker: &Worker, feed: &TenantFeed) -> Result<Compared, StoreError> {
    let (store, own) = (&worker.store, feed.fingerprint());
    let warehouses = &feed.settings.warehouses;
    let records = store.snapshots(feed.id(), warehouses).await?;
    let is_empty =
        |record: &WarehouseSnapshot| record.generation.0 == 0 && record.standing.settings.is_none();
    if records.iter().all(is_empty) {
        return Ok(Compared::NothingStored);
    }
    let old: Vec<WarehouseId> = of_before_fingerprints(feed, &records).cloned().collect();
    let is_adopted_as_other = published_or(worker, feed, &old).await? != own;
    let of_others: Vec<&str> = warehouses
        .iter()
        .zip(&records)
        .filter(|(warehouse, record)| {
            record.standing.is_of_other_settings(Some(own))
                || (is_adopted_as_other && old.contains(warehouse))
        })
        .map(|(warehouse, _)| warehouse.as_str())
        .collect();
    if of_others.is_empty() {
        return Ok(Compared::Same);
    }
    let published = store.published_tenant(feed.id()).await?;
    let meaning = published.and_then(|published| published.line_meaning());
    let differing = meaning.map_or(Vec::new(), |meaning| {
        meaning.differing(&feed.settings.line_meaning())
    });
    let differing = match differing.as_slice() {
        [] => String::new(),
        names => format!(" ({} differ from what is published)", names.join(", ")),
    };
    Ok(Compared::Different(format!(
        "{} read with other settings{differing}; with these, what is stored counts for nothing until a worker that runs with them has read it anew",
        of_others.join(", ")
    )))
}

/// How long a cycle must wait to begin: until the feed's settings hold.
pub(crate) fn until_settled(record: &WarehouseSnapshot, now: AsOf) -> Duration {
    let settings = record.standing.settings;
    settings.map_or(Duration::ZERO, |settings| now.age_at(settings.since))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> TenantId {
        TenantId::parse("contoso").unwrap()
    }

    fn worker(id: &str, started: &str, settings: Option<u8>) -> WorkerHeartbeat {
        let settings = settings.map(|of| (tenant(), Fingerprint::of_bytes([of; 8])));
        WorkerHeartbeat {
            id: id.to_owned(),
            started: started.to_owned(),
            settings: settings.into_iter().collect(),
            ..WorkerHeartbeat::default()
        }
    }

    #[test]
    fn the_settings_of_the_worker_that_started_last_count_while_one_has_them() {
        let old = worker("a", "08:00", Some(1));
        let new = worker("b", "09:00", Some(2));
        let new_too = worker("c", "11:00", Some(2));
        let restarted = worker("d", "10:00", Some(1));
        let before_fingerprints = worker("e", "12:00", None);
        let other_tenant = WorkerHeartbeat {
            settings: vec![(
                TenantId::parse("fabrikam").unwrap(),
                Fingerprint::of_bytes([1; 8]),
            )],
            ..worker("f", "13:00", None)
        };
        for (own, others, expected) in [
            (&old, vec![], true),
            (&old, vec![&new], false),
            (&new, vec![&old], true),
            (&new, vec![&restarted], false),
            (&restarted, vec![&new], true),
            (&new, vec![&restarted, &new_too], true),
            (&restarted, vec![&new, &new_too], false),
            (&old, vec![&before_fingerprints, &other_tenant], true),
            // Of two that started at once one counts.
            (&worker("a", "09:00", Some(1)), vec![&new], false),
        ] {
            let others: Vec<WorkerHeartbeat> = others.into_iter().cloned().collect();
            let counts = are_latest(own, &tenant(), &others);
            assert_eq!(counts, expected, "{own:?} {others:?}");
        }
    }
}

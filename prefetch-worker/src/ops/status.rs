//! How the feeds and the workers are, for people, probes and dashboards.

use crate::snapshot::part_facts::PartFacts;
use crate::worker::{TenantFeed, Worker};
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::{Value, json};
use shared::http::management::{REDIS_LIMIT, Readiness};
use shared::process::clock::Clock as _;
use shared::redis_store::{PartId, ShardRecord, StoreError};
use shared::stock::{AsOf, WarehouseId, WarehouseSnapshot};
use std::time::Duration;
use utoipa::ToSchema;

/// A feed is called dead when no snapshot was complete for this many intervals.
const DEAD_AFTER_INTERVALS: u32 = 2;

/// The status reply.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Status {
    /// Now, on the clock of Redis.
    #[schema(format = DateTime)]
    now: String,
    /// This worker's id.
    worker_id: String,
    /// The tenants this worker reads.
    tenants: Vec<TenantStatus>,
    /// All workers that gave a sign of life in the last 30 seconds.
    workers: Vec<WorkerStatus>,
}

/// One tenant.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TenantStatus {
    /// Tenant id.
    id: String,
    /// Legal entity.
    legal_entity: String,
    /// Time from one snapshot's start to the next, in seconds.
    refresh_interval_seconds: u64,
    /// Its warehouses.
    warehouses: Vec<WarehouseStatus>,
}

/// One warehouse's feed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WarehouseStatus {
    /// Warehouse id.
    id: String,
    /// cold, warming, complete, partial or quarantined.
    #[schema(pattern = "^(cold|warming|complete|partial|quarantined)$")]
    state: &'static str,
    /// Number of the latest cycle.
    generation: u64,
    /// Start of the last complete snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, format = DateTime)]
    watermark: Option<String>,
    /// Age of the last complete snapshot; before the first, how long it has been wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    age_seconds: Option<u64>,
    /// Whether no snapshot was complete for two intervals.
    dead: bool,
    /// Rows of the latest ended cycle.
    rows: u64,
    /// Pages of the latest ended cycle.
    pages: u64,
    /// Why the latest ended cycle is partial or quarantined, or counts for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    reason: Option<String>,
    /// When the next cycle is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, format = DateTime)]
    next_due: Option<String>,
    /// The cycle under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    cycle: Option<CycleStatus>,
    /// How often it has failed in a row.
    failures: u32,
}

/// A cycle under way.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CycleStatus {
    /// Its number.
    generation: u64,
    /// Its start.
    #[schema(format = DateTime)]
    started: String,
    /// How many parts the warehouse is read in.
    parts: usize,
    /// Parts that have ended.
    parts_ended: usize,
    /// Rows read so far, as far as they are noted.
    rows: u64,
    /// Ids of the workers that read a part right now.
    holders: Vec<String>,
}

/// One worker.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkerStatus {
    /// Worker id.
    id: String,
    /// Program version.
    version: String,
    /// Host name.
    host: String,
    /// Start.
    #[schema(format = DateTime)]
    started: String,
    /// What it reads right now of the tenants the caller may operate, as tenant/warehouse.
    shards: Vec<String>,
    /// Rows a second.
    rows_per_second: u64,
}

/// Reads the status from Redis: of these feeds, and of workers what they read of tenants that
/// `shows_tenant`, since they may read for others than this one knows.
pub(crate) async fn status(
    worker: &Worker,
    feeds: &[&TenantFeed],
    shows_tenant: impl Fn(&str) -> bool,
) -> Result<Status, StoreError> {
    let now = worker.clock().now();
    let mut tenants = Vec::new();
    for feed in feeds {
        let ids = &feed.settings.warehouses;
        let snapshots = worker.store.snapshots(feed.id(), ids).await?;
        let mut warehouses = Vec::new();
        for (id, snapshot) in ids.iter().zip(snapshots) {
            let shard = worker.store.shard_record(feed.id(), id.key()).await?;
            let cycle = cycle_status(worker, feed, id, now).await?;
            warehouses.push(warehouse_status(feed, id, snapshot, &shard, cycle, now));
        }
        tenants.push(TenantStatus {
            id: feed.id().to_string(),
            legal_entity: feed.settings.legal_entity.to_string(),
            refresh_interval_seconds: feed.settings.refresh_interval.as_secs(),
            warehouses,
        });
    }
    let workers = worker
        .store
        .workers()
        .await?
        .into_iter()
        .map(|worker| WorkerStatus {
            id: worker.id,
            version: worker.version,
            host: worker.host,
            started: worker.started,
            shards: worker
                .shards
                .into_iter()
                .filter(|shard| {
                    shard
                        .split_once('/')
                        .is_some_and(|(id, _)| shows_tenant(id))
                })
                .collect(),
            rows_per_second: worker.rows_per_second,
        });
    Ok(Status {
        now: now.to_string(),
        worker_id: worker.id.to_string(),
        tenants,
        workers: workers.collect(),
    })
}

/// How far the first snapshots of a tenant are.
pub(crate) struct FirstRead {
    pub(crate) complete: usize,
    /// Rows of these, and those that all workers have read of the others.
    pub(crate) rows: u64,
}

/// None once every warehouse has a complete snapshot.
pub(crate) async fn first_read(
    worker: &Worker,
    feed: &TenantFeed,
) -> Result<Option<FirstRead>, StoreError> {
    let (ids, now) = (&feed.settings.warehouses, worker.clock().now());
    let snapshots = worker.store.snapshots(feed.id(), ids).await?;
    let mut first = FirstRead {
        complete: 0,
        rows: 0,
    };
    for (id, snapshot) in ids.iter().zip(snapshots) {
        let rows = if snapshot.standing.watermark.is_some() {
            first.complete += 1;
            snapshot.rows
        } else {
            let cycle = cycle_status(worker, feed, id, now).await?;
            cycle.map_or(0, |cycle| cycle.rows)
        };
        first.rows = first.rows.saturating_add(rows);
    }
    Ok((first.complete < ids.len()).then_some(first))
}

fn warehouse_status(
    feed: &TenantFeed,
    id: &WarehouseId,
    snapshot: WarehouseSnapshot,
    shard: &ShardRecord,
    cycle: Option<CycleStatus>,
    now: AsOf,
) -> WarehouseStatus {
    let own = Some(feed.fingerprint());
    let reason = if snapshot.standing.is_of_other_settings(own) {
        Some("what is stored was read with other settings".to_owned())
    } else {
        snapshot.reason
    };
    let standing = snapshot.standing.under(own);
    let since = standing.age_counts_from();
    let age = since.map(|since| since.age_at(now));
    WarehouseStatus {
        id: id.to_string(),
        state: standing.state.as_str(),
        generation: snapshot.generation.0,
        watermark: standing.watermark.map(|instant| instant.to_string()),
        age_seconds: age.map(|age| age.as_secs()),
        dead: is_dead(age, feed.settings.refresh_interval),
        rows: snapshot.rows,
        pages: snapshot.pages,
        reason,
        next_due: next_due(shard, now)
            .filter(|_| cycle.is_none())
            .map(|instant| instant.to_string()),
        cycle,
        failures: shard.failures,
    }
}

/// What was asked for is due since 1970: at once.
fn next_due(shard: &ShardRecord, now: AsOf) -> Option<AsOf> {
    let due = AsOf::from_unix_ms(i64::try_from(shard.due_ms?).ok()?).ok()?;
    Some(due.max(now))
}

async fn cycle_status(
    worker: &Worker,
    feed: &TenantFeed,
    warehouse: &WarehouseId,
    now: AsOf,
) -> Result<Option<CycleStatus>, StoreError> {
    let Some(cycle) = worker.store.cycle_under_way(feed.id(), warehouse).await? else {
        return Ok(None);
    };
    let open: Vec<String> = (1..)
        .zip(&cycle.parts)
        .filter(|(_, part)| part.end.is_none())
        .map(|(number, _)| {
            let generation = cycle.generation;
            PartId { generation, number }.shard_of(warehouse)
        })
        .collect();
    let records = worker.store.shard_records(feed.id(), &open).await?;
    let ended = cycle.parts.iter().filter_map(|part| part.end.as_deref());
    let rows_ended: u64 = ended
        .filter_map(PartFacts::from_notes)
        .map(|facts| facts.rows)
        .sum();
    let rows_noted: u64 = records.iter().map(|record| record.rows).sum();
    Ok(Some(CycleStatus {
        generation: cycle.generation.0,
        started: cycle.started.to_string(),
        parts: cycle.parts.len(),
        parts_ended: cycle.parts.len() - open.len(),
        rows: rows_ended + rows_noted,
        holders: records
            .into_iter()
            .filter(|record| is_held(record, now))
            .filter_map(|record| record.holder)
            .collect(),
    }))
}

/// A lease that has ended names a worker that has gone.
fn is_held(record: &ShardRecord, now: AsOf) -> bool {
    record
        .lease_until_ms
        .and_then(|ms| i64::try_from(ms).ok())
        .is_some_and(|until| until > now.unix_ms())
}

fn is_dead(age: Option<Duration>, interval: Duration) -> bool {
    age.is_some_and(|age| age > interval * DEAD_AFTER_INTERVALS)
}

/// A worker is ready from the moment it has seen Redis until it stops: while Redis is away it still
/// takes events and refreshes of SKUs.
pub(crate) struct WorkerReadiness {
    worker: Worker,
}

impl WorkerReadiness {
    pub(crate) fn new(worker: Worker) -> Self {
        Self { worker }
    }
}

impl Readiness for WorkerReadiness {
    fn is_ready(&self) -> bool {
        self.worker.clock().is_shared() && !self.worker.shutdown.soft().is_cancelled()
    }

    fn detail(&self) -> BoxFuture<'_, Value> {
        Box::pin(async move {
            let feeds: Vec<&TenantFeed> = self.worker.feeds.iter().collect();
            let status = status(&self.worker, &feeds, |_| true);
            let (clock, stopping) = (
                self.worker.clock().is_shared(),
                self.worker.shutdown.soft().is_cancelled(),
            );
            let problem = match tokio::time::timeout(REDIS_LIMIT * 2, status).await {
                Ok(Ok(status)) => {
                    return json!({ "clock": clock, "stopping": stopping, "status": status });
                }
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => "no answer in time".to_owned(),
            };
            json!({ "clock": clock, "stopping": stopping, "redis": problem })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warehouse_that_was_asked_for_is_due_now_and_not_in_1970() {
        let now = AsOf::from_unix_ms(1_800_000_000_000).unwrap();
        let due = |due_ms| {
            let shard = ShardRecord {
                due_ms,
                ..ShardRecord::default()
            };
            next_due(&shard, now)
        };
        assert_eq!(due(None), None);
        assert_eq!(due(Some(0)), Some(now));
        let later = now.plus(Duration::from_mins(5));
        assert_eq!(due(Some(1_800_000_300_000)), Some(later));
    }
}

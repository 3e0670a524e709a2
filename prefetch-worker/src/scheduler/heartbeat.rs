//! This worker's own line in Redis, and what keeps the schedule whole.

use super::log_limit::LogLimit;
use crate::metrics;
use crate::scheduler::settings_change;
use crate::worker::{TenantFeed, Worker};
use shared::process::clock::Clock as _;
use shared::redis_store::{PublishedTenant, StoreError, WorkerHeartbeat};
use shared::stock::WarehouseId;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const BEAT: Duration = Duration::from_secs(10);
/// How often Redis' clock is looked at between two beats.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
const BEAT_UNTIL_FIRST_SUCCESS: Duration = Duration::from_millis(500);

/// Beats until a stop is asked for; each beat also publishes the configuration and puts back what
/// is missing from the schedule, so that an emptied Redis is filled again without a restart. A tenant
/// that others read with later settings is left to them.
pub(crate) async fn run(worker: Worker) {
    let stop = worker.shutdown.soft().clone();
    let mut beat = WorkerHeartbeat {
        id: worker.id.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: worker.host.to_string(),
        settings: worker
            .feeds
            .iter()
            .map(|feed| (feed.id().clone(), feed.fingerprint()))
            .collect(),
        ..WorkerHeartbeat::default()
    };
    let mut rows_before = 0;
    let mut has_succeeded = false;
    let mut limit = LogLimit::default();
    while !stop.is_cancelled() {
        let rows = worker.rows_read();
        beat.shards = worker.shards_read();
        beat.rows_per_second = rows.saturating_sub(rows_before) / BEAT.as_secs();
        rows_before = rows;
        match one_beat(&worker, &mut beat).await {
            Ok(()) => {
                has_succeeded = true;
                limit.reset();
            }
            Err(error) if limit.lets_pass(worker.clock().monotonic()) => {
                tracing::warn!(%error, "the heartbeat could not be written");
            }
            Err(_logged_before) => {}
        }
        let rest = if has_succeeded {
            BEAT
        } else {
            BEAT_UNTIL_FIRST_SUCCESS
        };
        pause(&worker, &stop, rest).await;
    }
    if let Err(error) = worker.store.leave(&worker.id).await {
        tracing::info!(%error, "the good-bye could not be written; the heartbeat expires by itself");
    }
}

/// Waits for the next beat. If Redis' clock is set back meanwhile it is due at once: the settings of feeds
/// may hold since an instant that lies ahead by now, and no line counts until then.
async fn pause(worker: &Worker, stop: &CancellationToken, rest: Duration) {
    let clock = worker.clock();
    let (begun, before) = (clock.monotonic(), clock.now());
    loop {
        let left = rest.saturating_sub(clock.monotonic().saturating_sub(begun));
        if left.is_zero() || stop.is_cancelled() || clock.now() < before {
            return;
        }
        let _ = tokio::time::timeout(left.min(BETWEEN_LOOKS), stop.cancelled()).await;
    }
}

async fn one_beat(worker: &Worker, beat: &mut WorkerHeartbeat) -> Result<(), StoreError> {
    // Who started last is asked of Redis' clock alone.
    if !worker.clock().is_shared() {
        worker.clock().sample().await?;
    }
    if beat.started.is_empty() {
        beat.started = worker.clock().now().to_string();
    }
    worker.store.beat(beat, worker.clock().now()).await?;
    let workers = worker.store.workers().await?;
    for feed in worker.feeds.iter() {
        let is_left_to_others = !settings_change::are_latest(beat, feed.id(), &workers);
        if feed.set_yielded(is_left_to_others) != is_left_to_others && is_left_to_others {
            tracing::warn!(tenant.id = %feed.id(),
                "a worker that started later reads this tenant with other settings; it is left to that one");
        }
        if !is_left_to_others {
            look_after(worker, feed).await?;
        }
    }
    Ok(())
}

async fn look_after(worker: &Worker, feed: &TenantFeed) -> Result<(), StoreError> {
    let (store, warehouses) = (&worker.store, &feed.settings.warehouses);
    worker.respell(feed).await;
    worker.rebuild_schedule(feed).await?;
    let records = store.snapshots(feed.id(), warehouses).await?;
    settings_change::settle(worker, feed, &records).await?;
    store.publish(&PublishedTenant::of(&feed.settings)).await?;
    let now = worker.clock().now();
    let unwanted: Vec<WarehouseId> = warehouses
        .iter()
        .zip(&records)
        .filter(|(_, record)| record.standing.wanted.is_none())
        .map(|(warehouse, _)| warehouse.clone())
        .collect();
    store.want_feeds(feed.id(), &unwanted, now).await?;
    for (warehouse, record) in warehouses.iter().zip(&records) {
        let standing = record.standing.under(Some(feed.fingerprint()));
        if let Some(since) = standing.age_counts_from() {
            metrics::snapshot_age(feed.id(), warehouse, since.age_at(now));
        }
    }
    Ok(())
}

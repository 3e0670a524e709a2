//! This worker's own line in Redis, and what keeps the schedule whole.

use crate::metrics;
use crate::state::Worker;
use shared::process::clock::Clock as _;
use shared::process::guards::{self, Guard};
use shared::redis_store::{PublishedTenant, StoreError, WorkerHeartbeat};
use std::time::Duration;

const BEAT: Duration = Duration::from_secs(10);
const BEAT_UNTIL_FIRST_SUCCESS: Duration = Duration::from_millis(500);

/// Beats until a stop is asked for; each beat also publishes the configuration and puts back what
/// is missing from the schedule, so that an emptied Redis is filled again without a restart.
pub(crate) async fn run(worker: Worker) {
    let stop = worker.shutdown.soft().clone();
    let started = worker.clock().now().to_string();
    let mut rows_before = 0;
    let mut has_succeeded = false;
    while !stop.is_cancelled() {
        let rows = worker.rows_read();
        let beat = WorkerHeartbeat {
            id: worker.id.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: worker.host.to_string(),
            started: started.clone(),
            shards: worker.shards_read(),
            rows_per_second: rows.saturating_sub(rows_before) / BEAT.as_secs(),
        };
        rows_before = rows;
        match one_beat(&worker, &beat, !has_succeeded).await {
            Ok(()) => has_succeeded = true,
            Err(error) => tracing::warn!(%error, "the heartbeat could not be written"),
        }
        let rest = if has_succeeded {
            BEAT
        } else {
            BEAT_UNTIL_FIRST_SUCCESS
        };
        let _ = tokio::time::timeout(rest, stop.cancelled()).await;
    }
    if let Err(error) = worker.store.leave(&worker.id).await {
        tracing::info!(%error, "the good-bye could not be written; the heartbeat expires by itself");
    }
}

async fn one_beat(
    worker: &Worker,
    beat: &WorkerHeartbeat,
    is_first: bool,
) -> Result<(), StoreError> {
    for feed in worker.feeds.iter() {
        let warehouses = &feed.settings.warehouses;
        worker.respell(feed).await;
        if is_first || !guards::is_off(Guard::ScheduleRebuilt) {
            worker.rebuild_schedule(feed).await?;
        }
        worker
            .store
            .publish(&PublishedTenant::of(&feed.settings))
            .await?;
        let now = worker.clock().now();
        for (warehouse, snapshot) in warehouses
            .iter()
            .zip(worker.store.snapshots(feed.id(), warehouses).await?)
        {
            if let Some(watermark) = snapshot.standing.watermark {
                metrics::snapshot_age(feed.id(), warehouse, watermark.age_at(now));
            }
        }
    }
    worker.store.beat(beat, worker.clock().now()).await
}

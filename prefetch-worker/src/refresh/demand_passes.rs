//! Passes have a task of their own: parts of a cycle are taken before anything else, so that while all
//! warehouses are read a pass would wait for the last of them.

use super::demand::pass;
use crate::scheduler::plan::DEMAND_SHARD;
use crate::worker::Worker;
use shared::process::clock::Clock as _;
use shared::redis_store::Claimed;
use std::time::Duration;

/// Another worker's pass may end at any time.
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Makes the passes of a tenant that fall to this worker, until a stop is asked for.
pub(crate) async fn keep_passing(worker: Worker, tenant: usize) {
    let stop = worker.shutdown.soft().clone();
    let feeds = worker.feeds.clone();
    let Some(feed) = feeds.get(tenant) else {
        return;
    };
    while !stop.is_cancelled() {
        // As-of stamps must be on the clock all replicas share.
        let rest = if worker.clock().is_shared() {
            let claimed = worker
                .store
                .claim_shard(feed.id(), DEMAND_SHARD, &worker.id, worker.settings.lease)
                .await;
            match claimed {
                Ok(Claimed::Shard(claim)) => {
                    pass(&worker, feed, &claim).await;
                    continue;
                }
                Ok(Claimed::NothingDue { next_due_in }) => next_due_in.unwrap_or(LONGEST_REST),
                // Those who claim parts say so.
                Err(_unreachable) => LONGEST_REST,
            }
        } else {
            Duration::from_millis(100)
        };
        let _ = tokio::time::timeout(rest.min(LONGEST_REST), stop.cancelled()).await;
    }
}

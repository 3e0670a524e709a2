//! Keeps a claim alive while its work is done, and notes how far reading has come.

use crate::worker::{TenantFeed, Worker};
use shared::process::clock::Clock as _;
use shared::redis_store::{Claim, ShardProgress};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Notes are written this often, if there are new ones: what a killed worker had read since is read
/// again.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// The latest notes of a part: what is stored already.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Option<ShardProgress>>>);

impl Notes {
    pub(crate) fn set(&self, progress: ShardProgress) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }

    pub(crate) fn take(&self) -> Option<ShardProgress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts back what could not be written, unless there is something newer.
    fn keep_unwritten(&self, progress: ShardProgress) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(progress);
    }
}

/// Extends the lease until it is lost or the work is over (then it is dropped).
pub(crate) async fn keep_lease(
    worker: &Worker,
    feed: &TenantFeed,
    claim: &Claim,
    notes: &Notes,
    lost: &CancellationToken,
) {
    let lease = worker.settings.lease;
    let mut extended = worker.clock().monotonic();
    let mut valid_until = extended + lease;
    loop {
        tokio::time::sleep(NOTE_EVERY.min(lease / 3)).await;
        let asked = worker.clock().monotonic();
        let progress = notes.take();
        if progress.is_none() && asked < extended + lease / 3 {
            continue;
        }
        match worker
            .store
            .extend(feed.id(), claim, lease, progress.as_ref())
            .await
        {
            Ok(Ok(())) => {
                extended = asked;
                valid_until = asked + lease;
            }
            Ok(Err(_lease_lost)) => {
                lost.cancel();
                return;
            }
            Err(error) => {
                if let Some(progress) = progress {
                    notes.keep_unwritten(progress);
                }
                tracing::warn!(tenant.id = %feed.id(), shard.id = claim.shard, %error,
                    "the lease could not be extended");
                // Past its end somebody else may have begun; going on would only be double work.
                if worker.clock().monotonic() + lease_reserve(lease) > valid_until {
                    lost.cancel();
                    return;
                }
            }
        }
    }
}

/// With less of the lease left than this no page is started.
fn lease_reserve(lease: Duration) -> Duration {
    (lease / 3).min(Duration::from_secs(10))
}

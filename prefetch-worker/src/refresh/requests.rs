//! "Read these SKUs now": asked over HTTP, done in the background within seconds.

use crate::metrics;
use crate::refresh::reread::reread;
use crate::worker::Worker;
use shared::stock::{Sku, TenantId, WarehouseId};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Refreshes waiting at once.
const MOST_WAITING: usize = 64;
/// SKUs of one refresh.
pub(crate) const MOST_REFRESH_SKUS: usize = 1_000;

/// SKUs to read now.
#[derive(Debug, Clone)]
pub(crate) struct SkuRefresh {
    pub(crate) id: Uuid,
    pub(crate) tenant: TenantId,
    pub(crate) warehouses: Vec<WarehouseId>,
    pub(crate) skus: Vec<Sku>,
}

/// The waiting refreshes of this worker.
#[derive(Debug, Clone)]
pub(crate) struct Refreshes(mpsc::Sender<SkuRefresh>);

/// The queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many refreshes are waiting")]
pub(crate) struct QueueFull;

impl Refreshes {
    /// Works refreshes off, one after the other, until the listeners close.
    pub(crate) fn start(worker: &Worker) -> Self {
        let (sender, mut waiting) = mpsc::channel::<SkuRefresh>(MOST_WAITING);
        let worker = worker.clone();
        worker.tasks.clone().spawn("refreshes", async move {
            let stop = worker.shutdown.closing().clone();
            loop {
                let refresh = tokio::select! {
                    refresh = waiting.recv() => refresh,
                    () = stop.cancelled() => None,
                };
                let Some(refresh) = refresh else { return };
                let Some(feed) = worker.feed(&refresh.tenant) else {
                    continue;
                };
                let outcome = match reread(&worker, feed, &refresh.warehouses, &refresh.skus).await {
                    Ok(reread) => {
                        tracing::info!(refresh.id = %refresh.id, tenant.id = %refresh.tenant,
                            skus = refresh.skus.len(), lines = reread.lines.len(), "SKUs were refreshed");
                        "done"
                    }
                    Err(error) => {
                        tracing::warn!(refresh.id = %refresh.id, tenant.id = %refresh.tenant,
                            skus = refresh.skus.len(), %error, "SKUs could not be refreshed");
                        "failed"
                    }
                };
                metrics::refresh("skus", outcome);
            }
        });
        Self(sender)
    }

    /// Takes a refresh, or says that too many wait.
    pub(crate) fn ask(&self, refresh: SkuRefresh) -> Result<(), QueueFull> {
        self.0.try_send(refresh).or(Err(QueueFull))
    }
}

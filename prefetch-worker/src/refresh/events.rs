//! Hints waiting to become look-ups: one an item, however often it is hinted at.

use crate::metrics;
use crate::refresh::reread::reread_items;
use crate::worker::Worker;
use shared::stock::{ItemNumber, TenantId};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

const MOST_WAITING: usize = 5_000;
/// Items read together.
const ITEMS_AT_ONCE: usize = 200;
/// Hints that come this close together become one reading.
const COLLECTED_FOR: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(5);

/// Too many items are waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many items are waiting to be read again")]
pub(crate) struct TooMany;

/// The hints of one process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hints(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    items: Mutex<HashMap<TenantId, BTreeSet<ItemNumber>>>,
    came: Notify,
}

impl Hints {
    /// Reads hinted items again, in the background, until the listeners close.
    pub(crate) fn start(worker: &Worker) -> Self {
        let hints = Self::default();
        let (waiting, worker) = (hints.clone(), worker.clone());
        worker.tasks.clone().spawn("hints", async move {
            let stop = worker.shutdown.closing().clone();
            loop {
                tokio::select! {
                    () = waiting.0.came.notified() => {}
                    () = stop.cancelled() => return,
                }
                if tokio::time::timeout(COLLECTED_FOR, stop.cancelled())
                    .await
                    .is_ok()
                {
                    return;
                }
                waiting.read_all(&worker).await;
            }
        });
        hints
    }

    /// Takes a hint, or says that too many wait.
    pub(crate) fn add(&self, tenant: &TenantId, item: ItemNumber) -> Result<(), TooMany> {
        let mut waiting = self.items();
        let count: usize = waiting.values().map(BTreeSet::len).sum();
        let items = waiting.entry(tenant.clone()).or_default();
        if count >= MOST_WAITING && !items.contains(&item) {
            return Err(TooMany);
        }
        items.insert(item);
        drop(waiting);
        self.0.came.notify_one();
        Ok(())
    }

    fn items(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, BTreeSet<ItemNumber>>> {
        self.0.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) -> usize {
        self.items().values().map(BTreeSet::len).sum()
    }

    /// Some items of one tenant, at most `most`.
    fn take_some(&self, most: usize) -> Option<(TenantId, Vec<ItemNumber>)> {
        let mut waiting = self.items();
        let tenant = waiting.keys().next()?.clone();
        let items = waiting.get_mut(&tenant)?;
        let mut some = Vec::new();
        while some.len() < most.min(ITEMS_AT_ONCE)
            && let Some(item) = items.pop_first()
        {
            some.push(item);
        }
        if items.is_empty() {
            waiting.remove(&tenant);
        }
        Some((tenant, some))
    }

    /// Reads as many items as wait now. What comes meanwhile is collected anew: reading on would
    /// spend a call on every few of them.
    async fn read_all(&self, worker: &Worker) {
        let stop = worker.shutdown.closing();
        let mut left = self.count();
        while left > 0
            && !stop.is_cancelled()
            && let Some((tenant, items)) = self.take_some(left)
        {
            left -= items.len();
            let Some(feed) = worker.feed(&tenant) else {
                continue;
            };
            match reread_items(worker, feed, &feed.settings.warehouses, &items).await {
                Ok(reread) => {
                    tracing::info!(tenant.id = %tenant, items = items.len(),
                        lines = reread.lines.len(), "items were read again after events");
                    metrics::refresh("events", "done");
                }
                Err(error) => {
                    tracing::warn!(tenant.id = %tenant, items = items.len(), %error,
                        "items could not be read again after events; tried again");
                    metrics::refresh("events", "failed");
                    for item in items {
                        // Those that find no room are read by the next snapshot.
                        let _ = self.add(&tenant, item);
                    }
                    let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_waits_once_and_not_too_many_wait() {
        let hints = Hints::default();
        let tenant = TenantId::parse("t").unwrap();
        let item = |number: usize| ItemNumber::parse(format!("I{number}")).unwrap();
        for number in 0..MOST_WAITING {
            hints.add(&tenant, item(number)).unwrap();
        }
        assert_eq!(hints.add(&tenant, item(7)), Ok(()));
        assert_eq!(hints.add(&tenant, item(MOST_WAITING)), Err(TooMany));
        let mut taken = 0;
        while let Some((_, items)) = hints.take_some(usize::MAX) {
            assert!(items.len() <= ITEMS_AT_ONCE);
            taken += items.len();
        }
        assert_eq!(taken, MOST_WAITING);
    }
}

//! The look-ups of one tenant: those that callers wait for, and what they are made with.

use super::live_result::LiveResult;
use super::look_up::LiveLookUp;
use super::pending::{Departure, PendingLookUps};
use crate::drift::DriftMeter;
use shared::process::clock::Clock;
use shared::process::tasks::Tasks;
use shared::redis_store::{LiveLease, StockReader, StockStore};
use shared::stock::{Sku, TenantId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

/// What live look-ups work with.
#[derive(Debug, Clone)]
pub(crate) struct LiveTools {
    /// Where answers are stored.
    pub store: StockStore,
    /// Compares them with what the cache would have said.
    pub drift: Arc<DriftMeter>,
    /// Runs requests whose callers may come and go.
    pub tasks: Tasks,
    /// Deadlines.
    pub clock: Arc<dyn Clock>,
}

/// What callers, looks and requests share.
#[derive(Debug)]
pub(super) struct TenantLookUps {
    pub(super) tenant: TenantId,
    pub(super) look_up: LiveLookUp,
    pub(super) tools: LiveTools,
    pub(super) reader: StockReader,
    state: Mutex<State>,
    /// A waiter came, or a look or a request is over.
    pub(super) changed: Notify,
    /// A waiter left without an answer.
    pub(super) left: Notify,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) pending: PendingLookUps<Tell>,
    /// Whether a dispatcher runs.
    pub(super) is_dispatched: bool,
}

/// How a caller is answered.
pub(super) type Tell = oneshot::Sender<LiveResult>;

impl TenantLookUps {
    /// Nobody waits yet.
    pub(super) fn new(tenant: TenantId, look_up: LiveLookUp, tools: LiveTools) -> Self {
        Self {
            tenant,
            look_up,
            reader: tools.store.reader(),
            tools,
            state: Mutex::default(),
            changed: Notify::new(),
            left: Notify::new(),
        }
    }

    /// Waits until nobody waits for these requests.
    pub(super) async fn unwanted(&self, departures: &[Departure]) {
        loop {
            let left = self.left.notified();
            let is_wanted = self.pending(|pending| {
                departures
                    .iter()
                    .any(|departure| pending.is_wanted(&departure.subject, departure.covers))
            });
            if !is_wanted {
                return;
            }
            left.await;
        }
    }

    /// A request is over: answers those it was made for. Without an answer they are left alone.
    pub(super) fn land(&self, departure: &Departure, result: Option<&LiveResult>) {
        let Departure {
            subject, covers, ..
        } = departure;
        let tells = self.pending(|pending| pending.landed(subject, *covers));
        for tell in tells {
            if let Some(result) = result {
                // Whoever has gone away does not want it any more.
                drop(tell.send(result.clone()));
            }
        }
        self.changed.notify_waiters();
    }

    /// Gives leases back in the background.
    pub(super) fn release(&self, skus: Vec<Sku>, lease: LiveLease) {
        let (store, tenant) = (self.tools.store.clone(), self.tenant.clone());
        self.tools.tasks.spawn("live-release", async move {
            if let Err(error) = store.release_leases(&tenant, &skus, &lease).await {
                tracing::debug!(%error, "other replicas wait until a lease ends by itself");
            }
        });
    }

    pub(super) fn pending<T>(&self, work: impl FnOnce(&mut PendingLookUps<Tell>) -> T) -> T {
        work(&mut self.state().pending)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The throttle gate and the call budget of all replicas.

use super::script::StoreCall;
use super::scripts;
use super::store::StockStore;
use crate::d365::{AppId, CallEnd, CallRight, ProcessThrottleGate, Purpose, Share, ThrottleGate};
use crate::process::tasks::Tasks;
use crate::stock::TenantId;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// A healthy Redis answers in well under a tenth of this; an order does not wait for longer.
const ASKING_LIMIT: Duration = Duration::from_millis(50);
/// Prefetching has time, and without Redis nothing to do.
const PATIENT_ASKING_LIMIT: Duration = Duration::from_secs(1);
/// A call nobody renews counts for so long: what a killed process leaves behind.
const CALL_LAPSES: Duration = Duration::from_secs(15);
const RENEW_EVERY: Duration = Duration::from_secs(5);

/// Keeps in Redis, for all tenants of an app registration, what D365 asked any replica and how many
/// calls are under way, and what it asked this process here as well: while Redis is away, this
/// process still stays away from D365, and takes its part of the budget among the replicas it knew
/// of.
#[derive(Debug)]
pub struct SharedThrottleGate {
    store: StockStore,
    tenant: TenantId,
    process: String,
    own: Arc<ProcessThrottleGate>,
    known: Arc<Known>,
}

/// What Redis said last.
#[derive(Debug)]
struct Known {
    limit: AtomicUsize,
    processes: AtomicUsize,
}

impl SharedThrottleGate {
    /// The gate as one tenant uses it.
    pub fn new(store: StockStore, tenant: TenantId) -> Self {
        Self {
            own: Arc::clone(store.process_gate()),
            process: store.process_id().to_owned(),
            store,
            tenant,
            known: Arc::new(Known {
                limit: AtomicUsize::new(2),
                processes: AtomicUsize::new(1),
            }),
        }
    }

    /// Asks Redis for a call. The outer none means that Redis did not answer in time.
    ///
    /// What it grants after the asker has left is given back at once: it would count as under way
    /// until it lapses.
    async fn ask(&self, app: &AppId, share: Share) -> Option<Option<SharedRight>> {
        let budget = Budget {
            store: self.store.clone(),
            key: self.store.keys().budget(app.as_str()),
            purpose: share.purpose,
        };
        let patience = match share.purpose {
            Purpose::Live => ASKING_LIMIT,
            Purpose::Prefetch => PATIENT_ASKING_LIMIT,
        };
        let known = Arc::clone(&self.known);
        let asking = ask(budget, share, self.process.clone(), known, patience);
        let (give, granted) = oneshot::channel();
        Tasks::new().spawn_unawaited("budget-call", async move {
            drop(give.send(asking.await));
        });
        tokio::time::timeout(patience, granted).await.ok()?.ok()?
    }

    /// This process' part of the budget while nobody knows what the others do.
    fn own_part(&self, share: Share) -> usize {
        let whole = match share.purpose {
            Purpose::Live => usize::try_from(share.most).unwrap_or(usize::MAX),
            Purpose::Prefetch => self.known.limit.load(Ordering::Relaxed),
        };
        (whole / self.known.processes.load(Ordering::Relaxed).max(1)).max(1)
    }
}

/// Asks for one call. The outer none means that Redis did not answer.
async fn ask(
    budget: Budget,
    share: Share,
    process: String,
    known: Arc<Known>,
    patience: Duration,
) -> Option<Option<SharedRight>> {
    let id = uuid::Uuid::new_v4().to_string();
    let call = StoreCall::of(&scripts::TAKE_CALL)
        .within(patience)
        .key(budget.key.clone())
        .key(budget.calls(Purpose::Prefetch))
        .key(budget.calls(Purpose::Live))
        .key(format!("{}:processes", budget.key))
        .argument(share.purpose.as_str())
        .argument(&id)
        .argument(process)
        .argument(CALL_LAPSES.as_millis())
        .argument(share.most)
        .argument(share.kept_for_live)
        .argument(share.percent());
    let (granted, limit, processes, halvings): (u8, usize, usize, u64) =
        budget.store.run(call).await.ok()?;
    known.limit.store(limit, Ordering::Relaxed);
    known.processes.store(processes.max(1), Ordering::Relaxed);
    if granted == 0 {
        return Some(None);
    }
    let (over, ended) = oneshot::channel();
    let counted = Counted {
        budget,
        id,
        halvings,
        most_prefetching: share.most_prefetching(),
        known: Arc::clone(&known),
    };
    Tasks::new().spawn_unawaited("budget-call-under-way", counted.keep(ended));
    Some(Some(SharedRight {
        over: Some(over),
        known,
    }))
}

/// Where the calls of an app registration are counted.
#[derive(Debug, Clone)]
struct Budget {
    store: StockStore,
    key: String,
    purpose: Purpose,
}

impl Budget {
    fn calls(&self, purpose: Purpose) -> String {
        format!("{}:{}", self.key, purpose.as_str())
    }
}

/// A call that is counted in the budget.
#[derive(Debug)]
struct Counted {
    budget: Budget,
    id: String,
    halvings: u64,
    most_prefetching: u32,
    known: Arc<Known>,
}

impl Counted {
    /// Renews the right until the call is over, then gives it back. One task does both: a renewal that
    /// came after the end would count a call that is over.
    async fn keep(self, mut ended: oneshot::Receiver<CallEnd>) {
        loop {
            match tokio::time::timeout(RENEW_EVERY, &mut ended).await {
                Ok(end) => return self.give_back(end.unwrap_or(CallEnd::Neither)).await,
                Err(_elapsed) => self.renew().await,
            }
        }
    }

    async fn renew(&self) {
        let call = StoreCall::of(&scripts::RENEW_CALL)
            .repeatable()
            .key(self.budget.calls(self.budget.purpose))
            .argument(&self.id)
            .argument(CALL_LAPSES.as_millis());
        if let Err(error) = self.budget.store.run::<u8>(call).await {
            tracing::debug!(%error, "a call under way could not be renewed in the budget");
        }
    }

    async fn give_back(&self, end: CallEnd) {
        let call = StoreCall::of(&scripts::END_CALL)
            .key(self.budget.key.clone())
            .key(self.budget.calls(self.budget.purpose))
            .argument(&self.id)
            .argument(end.as_str())
            .argument(self.halvings)
            .argument(self.most_prefetching);
        match self.budget.store.run::<usize>(call).await {
            Ok(limit) => self.known.limit.store(limit, Ordering::Relaxed),
            // It lapses by itself.
            Err(error) => {
                tracing::debug!(%error, "a call could not be given back to the budget");
            }
        }
    }
}

/// Dropped, it says that the call is over and nothing about how it went.
#[derive(Debug)]
struct SharedRight {
    /// Taken when the right is given back.
    over: Option<oneshot::Sender<CallEnd>>,
    known: Arc<Known>,
}

impl CallRight for SharedRight {
    fn end(mut self: Box<Self>, end: CallEnd) -> usize {
        if let Some(over) = self.over.take() {
            // At the very end of a process nobody listens any more; the right lapses by itself.
            let _nobody_listens = over.send(end);
        }
        self.known.limit.load(Ordering::Relaxed)
    }
}

impl ThrottleGate for SharedThrottleGate {
    fn wait_left<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Option<Duration>> {
        Box::pin(async move {
            let own = self.own.wait_left_now(app);
            if own.is_some() {
                return own;
            }
            let key = self.store.keys().throttle(app);
            let question = redis::cmd("PTTL").arg(key).clone();
            let asking = self.store.ask::<i64>(&question);
            // Redis being away or frozen must not hold up an order; this process' own gate holds
            // meanwhile.
            let left_ms = tokio::time::timeout(ASKING_LIMIT, asking)
                .await
                .ok()?
                .ok()?;
            let left_ms = u64::try_from(left_ms).ok().filter(|ms| *ms > 0)?;
            Some(Duration::from_millis(left_ms))
        })
    }

    fn close<'a>(&'a self, app: &'a AppId, wait: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.own.close_now(app, wait);
            let until = self.store.clock().not_before_now().plus(wait);
            let call = StoreCall::of(&scripts::CLOSE_GATE)
                .repeatable()
                .key(self.store.keys().throttle(app))
                .argument(wait.as_millis())
                .argument(until)
                .argument(until.unix_ms());
            if let Err(error) = self.store.run::<u8>(call).await {
                tracing::warn!(tenant.id = %self.tenant, %error, "the other replicas do not know that D365 throttles");
            }
        })
    }

    fn take<'a>(
        &'a self,
        app: &'a AppId,
        share: Share,
    ) -> BoxFuture<'a, Option<Box<dyn CallRight>>> {
        Box::pin(async move {
            match self.ask(app, share).await {
                Some(answer) => answer.map(|right| Box::new(right) as Box<dyn CallRight>),
                None => self.own.take_now(app, share, self.own_part(share)),
            }
        })
    }
}

/// The gate of tools that only look.
///
/// Makes one call at a time, beside the budget of all replicas, and stays away while any of them was
/// asked to. Writes nothing to Redis: a tool that is killed leaves nothing behind.
#[derive(Debug)]
pub struct LookingThrottleGate(pub SharedThrottleGate);

impl ThrottleGate for LookingThrottleGate {
    fn wait_left<'a>(&'a self, app: &'a AppId) -> BoxFuture<'a, Option<Duration>> {
        self.0.wait_left(app)
    }

    fn close<'a>(&'a self, app: &'a AppId, wait: Duration) -> BoxFuture<'a, ()> {
        self.0.own.close_now(app, wait);
        Box::pin(std::future::ready(()))
    }

    fn take<'a>(
        &'a self,
        app: &'a AppId,
        share: Share,
    ) -> BoxFuture<'a, Option<Box<dyn CallRight>>> {
        Box::pin(std::future::ready(self.0.own.take_now(app, share, 1)))
    }
}

//! Callers of one SKU share a request to D365, within this process and with the other replicas.
//!
//! The one rule: nobody is answered by a request that started before the question was asked. `pending`
//! decides who waits for what, `look` finds out what other replicas do, `look_up_task` asks.

use super::deadline::Deadline;
use super::failure::LiveFailure;
use super::live_result::LiveResult;
use super::look::Look;
use super::look_up::LiveLookUp;
use super::look_up_task;
use super::pending::{Arrival, Due, Subject, longest_wait};
use super::tenant_look_ups::{LiveTools, TenantLookUps};
use crate::http::priority::Priority;
use shared::stock::{Sku, TenantId, WarehouseId};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Asks one tenant's D365 for all callers.
#[derive(Debug)]
pub(crate) struct Coalescer(Arc<TenantLookUps>);

/// One SKU a caller waits for. Dropped, it does not wait any more.
struct Wait<'a> {
    look_ups: &'a TenantLookUps,
    subject: Subject,
    number: u64,
    answer: oneshot::Receiver<LiveResult>,
    answered: Option<LiveResult>,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self
            .look_ups
            .pending(|pending| pending.leave(&self.subject, self.number))
        {
            self.look_ups.left.notify_waiters();
        }
    }
}

impl Coalescer {
    /// Nobody waits yet.
    pub(crate) fn new(tenant: TenantId, look_up: LiveLookUp, tools: LiveTools) -> Self {
        Self(Arc::new(TenantLookUps::new(tenant, look_up, tools)))
    }

    /// What can be asked, and whether a call could be sent now.
    pub(crate) fn look_up(&self) -> &LiveLookUp {
        &self.0.look_up
    }

    /// Asks for SKUs in warehouses, together with others. Ends with the deadline at the latest; what
    /// was found by then counts.
    pub(super) async fn ask(
        &self,
        skus: &[Sku],
        warehouses: &[WarehouseId],
        deadline: &Deadline,
        priority: Priority,
    ) -> LiveResult {
        let mut waits = join(&self.0, skus, warehouses, deadline, priority);
        let all = async {
            for wait in &mut waits {
                // A request that ended without an answer is read as such below.
                wait.answered = (&mut wait.answer).await.ok();
            }
        };
        let _passed = deadline.wait_for(all).await;
        let mut result = LiveResult::default();
        for mut wait in waits {
            let answered = wait.answered.take();
            let answered = answered.or_else(|| wait.answer.try_recv().ok());
            result.extend(answered.unwrap_or_else(|| {
                LiveResult::all_failed(warehouses.len(), LiveFailure::DeadlinePassed)
            }));
        }
        result
    }
}

/// Lets the next caller start a dispatcher, also if this one panics.
struct Dispatching<'a>(&'a TenantLookUps);

impl Drop for Dispatching<'_> {
    fn drop(&mut self) {
        self.0.state().is_dispatched = false;
    }
}

fn join<'a>(
    look_ups: &'a Arc<TenantLookUps>,
    skus: &[Sku],
    warehouses: &[WarehouseId],
    deadline: &Deadline,
    priority: Priority,
) -> Vec<Wait<'a>> {
    let warehouses: Arc<[WarehouseId]> = warehouses.into();
    let tools = &look_ups.tools;
    let left = deadline.left().unwrap_or_default();
    let arrival = Arrival {
        now: tools.clock.monotonic(),
        as_of: tools.store.clock().not_before_now(),
        longest_wait: longest_wait(left, look_ups.look_up.last_answer_took()),
        ends_at: deadline.ends_at(),
        priority,
    };
    let mut state = look_ups.state();
    let waits = skus.iter().map(|sku| {
        let subject = Subject {
            warehouses: Arc::clone(&warehouses),
            sku: sku.clone(),
        };
        let (tell, answer) = oneshot::channel();
        Wait {
            look_ups,
            number: state.pending.join(subject.clone(), arrival, tell),
            subject,
            answer,
            answered: None,
        }
    });
    let waits = waits.collect();
    if !std::mem::replace(&mut state.is_dispatched, true) {
        let dispatching = dispatch(Arc::clone(look_ups));
        tools.tasks.spawn("live-dispatcher", dispatching);
    }
    drop(state);
    look_ups.changed.notify_waiters();
    waits
}

/// Looks and asks as it falls due, until nobody waits.
async fn dispatch(look_ups: Arc<TenantLookUps>) {
    let _dispatching = Dispatching(&look_ups);
    let tools = &look_ups.tools;
    loop {
        let changed = look_ups.changed.notified();
        let now = tools.clock.monotonic();
        let due = {
            let mut state = look_ups.state();
            if state.pending.is_empty() {
                // Whoever comes from here on starts another one; two do no harm.
                state.is_dispatched = false;
                return;
            }
            state.pending.due(now)
        };
        let Due {
            looks,
            watches,
            alone,
            next,
        } = due;
        for (subjects, wants_lease) in [(looks, true), (watches, false)] {
            for (warehouses, skus) in by_warehouses(subjects) {
                let look = Look::new(&look_ups, warehouses, skus);
                tools.tasks.spawn("live-look", look.run(wants_lease));
            }
        }
        look_up_task::send(&look_ups, alone, None);
        match next {
            // Either way what is due is asked again.
            Some(at) => drop(tokio::time::timeout(at.saturating_sub(now), changed).await),
            None => changed.await,
        }
    }
}

fn by_warehouses(subjects: Vec<Subject>) -> Vec<(Arc<[WarehouseId]>, Vec<Sku>)> {
    let mut groups: Vec<(Arc<[WarehouseId]>, Vec<Sku>)> = Vec::new();
    for Subject { warehouses, sku } in subjects {
        match groups.iter_mut().find(|(known, _)| *known == warehouses) {
            Some((_, skus)) => skus.push(sku),
            None => groups.push((warehouses, vec![sku])),
        }
    }
    groups
}

#[cfg(test)]
mod tests;

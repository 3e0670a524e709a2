//! What orders and reservations hold, from the check that grants it to the ERP's confirmation.
//!
//! `placing` holds what a check grants, `settling` ends or confirms it, `rejecting` gives reserved
//! stock back by product, `record` is what Redis keeps of an order, `view` what callers see of it.
//! Everything changes by compare-and-swap in Redis, so any replica may take any step.

pub(crate) mod handlers;
pub(crate) mod placing;
mod record;
mod rejecting;
mod settling;
mod superseded;
mod turns;
pub(crate) mod view;

pub(crate) use turns::Turns;

use crate::state::AppState;
use shared::redis_store::{HeldChange, HeldSku, StoreError};
use shared::stock::{AsOf, Hold, HoldOwner, TenantId};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A record outlives its hold by this, so that a repeated submission is recognised.
const RECORD_KEPT: Duration = Duration::from_hours(24);
/// How often holds whose time is over are taken out of Redis.
const CLEAN_EVERY: Duration = Duration::from_secs(30);
/// SKUs cleaned at a time.
const CLEANED_AT_ONCE: usize = 200;

/// The holds of a SKU without those that have ended and those of `owners`; none if they cannot be
/// read.
fn others(held: &HeldSku, owners: &[HoldOwner], now: AsOf) -> Option<Vec<Hold>> {
    let holds = held.holds.as_ref()?;
    let stays = |hold: &&Hold| now < hold.until && !owners.contains(&hold.owner);
    Some(holds.iter().filter(stays).cloned().collect())
}

/// Takes holds that have ended out of Redis, until cancelled. Nobody counts them any more; this only
/// keeps Redis small.
pub(crate) async fn keep_clean(state: &AppState, stop: CancellationToken) {
    while tokio::time::timeout(CLEAN_EVERY, stop.cancelled())
        .await
        .is_err()
    {
        let directory = state.directory().clone();
        for tenant in directory.tenants() {
            if let Err(error) = clean(state, &tenant.id).await {
                tracing::debug!(tenant.id = %tenant.id, %error, "ended holds were not taken out");
            }
        }
    }
}

async fn clean(state: &AppState, tenant: &TenantId) -> Result<(), StoreError> {
    let now = state.clock.now();
    let skus = state
        .store
        .ended_holds(tenant, now, CLEANED_AT_ONCE)
        .await?;
    if skus.is_empty() {
        return Ok(());
    }
    let (_, held) = state.store.read_orders(tenant, &[], &skus).await?;
    for held in held {
        // Without readable holds nothing is known about their ends: it is left for people to see.
        if let Some(stay) = others(&held, &[], now) {
            let change: HeldChange = held.becomes(stay);
            state.store.swap_orders(tenant, &[], &[change]).await?;
        }
    }
    Ok(())
}

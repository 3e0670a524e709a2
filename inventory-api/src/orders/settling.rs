//! The end of a hold: the ERP has the order, or nobody wants it any more.

use super::record::{OrderState, Record};
use super::view::OrderView;
use super::{ending, kept, names, others};
use crate::error::ApiError;
use crate::live_look_up::Deadline;
use crate::metrics;
use crate::state::AppState;
use shared::redis_store::{HeldSku, OrderText, StoreError};
use shared::stock::{AsOf, HoldOwner, TenantId};
use std::time::Duration;

/// How a hold ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Settlement {
    /// The ERP booked the order at this instant.
    Confirmed(AsOf),
    /// The order was cancelled, the reservation given up.
    Released,
}

/// Which order or reservation is meant, and by whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) owner: &'a HoldOwner,
    /// The channel of the request; what came through another one is not there for it.
    pub(super) channel: Option<&'a str>,
}

/// Reads an order or reservation.
pub(super) async fn look(state: &AppState, place: Place<'_>) -> Result<OrderView, ApiError> {
    let owner = &Box::pin(names::find(state, place.tenant, place.channel, place.owner)).await?;
    let (_, record, held) = read(state, place.tenant, owner).await?;
    Ok(OrderView::of(owner, &record, &held))
}

/// Settles an order or reservation; settling it again the same way changes nothing.
pub(super) async fn settle(
    state: &AppState,
    place: Place<'_>,
    settlement: Settlement,
    deadline: &Deadline,
) -> Result<OrderView, ApiError> {
    let tenant = place.tenant;
    let settling = async {
        let owner = &Box::pin(names::find(state, tenant, place.channel, place.owner)).await?;
        let mut turn = None;
        let mut may_be_done = false;
        loop {
            let (text, mut record, held) = read(state, tenant, owner).await?;
            let (skus, before) = (record.skus(), record.clone());
            match (settlement, record.state) {
                (Settlement::Confirmed(_), OrderState::Confirmed)
                | (Settlement::Released, OrderState::Released) => {
                    return Ok(OrderView::of(owner, &record, &held));
                }
                (Settlement::Confirmed(_), OrderState::Released)
                | (Settlement::Released, OrderState::Confirmed) => {
                    let id = owner.id().to_string();
                    return Err(ApiError::OrderSettled { id });
                }
                (Settlement::Confirmed(at), OrderState::Held) => {
                    // Not before somebody has looked whether it must go on.
                    let time = state.settings.orders.hold.max(ending::AHEAD);
                    record.confirm(at, at.plus(time));
                }
                (Settlement::Released, OrderState::Held) => record.release(),
            }
            if turn.is_none() {
                turn = Some(state.turns.wait(tenant, &skus).await);
                continue;
            }
            let changed = match change(state, tenant, (&text, &record), &held, deadline).await {
                // Its connection died. Whether it was done all the same shows in what is read next.
                Err(ApiError::CacheUnavailable {
                    cause: Some(StoreError::Unavailable { .. }),
                }) if !may_be_done => {
                    may_be_done = true;
                    continue;
                }
                changed => changed?,
            };
            if changed {
                metrics::hold(match settlement {
                    Settlement::Confirmed(_) => "confirmed",
                    Settlement::Released => "released",
                });
                if let Settlement::Released = settlement {
                    let mut over = before;
                    over.state = OrderState::Released;
                    return Ok(OrderView::of(owner, &over, &[]));
                }
                let (_, record, held) = read(state, tenant, owner).await?;
                return Ok(OrderView::of(owner, &record, &held));
            }
            metrics::hold("overtaken");
            tokio::task::yield_now().await;
        }
    };
    deadline
        .wait_for(Box::pin(settling))
        .await
        .unwrap_or(Err(ApiError::CacheUnavailable { cause: None }))
}

async fn read(
    state: &AppState,
    tenant: &TenantId,
    owner: &HoldOwner,
) -> Result<(OrderText, Record, Vec<HeldSku>), ApiError> {
    let unavailable = |cause| ApiError::CacheUnavailable { cause: Some(cause) };
    let owners = std::slice::from_ref(owner);
    let reading = state.store.read_orders(tenant, owners, &[]);
    let (records, _) = reading.await.map_err(unavailable)?;
    let found = records.into_iter().next().and_then(|text| {
        let record = Record::read(text.text.as_deref()?)?;
        Some((text, record))
    });
    let (text, record) = found.ok_or_else(|| {
        let id = owner.id().to_string();
        match owner {
            HoldOwner::Order(_) => ApiError::OrderNotFound { id },
            HoldOwner::Reservation(_) | HoldOwner::Several(_) => {
                ApiError::ReservationNotFound { id }
            }
        }
    })?;
    let skus = record.skus();
    let reading = state.store.read_orders(tenant, &[], &skus);
    let (_, held) = reading.await.map_err(unavailable)?;
    Ok((text, record, held))
}

/// Writes the record and what it holds from now on; false if something has changed meanwhile.
///
/// The holds are made of the record's lines: what had ended by itself counts again once the ERP says
/// that the order was real after all.
async fn change(
    state: &AppState,
    tenant: &TenantId,
    (before, after): (&OrderText, &Record),
    held: &[HeldSku],
    deadline: &Deadline,
) -> Result<bool, ApiError> {
    let now = state.clock.now();
    let owner = &before.owner;
    let own = after.holds(owner);
    let mut changes = Vec::with_capacity(held.len());
    for held in held {
        let Some(mut holds) = others(held, std::slice::from_ref(owner), now) else {
            continue;
        };
        let of_sku = own.iter().filter(|(sku, _)| *sku == held.sku);
        holds.extend(of_sku.map(|(_, hold)| hold.clone()));
        changes.push(held.becomes(holds));
    }
    let left = after
        .until()
        .map_or(Duration::ZERO, |until| now.age_at(until));
    let left = match after.state {
        OrderState::Released => Duration::ZERO,
        OrderState::Held | OrderState::Confirmed => left,
    };
    let record = before.becomes(after.text(), kept(owner, left));
    state
        .store
        .swap_orders(
            tenant,
            &[record],
            &changes,
            deadline.left().unwrap_or_default(),
        )
        .await
        .map_err(|cause| ApiError::CacheUnavailable { cause: Some(cause) })
}

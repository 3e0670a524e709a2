//! The end of a hold: the ERP has the order, or nobody wants it any more.

use super::record::{OrderState, Record};
use super::view::OrderView;
use super::{RECORD_KEPT, others};
use crate::error::ApiError;
use crate::live_look_up::Deadline;
use crate::metrics;
use crate::state::AppState;
use shared::redis_store::{HeldSku, OrderText};
use shared::stock::{AsOf, Hold, HoldOwner, TenantId};
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
    let (record, held) = read(state, place).await?;
    Ok(OrderView::of(place.owner, &record, &held))
}

/// Settles an order or reservation; settling it again the same way changes nothing.
pub(super) async fn settle(
    state: &AppState,
    place: Place<'_>,
    settlement: Settlement,
    deadline: &Deadline,
) -> Result<OrderView, ApiError> {
    let Place { tenant, owner, .. } = place;
    let settling = async {
        let mut turn = None;
        loop {
            let (mut record, held) = read(state, place).await?;
            let before = record.clone();
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
                (Settlement::Confirmed(at), OrderState::Held) => record.confirm(at),
                (Settlement::Released, OrderState::Held) => record.state = OrderState::Released,
            }
            if turn.is_none() {
                turn = Some(state.turns.wait(tenant, &record.skus()).await);
                continue;
            }
            if change(
                state,
                (tenant, owner),
                (&before, &record),
                &held,
                settlement,
            )
            .await?
            {
                metrics::hold(match settlement {
                    Settlement::Confirmed(_) => "confirmed",
                    Settlement::Released => "released",
                });
                let (record, held) = read(state, place).await?;
                return Ok(OrderView::of(owner, &record, &held));
            }
            metrics::hold("overtaken");
            tokio::task::yield_now().await;
        }
    };
    deadline
        .wait_for(settling)
        .await
        .unwrap_or(Err(ApiError::CacheUnavailable { cause: None }))
}

async fn read(
    state: &AppState,
    Place {
        tenant,
        owner,
        channel,
    }: Place<'_>,
) -> Result<(Record, Vec<HeldSku>), ApiError> {
    let unavailable = |cause| ApiError::CacheUnavailable { cause: Some(cause) };
    let owners = std::slice::from_ref(owner);
    let reading = state.store.read_orders(tenant, owners, &[]);
    let (records, _) = reading.await.map_err(unavailable)?;
    let text = records.first().and_then(|record| record.text.as_deref());
    let record = text
        .and_then(Record::read)
        .filter(|record| record.is_open_to(channel));
    let record = record.ok_or_else(|| {
        let id = owner.id().to_string();
        match owner {
            HoldOwner::Order(_) => ApiError::OrderNotFound { id },
            HoldOwner::Reservation(_) => ApiError::ReservationNotFound { id },
        }
    })?;
    let skus = record.skus();
    let reading = state.store.read_orders(tenant, &[], &skus);
    let (_, held) = reading.await.map_err(unavailable)?;
    Ok((record, held))
}

async fn change(
    state: &AppState,
    (tenant, owner): (&TenantId, &HoldOwner),
    (before, after): (&Record, &Record),
    held: &[HeldSku],
    settlement: Settlement,
) -> Result<bool, ApiError> {
    let now = state.clock.now();
    let mut changes = Vec::with_capacity(held.len());
    for held in held {
        let Some(mut holds) = others(held, std::slice::from_ref(owner), now) else {
            continue;
        };
        if let Settlement::Confirmed(at) = settlement {
            let own = held
                .holds
                .iter()
                .flatten()
                .filter(|hold| hold.owner == *owner);
            holds.extend(own.map(|hold| Hold {
                confirmed: Some(at),
                ..hold.clone()
            }));
        }
        changes.push(held.becomes(holds));
    }
    let left = after
        .until()
        .unwrap_or(now)
        .unix_ms()
        .saturating_sub(now.unix_ms());
    let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
    let text = OrderText {
        owner: owner.clone(),
        text: Some(before.text()),
    };
    let record = text.becomes(after.text(), left.saturating_add(RECORD_KEPT));
    state
        .store
        .swap_orders(tenant, &[record], &changes)
        .await
        .map_err(|cause| ApiError::CacheUnavailable { cause: Some(cause) })
}

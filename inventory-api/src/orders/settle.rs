//! The end of a hold: the ERP has the order, or nobody wants it any more.

use super::hold_book::{Change, HoldBook, Seen, Step, others};
use super::record::{OrderState, Record, kept};
use super::view::OrderView;
use super::{expire, names};
use crate::error::ApiError;
use crate::live::deadline::Deadline;
use crate::metrics;
use crate::state::AppState;
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

/// Which order or reservation a request means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meant<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) owner: &'a HoldOwner,
    /// The channel of the request; what came through another one is not there for it.
    pub(super) channel: Option<&'a str>,
}

/// Reads an order or reservation.
pub(super) async fn view(
    state: &AppState,
    meant: Meant<'_>,
    deadline: &Deadline,
) -> Result<OrderView, ApiError> {
    let book = HoldBook {
        state,
        tenant: meant.tenant,
        deadline,
    };
    let reading = async {
        let seen = find(state, meant).await?;
        let reading = book.with_holds_of_records(seen).await;
        reading.map_err(|cause| ApiError::CacheUnavailable { cause: Some(cause) })
    };
    let seen = deadline.wait_for(Box::pin(reading)).await;
    let seen = seen.unwrap_or(Err(ApiError::CacheUnavailable { cause: None }))?;
    let (owner, record) = record_of(&seen)?;
    Ok(OrderView::of(owner, &record, &seen.held))
}

/// Settles an order or reservation; settling it again the same way changes nothing.
pub(super) async fn settle(
    state: &AppState,
    meant: Meant<'_>,
    settlement: Settlement,
    deadline: &Deadline,
) -> Result<OrderView, ApiError> {
    let found = deadline.wait_for(Box::pin(find(state, meant))).await;
    let seen = found.unwrap_or(Err(ApiError::CacheUnavailable { cause: None }))?;
    let (owner, _) = record_of(&seen)?;
    let owners = [owner.clone()];
    let change = Change {
        owners: &owners,
        skus: &[],
        is_repeatable: true,
    };
    let book = HoldBook {
        state,
        tenant: meant.tenant,
        deadline,
    };
    // Not before somebody has looked whether it must go on.
    let time = state.settings.orders.hold.max(expire::AHEAD);
    let (view, outcome) = Box::pin(book.change(change, Some(seen), |seen, now| {
        judge(seen, settlement, time, now)
    }))
    .await?;
    if let Some(outcome) = outcome {
        metrics::hold(outcome);
    }
    Ok(view)
}

async fn find(state: &AppState, meant: Meant<'_>) -> Result<Seen, ApiError> {
    let records = names::find(state, meant.tenant, meant.channel, meant.owner).await?;
    Ok(Seen {
        records: vec![records],
        held: Vec::new(),
    })
}

fn record_of(seen: &Seen) -> Result<(&HoldOwner, Record), ApiError> {
    let text = seen.records.first();
    let text = text.ok_or(ApiError::CacheUnavailable { cause: None })?;
    let record = Record::of(text).ok_or_else(|| {
        let id = text.owner.id().to_string();
        match text.owner {
            HoldOwner::Order(_) => ApiError::OrderNotFound { id },
            HoldOwner::Reservation(_) | HoldOwner::Several(_) => {
                ApiError::ReservationNotFound { id }
            }
        }
    })?;
    Ok((&text.owner, record))
}

/// The record and what it holds from now on; what callers see of it, and the metrics' word for it.
///
/// The holds are made of the record's lines: what had ended by itself counts again once the ERP says
/// that the order was real after all.
fn judge(
    seen: &Seen,
    settlement: Settlement,
    time: Duration,
    now: AsOf,
) -> Result<Step<(OrderView, Option<&'static str>)>, ApiError> {
    let (owner, before) = record_of(seen)?;
    let mut record = before.clone();
    let outcome = match (settlement, before.state) {
        (Settlement::Confirmed(_), OrderState::Confirmed)
        | (Settlement::Released, OrderState::Released) => {
            return Ok(Step::Done((
                OrderView::of(owner, &before, &seen.held),
                None,
            )));
        }
        (Settlement::Confirmed(_), OrderState::Released)
        | (Settlement::Released, OrderState::Confirmed) => {
            let id = owner.id().to_string();
            return Err(ApiError::OrderSettled { id });
        }
        (Settlement::Confirmed(at), OrderState::Held) => {
            record.confirm(at, at.plus(time));
            "confirmed"
        }
        (Settlement::Released, OrderState::Held) => {
            record.release();
            "released"
        }
    };
    let own = record.holds(owner);
    let (mut changes, mut held_after) = (Vec::new(), Vec::new());
    for held in &seen.held {
        let Some(mut holds) = others(held, std::slice::from_ref(owner), now) else {
            continue;
        };
        let of_sku = own.iter().filter(|(sku, _)| *sku == held.sku);
        holds.extend(of_sku.map(|(_, hold)| hold.clone()));
        changes.push(held.becomes(holds.clone()));
        held_after.push(held.holding(holds));
    }
    let left = match (record.state, record.until()) {
        (OrderState::Held | OrderState::Confirmed, Some(until)) => now.age_at(until),
        _ => Duration::ZERO,
    };
    // A caller who gives an order up is shown what it was about.
    let mut shown = record.clone();
    if shown.state == OrderState::Released {
        shown = before;
        shown.state = OrderState::Released;
    }
    let view = OrderView::of(owner, &shown, &held_after);
    let text = &seen.records[0];
    Ok(Step::Swap {
        records: vec![text.becomes(record.text(), kept(owner, left))],
        held: changes,
        then: (view, Some(outcome)),
    })
}

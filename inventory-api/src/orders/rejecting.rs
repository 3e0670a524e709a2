//! Giving reserved stock back by product and quantity, without naming the reservation.
//!
//! The oldest reservations of the product in the warehouse give first, of those the asking channel
//! may know of. Orders never give: what was sold stays held until it is settled.

use super::others;
use super::placing::Asked;
use super::record::Record;
use crate::error::ApiError;
use crate::live_look_up::Deadline;
use crate::metrics;
use crate::state::AppState;
use shared::redis_store::{HeldSku, OrderText, StoreError};
use shared::stock::{AsOf, Hold, HoldOwner, Quantity, TenantId, WarehouseId};
use std::collections::BTreeSet;

/// Takes back at most what is asked of each SKU; gives back how much was released of each. All of it
/// is done in one step. An error after which it is not known whether the step was taken leaves the
/// caller to look: a rejection names no reservation, so one that is sent twice releases twice.
pub(super) async fn reject(
    state: &AppState,
    asked: Asked<'_>,
    deadline: &Deadline,
) -> Result<Vec<Quantity>, ApiError> {
    let unavailable = |cause| ApiError::CacheUnavailable { cause: Some(cause) };
    let tenant = &asked.scope.tenant.id;
    let rejecting = async {
        let _turn = state.turns.wait(tenant, asked.skus).await;
        loop {
            let reading = state.store.read_orders(tenant, &[], asked.skus);
            let (_, held) = reading.await.map_err(unavailable)?;
            let channel = asked.scope.channel.as_deref();
            let foreign = foreign(state, tenant, &held, channel);
            let foreign = foreign.await.map_err(unavailable)?;
            let now = state.clock.now();
            let (mut changes, mut all_released) = (Vec::new(), Vec::new());
            for (held, quantity) in held.iter().zip(asked.requested) {
                let Some(holds) = others(held, &[], now) else {
                    return Err(ApiError::CacheUnavailable { cause: None });
                };
                let warehouses = &asked.scope.warehouses;
                let (after, released) = without(holds, warehouses, &foreign, *quantity, now);
                if released.is_positive() {
                    changes.push(held.becomes(after));
                }
                all_released.push(released);
            }
            if changes.is_empty() {
                return Ok(all_released);
            }
            let left = deadline.left().unwrap_or_default();
            let swapping = state.store.swap_orders(tenant, &[], &changes, left);
            if swapping.await.map_err(unavailable)? {
                metrics::hold("rejected");
                return Ok(all_released);
            }
            metrics::hold("overtaken");
            tokio::task::yield_now().await;
        }
    };
    deadline
        .wait_for(rejecting)
        .await
        .unwrap_or(Err(ApiError::CacheUnavailable { cause: None }))
}

/// The reservations among these holds that are none of this channel's business.
async fn foreign(
    state: &AppState,
    tenant: &TenantId,
    held: &[HeldSku],
    channel: Option<&str>,
) -> Result<Vec<HoldOwner>, StoreError> {
    let Some(channel) = channel else {
        return Ok(Vec::new());
    };
    let holds = held.iter().filter_map(|held| held.holds.as_ref()).flatten();
    let owners: BTreeSet<HoldOwner> = holds
        .map(|hold| hold.owner.clone())
        .filter(|owner| matches!(owner, HoldOwner::Reservation(_)))
        .collect();
    let (unnamed, named): (Vec<_>, Vec<_>) = owners
        .into_iter()
        .partition(|owner| owner.id().channel().is_none());
    let is_of_others = |owner: &HoldOwner| {
        let of = owner.id().channel();
        of.is_some_and(|of| of.as_str() != channel)
    };
    let mut foreign: Vec<HoldOwner> = named.into_iter().filter(is_of_others).collect();
    if unnamed.is_empty() {
        return Ok(foreign);
    }
    // Through no channel, or from before ids were kept by channel: then the record says whose it is.
    let (records, _) = state.store.read_orders(tenant, &unnamed, &[]).await?;
    let is_foreign = |record: &&OrderText| {
        let text = record.text.as_deref();
        text.and_then(Record::read)
            .is_some_and(|record| record.channel.as_deref() != Some(channel))
    };
    let of_others = records.iter().filter(is_foreign);
    foreign.extend(of_others.map(|record| record.owner.clone()));
    Ok(foreign)
}

/// PURE: the holds that stay, and how much was released; those of `foreign` stay.
fn without(
    mut holds: Vec<Hold>,
    warehouses: &[WarehouseId],
    foreign: &[HoldOwner],
    quantity: Quantity,
    now: AsOf,
) -> (Vec<Hold>, Quantity) {
    let gives = |hold: &Hold| {
        matches!(hold.owner, HoldOwner::Reservation(_))
            && !foreign.contains(&hold.owner)
            && warehouses.contains(&hold.warehouse)
            && now < hold.until
    };
    let mut oldest_first: Vec<usize> = (0..holds.len()).filter(|at| gives(&holds[*at])).collect();
    oldest_first.sort_by_key(|at| holds[*at].placed);
    let mut wanted = quantity;
    for at in oldest_first {
        let taken = holds[at].quantity.min(wanted);
        let less = |from: Quantity| from.checked_sub(taken).unwrap_or_default();
        (holds[at].quantity, wanted) = (less(holds[at].quantity), less(wanted));
    }
    holds.retain(|hold| hold.quantity.is_positive());
    (holds, quantity.checked_sub(wanted).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::stock::HoldId;

    #[test]
    fn the_oldest_reservations_give_and_orders_never() {
        let at = |ms| AsOf::from_unix_ms(ms).unwrap();
        let place = |id: &str| WarehouseId::parse(id).unwrap();
        let hold =
            |owner: fn(HoldId) -> HoldOwner, id: &str, placed, quantity: i64, of: &str| Hold {
                owner: owner(HoldId::parse(id).unwrap()),
                warehouse: place(of),
                quantity: Quantity::from(quantity),
                placed: at(placed),
                until: at(1_000),
                confirmed: None,
            };
        let holds = vec![
            hold(HoldOwner::Reservation, "late", 30, 5, "11"),
            hold(HoldOwner::Order, "order", 1, 5, "11"),
            hold(HoldOwner::Reservation, "early", 10, 3, "11"),
            hold(HoldOwner::Reservation, "elsewhere", 1, 9, "24"),
        ];
        let (eleven, four) = ([place("11")], Quantity::from(4));
        let (after, released) = without(holds.clone(), &eleven, &[], four, at(50));
        assert_eq!(released, Quantity::from(4));
        let left: Vec<(&str, i64)> = after
            .iter()
            .map(|hold| {
                (
                    hold.owner.id().as_str(),
                    hold.quantity.as_integer().unwrap(),
                )
            })
            .collect();
        assert_eq!(left, [("late", 4), ("order", 5), ("elsewhere", 9)]);
        let late = HoldOwner::Reservation(HoldId::parse("late").unwrap());
        let (after, released) = without(holds.clone(), &eleven, &[late], four, at(50));
        assert_eq!((released, after.len()), (Quantity::from(3), 3));
        let (after, released) = without(holds, &eleven, &[], Quantity::from(100), at(50));
        assert_eq!(released, Quantity::from(8));
        assert_eq!(after.len(), 2);
    }
}

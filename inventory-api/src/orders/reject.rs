//! Giving reserved stock back by product and quantity, without naming the reservation.
//!
//! The oldest reservations of the product in the warehouse give first, of those the asking channel
//! may know of. Orders never give: what was sold stays held until it is settled.

use super::hold_book::{Change, HoldBook, Seen, Step, others};
use super::place::Asked;
use super::record::Record;
use crate::error::ApiError;
use crate::live::deadline::Deadline;
use crate::metrics;
use crate::state::AppState;
use shared::redis_store::OrderText;
use shared::stock::{AsOf, Hold, HoldOwner, Quantity, WarehouseId};
use std::collections::BTreeSet;

/// Takes back at most what is asked of each SKU; gives back how much was released of each. All of it
/// is done in one step. An error after which it is not known whether the step was taken leaves the
/// caller to look: a rejection names no reservation, so one that is sent twice releases twice.
pub(super) async fn reject(
    state: &AppState,
    asked: Asked<'_>,
    deadline: &Deadline,
) -> Result<Vec<Quantity>, ApiError> {
    let tenant = &asked.scope.tenant.id;
    let book = HoldBook {
        state,
        tenant,
        deadline,
    };
    let unavailable = |cause| ApiError::CacheUnavailable { cause: Some(cause) };
    let reading = state.store.read_orders(tenant, &[], asked.skus);
    let reading = deadline.wait_for(reading).await;
    let (_, held) = reading
        .ok_or(ApiError::CacheUnavailable { cause: None })?
        .map_err(unavailable)?;
    let holds = held.iter().filter_map(|held| held.holds.as_ref()).flatten();
    let owners = of_no_channel(holds, asked.scope.channel.as_deref());
    let change = Change {
        owners: &owners,
        skus: asked.skus,
        is_repeatable: false,
    };
    let (released, is_changed) =
        Box::pin(book.change(change, None, |seen, now| release(asked, seen, &owners, now))).await?;
    if is_changed {
        metrics::hold("rejected");
    }
    Ok(released)
}

/// The reservations among these holds of which only the record says whose they are: they came through
/// no channel, or were made before ids were kept by channel. None if the caller may know of all.
fn of_no_channel<'a>(
    holds: impl Iterator<Item = &'a Hold>,
    channel: Option<&str>,
) -> Vec<HoldOwner> {
    let owners = holds.map(|hold| &hold.owner).filter(|owner| {
        matches!(owner, HoldOwner::Reservation(_)) && owner.id().channel().is_none()
    });
    let owners: BTreeSet<&HoldOwner> = owners.filter(|_| channel.is_some()).collect();
    owners.into_iter().cloned().collect()
}

/// What is released of each SKU, and whether anything is.
fn release(
    asked: Asked<'_>,
    seen: &Seen,
    looked_up: &[HoldOwner],
    now: AsOf,
) -> Result<Step<(Vec<Quantity>, bool)>, ApiError> {
    let channel = asked.scope.channel.as_deref();
    let foreign = |text: &&OrderText| {
        let record = Record::of(text);
        record.is_some_and(|record| record.channel.as_deref() != channel)
    };
    let foreign = seen.records.iter().filter(foreign).map(|text| &text.owner);
    let foreign: Vec<&HoldOwner> = foreign.collect();
    let may_give = |owner: &HoldOwner| match (channel, owner.id().channel()) {
        (None, _) => true,
        (Some(channel), Some(of)) => of.as_str() == channel,
        // One that came meanwhile is nobody's to give before its record was read.
        (Some(_), None) => looked_up.contains(owner) && !foreign.contains(&owner),
    };
    let (mut held, mut all_released) = (Vec::new(), Vec::new());
    for (of_sku, quantity) in seen.held.iter().zip(asked.requested) {
        let Some(holds) = others(of_sku, &[], now) else {
            return Err(ApiError::CacheUnavailable { cause: None });
        };
        let (after, released) = without(holds, &asked.scope.warehouses, may_give, *quantity);
        if released.is_positive() {
            held.push(of_sku.becomes(after));
        }
        all_released.push(released);
    }
    if held.is_empty() {
        return Ok(Step::Done((all_released, false)));
    }
    Ok(Step::Swap {
        records: Vec::new(),
        held,
        then: (all_released, true),
    })
}

/// PURE: the holds that stay, and how much was released.
fn without(
    mut holds: Vec<Hold>,
    warehouses: &[WarehouseId],
    may_give: impl Fn(&HoldOwner) -> bool,
    quantity: Quantity,
) -> (Vec<Hold>, Quantity) {
    let gives = |hold: &&mut Hold| {
        matches!(hold.owner, HoldOwner::Reservation(_))
            && warehouses.contains(&hold.warehouse)
            && may_give(&hold.owner)
    };
    let mut wanted = quantity;
    let mut oldest_first: Vec<&mut Hold> = holds.iter_mut().filter(gives).collect();
    oldest_first.sort_by_key(|hold| hold.placed);
    for hold in oldest_first {
        let taken = hold.quantity.min(wanted);
        let less = |from: Quantity| from.checked_sub(taken).unwrap_or_default();
        (hold.quantity, wanted) = (less(hold.quantity), less(wanted));
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
        let hold = |owner: fn(HoldId) -> HoldOwner, id: &str, placed, quantity: i64, of| Hold {
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
        // Wanted, who may not give -> what is released, and what stays.
        for (wanted, foreign, released, stays) in [
            (4, "", 4, vec![("late", 4), ("order", 5), ("elsewhere", 9)]),
            (
                4,
                "late",
                3,
                vec![("late", 5), ("order", 5), ("elsewhere", 9)],
            ),
            (100, "", 8, vec![("order", 5), ("elsewhere", 9)]),
        ] {
            let may_give = |owner: &HoldOwner| owner.id().as_str() != foreign;
            let eleven = [place("11")];
            let (after, gave) = without(holds.clone(), &eleven, may_give, Quantity::from(wanted));
            assert_eq!(gave, Quantity::from(released));
            let left = after.iter().map(|hold| {
                let quantity = hold.quantity.as_integer().unwrap();
                (hold.owner.id().as_str(), quantity)
            });
            assert_eq!(left.collect::<Vec<_>>(), stays);
        }
    }
}

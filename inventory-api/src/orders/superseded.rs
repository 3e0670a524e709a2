//! Confirmed holds that the stored stock shows by now: they count for nobody any more, and would only
//! make the text of a SKU that sells well longer and longer.

use super::stored_stamps::StoredStamps;
use crate::state::AppState;
use shared::stock::{AsOf, Hold, Sku, TenantId, WarehouseId};
use std::time::Duration;

/// Confirmed holds of one SKU from which the stored lines are looked at.
const LOOKED_AT_FROM: usize = 30;
/// How long such a hold stays yet: questions under way may have begun with a number from before the
/// confirmation, and none of them takes as long as this.
const STAYS: Duration = Duration::from_mins(1);

/// Lets holds end in a minute that a stored line shows. What cannot be looked up stays as it is.
pub(super) async fn end_soon(
    state: &AppState,
    tenant: &TenantId,
    sku: &Sku,
    holds: &mut [Hold],
    now: AsOf,
) {
    let end = now.plus(STAYS);
    let candidates = holds.iter().filter(|hold| may_end(hold, end));
    if candidates.clone().count() < LOOKED_AT_FROM.min(state.settings.orders.holds_per_sku) {
        return;
    }
    let skus = std::slice::from_ref(sku);
    let Ok(stored) = StoredStamps::read(&state.store, tenant, skus, candidates).await else {
        return;
    };
    shorten(holds, |warehouse| stored.as_of(0, warehouse), end);
}

/// Whether a confirmed hold is about to end.
pub(super) fn ends_soon(hold: &Hold, now: AsOf) -> bool {
    hold.confirmed.is_some() && !may_end(hold, now.plus(STAYS))
}

fn may_end(hold: &Hold, end: AsOf) -> bool {
    hold.confirmed.is_some() && hold.until > end
}

/// PURE: holds whose confirmation is older than the stored number end here.
fn shorten(holds: &mut [Hold], as_of: impl Fn(&WarehouseId) -> Option<AsOf>, end: AsOf) {
    for hold in holds.iter_mut().filter(|hold| may_end(hold, end)) {
        if !hold.counts(as_of(&hold.warehouse), end) {
            hold.until = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::stock::{HoldId, HoldOwner, Quantity};

    #[test]
    fn only_what_a_stored_number_shows_ends_early() {
        let at = |ms| AsOf::from_unix_ms(ms).unwrap();
        let hold = |warehouse: &str, confirmed: Option<i64>, until| Hold {
            owner: HoldOwner::Order(HoldId::parse("o").unwrap()),
            warehouse: WarehouseId::parse(warehouse).unwrap(),
            quantity: Quantity::from(1),
            placed: at(1),
            until: at(until),
            confirmed: confirmed.map(at),
        };
        let mut holds = vec![
            hold("11", Some(100), 90_000),
            hold("11", Some(200), 90_000),
            hold("11", None, 90_000),
            hold("24", Some(100), 90_000),
            hold("11", Some(100), 50_000),
        ];
        let stored = |warehouse: &WarehouseId| (warehouse.as_str() == "11").then(|| at(200));
        shorten(&mut holds, stored, at(60_000));
        let ends: Vec<i64> = holds.iter().map(|hold| hold.until.unix_ms()).collect();
        assert_eq!(ends, [60_000, 90_000, 90_000, 90_000, 50_000]);
    }
}

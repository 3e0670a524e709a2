//! Holds whose time is over: most are taken out of Redis; a confirmed one whose order the stored
//! number does not show yet goes on. Those that it shows end early where a SKU has many.

use crate::state::AppState;
use shared::process::clock::Clock;
use shared::redis_store::{HeldSku, Reading, StockReader, StockStore, StoreError, StoredLine};
use shared::stock::{AsOf, Hold, TenantId, WarehouseId, still_held};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often they are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How long one step may take.
const STEP_LIMIT: Duration = Duration::from_secs(2);
/// A hold that is to go on is noticed before it ends, by two looks at least.
pub(super) const AHEAD: Duration = Duration::from_secs(75);
/// SKUs looked at in one step.
const AT_ONCE: usize = 200;
/// Steps of one look: what is left over is found by the next.
const MOST_STEPS: usize = 100;

/// Confirmed holds of one SKU from which those that a stored number shows end early: they count for
/// nobody any more, and would only make the text of a SKU that sells well longer.
const MANY: usize = 30;
/// How long such a hold stays yet: questions under way may have begun with a number from before the
/// confirmation, and none of them takes as long as this.
const STAYS: Duration = Duration::from_mins(1);

/// Looks after holds that end, until cancelled.
pub(crate) async fn keep_expiring(state: &AppState, stop: CancellationToken) {
    let (store, reader) = (&state.store, state.store.reader());
    loop {
        let directory = state.directory().clone();
        for tenant in directory.tenants() {
            let looking = look(store, &reader, &tenant.id, state.settings.orders.hold);
            if let Err(error) = looking.await {
                tracing::debug!(tenant.id = %tenant.id, %error, "holds that end were not looked after");
            }
        }
        if tokio::time::timeout(LOOK_EVERY, stop.cancelled())
            .await
            .is_ok()
        {
            return;
        }
    }
}

async fn look(
    store: &StockStore,
    reader: &StockReader,
    tenant: &TenantId,
    longer: Duration,
) -> Result<(), StoreError> {
    // Another clock's "now" may be past all ends.
    if !store.clock().is_shared() {
        return Ok(());
    }
    let mut left_as_they_are = 0;
    for _ in 0..MOST_STEPS {
        let now = store.clock().now();
        let page = (left_as_they_are, AT_ONCE);
        let skus = store.ending_holds(tenant, now.plus(AHEAD), page).await?;
        if skus.is_empty() {
            return Ok(());
        }
        let (_, held) = store.read_orders(tenant, &[], &skus).await?;
        let warehouses = of_confirmed(&held);
        let stored = if warehouses.is_empty() {
            Reading::default()
        } else {
            reader.read_lines(tenant, &warehouses, &skus).await?
        };
        for (at, held) in held.iter().enumerate() {
            // Without readable holds nothing is known about their ends: it is left for people to see.
            let Some(before) = &held.holds else {
                left_as_they_are += 1;
                continue;
            };
            let as_of = |warehouse: &WarehouseId| as_of(&stored, &warehouses, at, warehouse);
            let after = still_held(before, as_of, now, (AHEAD, longer));
            if after == *before {
                left_as_they_are += 1;
            } else {
                // Whoever was faster has changed it for a reason; the next look sees it.
                let change = [held.becomes(after)];
                store.swap_orders(tenant, &[], &change, STEP_LIMIT).await?;
            }
        }
    }
    Ok(())
}

/// The warehouses of confirmed holds.
fn of_confirmed(held: &[HeldSku]) -> Vec<WarehouseId> {
    let holds = held.iter().flat_map(|held| held.holds.iter().flatten());
    let confirmed = holds.filter(|hold| hold.confirmed.is_some());
    let warehouses: BTreeSet<&WarehouseId> = confirmed.map(|hold| &hold.warehouse).collect();
    warehouses.into_iter().cloned().collect()
}

/// As-of of the stored line of the SKU with this number, read in these warehouses; none without a
/// readable line.
pub(super) fn as_of(
    stored: &Reading,
    warehouses: &[WarehouseId],
    sku: usize,
    warehouse: &WarehouseId,
) -> Option<AsOf> {
    let at = warehouses.iter().position(|known| known == warehouse)?;
    match stored.of_sku(sku).get(at)? {
        StoredLine::Value(line) => Some(line.as_of),
        StoredLine::Missing | StoredLine::Unreadable => None,
    }
}

/// PURE: confirmed holds that a stored number shows end in a minute, if there are many confirmed ones; `most` is
/// how many holds a SKU may have.
pub(super) fn end_shown_soon(
    holds: &mut [Hold],
    as_of: impl Fn(&WarehouseId) -> Option<AsOf>,
    most: usize,
    now: AsOf,
) {
    let end = now.plus(STAYS);
    if holds.iter().filter(|hold| may_end(hold, end)).count() < MANY.min(most) {
        return;
    }
    for hold in holds.iter_mut().filter(|hold| may_end(hold, end)) {
        if !hold.counts(as_of(&hold.warehouse), end) {
            hold.until = end;
        }
    }
}

/// Whether a confirmed hold is about to end.
pub(super) fn ends_soon(hold: &Hold, now: AsOf) -> bool {
    hold.confirmed.is_some() && !may_end(hold, now.plus(STAYS))
}

fn may_end(hold: &Hold, end: AsOf) -> bool {
    hold.confirmed.is_some() && hold.until > end
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::settings::Layers;
    use shared::stock::{
        HoldId, HoldOwner, LineContent, LineValue, Origin, Quantities, Quantity, Sku, StockLine,
    };
    use test_redis::TestRedis;

    const LONGER: Duration = Duration::from_mins(30);

    struct TestBed {
        _redis: TestRedis,
        store: StockStore,
        tenant: TenantId,
    }

    fn place() -> WarehouseId {
        WarehouseId::parse("11").unwrap()
    }

    fn sku(number: usize) -> Sku {
        Sku::parse(format!("S-{number}")).unwrap()
    }

    impl TestBed {
        async fn build() -> Self {
            let redis = TestRedis::start().unwrap();
            let layers = Layers::default().flag("redis.url", Some(redis.url()));
            let store = StockStore::open(&layers.load().unwrap().redis).unwrap();
            store.clock().sample().await.unwrap();
            Self {
                _redis: redis,
                store,
                tenant: TenantId::parse("t").unwrap(),
            }
        }

        async fn hold(&self, sku: &Sku, until: AsOf, confirmed: Option<AsOf>) {
            let skus = std::slice::from_ref(sku);
            let read = self.store.read_orders(&self.tenant, &[], skus).await;
            let hold = Hold {
                owner: HoldOwner::Order(HoldId::parse("O-1").unwrap()),
                warehouse: place(),
                quantity: Quantity::from(1),
                placed: AsOf::EPOCH,
                until,
                confirmed,
            };
            let change = read.unwrap().1[0].becomes(vec![hold]);
            let swapped = (self.store)
                .swap_orders(&self.tenant, &[], &[change], STEP_LIMIT)
                .await;
            assert!(swapped.unwrap());
        }

        async fn stored(&self, sku: &Sku, as_of: AsOf) {
            let line = StockLine {
                sku: sku.clone(),
                warehouse: place(),
                value: LineValue {
                    content: LineContent::Quantities(Quantities::default()),
                    as_of,
                    origin: Origin::Live,
                },
            };
            self.store.apply(&self.tenant, &[line]).await.unwrap();
        }

        async fn look(&self) {
            let reader = self.store.reader();
            let looking = look(&self.store, &reader, &self.tenant, LONGER);
            looking.await.unwrap();
        }

        /// When the hold of a SKU ends, if there is one.
        async fn end(&self, sku: &Sku) -> Option<AsOf> {
            let skus = std::slice::from_ref(sku);
            let read = self.store.read_orders(&self.tenant, &[], skus).await;
            let holds = read.unwrap().1.remove(0).holds.unwrap();
            holds.first().map(|hold| hold.until)
        }
    }

    #[tokio::test]
    async fn ended_holds_leave_redis_however_many_and_those_that_are_to_stay_stay() {
        let bed = TestBed::build().await;
        let now = bed.store.clock().now();
        let soon = now.plus(Duration::from_secs(70));
        for number in 0..2 * AT_ONCE + 10 {
            // Every other one ends in a minute: it is looked at and left as it is.
            let until = if number % 2 == 0 { soon } else { now };
            bed.hold(&sku(number), until, None).await;
        }
        bed.look().await;
        for number in 0..2 * AT_ONCE + 10 {
            let expected = (number % 2 == 0).then_some(soon);
            assert_eq!(bed.end(&sku(number)).await, expected, "{number}");
        }
    }

    #[tokio::test]
    async fn a_confirmed_hold_outlasts_its_time_until_the_stored_number_is_younger() {
        let bed = TestBed::build().await;
        let now = bed.store.clock().now();
        let confirmed = now.minus(Duration::from_mins(10));
        bed.stored(&sku(1), confirmed).await;
        bed.hold(&sku(1), now, Some(confirmed)).await;
        bed.look().await;
        let end = bed.end(&sku(1)).await.unwrap();
        assert!(end >= now.plus(LONGER), "{end}");

        bed.stored(&sku(1), confirmed.plus(Duration::from_millis(1)))
            .await;
        bed.hold(&sku(1), now, Some(confirmed)).await;
        bed.look().await;
        assert_eq!(bed.end(&sku(1)).await, None);
    }

    #[test]
    fn only_what_a_stored_number_shows_ends_early_and_only_where_there_is_much_of_it() {
        let at = |ms| AsOf::from_unix_ms(ms).unwrap();
        let hold = |warehouse: &str, confirmed: Option<i64>, until| Hold {
            owner: HoldOwner::Order(HoldId::parse("o").unwrap()),
            warehouse: WarehouseId::parse(warehouse).unwrap(),
            quantity: Quantity::from(1),
            placed: at(1),
            until: at(until),
            confirmed: confirmed.map(at),
        };
        let holds = vec![
            hold("11", Some(100), 90_000),
            hold("11", Some(200), 90_000),
            hold("11", None, 90_000),
            hold("24", Some(100), 90_000),
            hold("11", Some(100), 50_000),
        ];
        let stored = |warehouse: &WarehouseId| (warehouse.as_str() == "11").then(|| at(200));
        let ends = |most| {
            let mut holds = holds.clone();
            end_shown_soon(&mut holds, stored, most, at(0));
            holds
                .iter()
                .map(|hold| hold.until.unix_ms())
                .collect::<Vec<_>>()
        };
        assert_eq!(ends(3), [60_000, 90_000, 90_000, 90_000, 50_000]);
        assert_eq!(ends(4), [90_000, 90_000, 90_000, 90_000, 50_000]);
    }
}

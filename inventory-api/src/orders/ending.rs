//! Holds whose time is over: most are taken out of Redis; a confirmed one whose order the stored
//! number does not show yet goes on.

use super::stored_stamps::StoredStamps;
use crate::state::AppState;
use shared::process::clock::Clock;
use shared::redis_store::{StockStore, StoreError};
use shared::stock::{TenantId, still_held};
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

/// Looks after holds that end, until cancelled.
pub(crate) async fn keep_ending(state: &AppState, stop: CancellationToken) {
    loop {
        let directory = state.directory().clone();
        for tenant in directory.tenants() {
            if let Err(error) = look(&state.store, &tenant.id, state.settings.orders.hold).await {
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

async fn look(store: &StockStore, tenant: &TenantId, longer: Duration) -> Result<(), StoreError> {
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
        let holds = held.iter().flat_map(|held| held.holds.iter().flatten());
        let confirmed = holds.filter(|hold| hold.confirmed.is_some());
        let stored = StoredStamps::read(store, tenant, &skus, confirmed).await?;
        for (at, held) in held.iter().enumerate() {
            // Without readable holds nothing is known about their ends: it is left for people to see.
            let Some(before) = &held.holds else {
                left_as_they_are += 1;
                continue;
            };
            let after = still_held(
                before,
                |place| stored.as_of(at, place),
                now,
                (AHEAD, longer),
            );
            if after == *before {
                left_as_they_are += 1;
            } else {
                // Whoever was faster has changed it for a reason; the next look sees it.
                let change = [held.becomes(after)];
                let changing = store.swap_orders(tenant, &[], &change, STEP_LIMIT);
                changing.await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::settings::Layers;
    use shared::stock::{
        AsOf, Hold, HoldId, HoldOwner, LineContent, LineValue, Origin, Quantities, Quantity, Sku,
        StockLine, WarehouseId,
    };
    use test_redis::TestRedis;

    const LONGER: Duration = Duration::from_mins(30);

    struct House {
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

    impl House {
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
            look(&self.store, &self.tenant, LONGER).await.unwrap();
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
        let house = House::build().await;
        let now = house.store.clock().now();
        let soon = now.plus(Duration::from_secs(70));
        for number in 0..2 * AT_ONCE + 10 {
            // Every other one ends in a minute: it is looked at and left as it is.
            let until = if number % 2 == 0 { soon } else { now };
            house.hold(&sku(number), until, None).await;
        }
        house.look().await;
        for number in 0..2 * AT_ONCE + 10 {
            let expected = (number % 2 == 0).then_some(soon);
            assert_eq!(house.end(&sku(number)).await, expected, "{number}");
        }
    }

    #[tokio::test]
    async fn a_confirmed_hold_outlasts_its_time_until_the_stored_number_is_younger() {
        let house = House::build().await;
        let now = house.store.clock().now();
        let confirmed = now.minus(Duration::from_mins(10));
        house.stored(&sku(1), confirmed).await;
        house.hold(&sku(1), now, Some(confirmed)).await;
        house.look().await;
        let end = house.end(&sku(1)).await.unwrap();
        assert!(end >= now.plus(LONGER), "{end}");

        house
            .stored(&sku(1), confirmed.plus(Duration::from_millis(1)))
            .await;
        house.hold(&sku(1), now, Some(confirmed)).await;
        house.look().await;
        assert_eq!(house.end(&sku(1)).await, None);
    }
}

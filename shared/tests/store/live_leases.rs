//! Leases on live questions.

use super::bench::{TENANT, sku};
use shared::redis_store::{LeaseTaken, LiveLease, StockStore};
use shared::settings::Layers;
use shared::stock::WarehouseId;
use std::time::Duration;
use test_redis::TestRedis;

#[tokio::test]
async fn a_lease_has_one_holder_until_it_is_released_or_ends() {
    let redis = TestRedis::start().unwrap();
    let layers = Layers::default().flag("redis.url", Some(redis.url()));
    let store = StockStore::open(&layers.load().unwrap().redis).unwrap();
    store.clock().sample().await.unwrap();
    let (reader, tenant) = (store.reader(), &*TENANT);
    let skus = [sku("A")];
    let places = |ids: &[&str]| -> Vec<WarehouseId> {
        ids.iter()
            .map(|id| WarehouseId::parse(*id).unwrap())
            .collect()
    };
    let now = store.clock().not_before_now();
    let ends = now.plus(Duration::from_mins(1));
    let lease = |ids: &[&str], ends| LiveLease::new(None, &places(ids), now, ends);
    let take = async |ids: &[&str], lease: &LiveLease| {
        let places = places(ids);
        let taking = reader.take_leases(tenant, &places, &skus, lease);
        taking.await.unwrap().0[0]
    };
    // Redis comes to this one when its time is over.
    let late = lease(&["11"], now.minus(Duration::from_mins(1)));
    assert_eq!(take(&["11"], &late).await, LeaseTaken::Own);

    let (first, second) = (lease(&["11"], ends), lease(&["11"], ends));
    assert_eq!(take(&["11"], &first).await, LeaseTaken::Own);
    assert_eq!(take(&["11"], &first).await, LeaseTaken::Own, "asked again");
    assert_eq!(
        take(&["11"], &second).await,
        LeaseTaken::Held { since: now }
    );
    let others = lease(&["11", "24"], ends);
    assert_eq!(
        take(&["11", "24"], &others).await,
        LeaseTaken::HeldForOthers
    );
    store.release_leases(tenant, &skus, &second).await.unwrap();
    assert_eq!(
        take(&["11"], &second).await,
        LeaseTaken::Held { since: now }
    );
    store.release_leases(tenant, &skus, &first).await.unwrap();
    assert_eq!(take(&["11"], &second).await, LeaseTaken::Own);
}

//! A Redis that answers nobody for five seconds and then comes to everything that was asked of it.

use crate::house::{House, world};
use futures_util::future::join_all;
use integration_tests::stopwatch::Stopwatch;
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

const FROZEN: Duration = Duration::from_secs(5);
/// Six questions a second, as many orders, from a second before to five seconds after.
const EVERY: Duration = Duration::from_millis(166);
const QUESTIONS: u32 = 66;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_after_redis_was_frozen_nobody_is_refused() {
    let house = House::with(world(400), &["24"]).await;
    house.snapshot().await;
    let (_service, api) = house.api().await;
    let mut redis = house.redis.connection().await.unwrap();
    let watch = Stopwatch::start();
    let asked = (0..QUESTIONS).map(async |number| {
        let at = EVERY * number;
        sleep(at.saturating_sub(watch.elapsed())).await;
        let sku = format!("D{:04}", number + 1);
        let order = json!({ "warehouseId": "24", "orderId": format!("O-{number}"), "commit": true,
                            "products": [{ "sku": sku, "quantity": 1 }] });
        let skus = [sku.as_str()];
        let checks = "/inventory/v1/availability-checks";
        let (exact, order) = futures_util::join!(api.exact("24", &skus), api.post(checks, &order));
        (at, [exact.unwrap(), order.unwrap()])
    });
    let freezing = async {
        sleep(Duration::from_secs(1)).await;
        let mut pause = redis::cmd("CLIENT");
        pause
            .arg("PAUSE")
            .arg(u64::try_from(FROZEN.as_millis()).unwrap());
        pause.arg("ALL").exec_async(&mut redis).await.unwrap();
        watch.elapsed() + FROZEN
    };
    let (replies, goes_on) = futures_util::join!(join_all(asked), freezing);
    let mut after = 0;
    for (at, replies) in replies {
        if at < goes_on + Duration::from_secs(1) {
            continue;
        }
        for reply in replies {
            after += 1;
            assert_eq!(reply.status, 200, "{}", reply.text);
            assert_ne!(reply.json["order"]["hold"], "not-stored", "{}", reply.text);
        }
    }
    assert!(after > 20, "{after}");
}

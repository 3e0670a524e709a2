//! A Redis that answers nobody for five seconds and then comes to everything that was asked of it.

use futures_util::future::try_join_all;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::test_bed::{Failure, TestBed, world};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

const FROZEN: Duration = Duration::from_secs(5);
/// Six questions a second, as many orders, from a second before to five seconds after.
const EVERY: Duration = Duration::from_millis(166);
const QUESTIONS: u32 = 66;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_after_redis_was_frozen_nobody_is_refused() -> Result<(), Failure> {
    let bed = TestBed::start(world(400), &["24"]).await?;
    bed.snapshot().await?;
    let (_service, api) = bed.api().await?;
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
        Ok::<_, Failure>((at, [exact?, order?]))
    });
    let freezing = async {
        sleep(Duration::from_secs(1)).await;
        let time = FROZEN.as_millis().to_string();
        let () = bed.redis(&["CLIENT", "PAUSE", &time, "ALL"]).await?;
        Ok(watch.elapsed() + FROZEN)
    };
    let (replies, goes_on) = futures_util::try_join!(try_join_all(asked), freezing)?;
    let mut after = 0;
    let late_ones = replies
        .iter()
        .filter(|(at, _)| *at >= goes_on + Duration::from_secs(1));
    for reply in late_ones.flat_map(|(_, replies)| replies) {
        after += 1;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_ne!(reply.json["order"]["hold"], "not-stored", "{}", reply.text);
    }
    assert!(after > 20, "{after}");
    Ok(())
}

//! A connection that somebody on the way has forgotten is no failure, to D365 or to Redis.

use d365_simulator::{Action, DelayPoint, FaultSpec, Kind};
use futures_util::future::try_join_all;
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::tcp_proxy::{Forgotten, TcpProxy};
use integration_tests::test_bed::{Failure, TestBed, proxy_before, world};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longer than a connection to Redis may be quiet before it is tried by a PING.
const QUIET: Duration = Duration::from_millis(400);
const SKUS: [&str; 6] = ["KEPT-1", "KEPT-2", "KEPT-3", "KEPT-4", "KEPT-5", "KEPT-6"];

/// An EXACT question for each SKU, all under way at once and each alone.
async fn exact_side_by_side(api: &ApiClient) -> reqwest::Result<Vec<Reply>> {
    let questions = SKUS.iter().zip(0..).map(async |(sku, number)| {
        tokio::time::sleep(Duration::from_millis(20 * number)).await;
        api.exact("24", &[sku]).await
    });
    try_join_all(questions).await
}

/// Questions that met a forgotten connection.
fn met(proxy: &TcpProxy) -> u64 {
    proxy.counters().forgotten.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_that_connections_were_forgotten_on_the_way() -> Result<(), Failure> {
    let mut d365 = world(20);
    let (to_d365, d365_url) = proxy_before(&mut d365).await?;
    let redis = RedisFixture::start().await?;
    let to_redis = TcpProxy::before(([127, 0, 0, 1], redis.port()).into()).await?;
    let bed = TestBed::on(redis, d365, &["24"], |config| {
        config.d365_url = d365_url;
        config.redis_url = format!("redis://{}", to_redis.address());
    })?;
    for sku in SKUS {
        bed.put(sku, "24", "40")?;
    }
    bed.snapshot().await?;
    let slow = Action::Delay {
        ms: 250,
        at: DelayPoint::BeforeRead,
    };
    bed.d365().add_fault(FaultSpec::on(Kind::Lookup, slow));
    for fate in [Forgotten::ClosedWhenAsked, Forgotten::Silent] {
        let (_service, api) = bed.api().await?;
        // Connections of both kinds lie idle afterwards: what is in use nobody on the way forgets.
        exact_side_by_side(&api).await?;
        tokio::time::sleep(QUIET).await;
        let before = (met(&to_d365), met(&to_redis));
        to_d365.forget(fate);
        to_redis.forget(fate);
        let order = json!({
            "warehouseId": "24", "orderId": format!("{fate:?}"), "commit": true,
            "products": [{"sku": "KEPT-1", "quantity": 1}],
        });
        let watch = Stopwatch::start();
        let (browsed, exact, ordered) = futures_util::join!(
            async { (api.fast("24", &SKUS).await, watch.elapsed()) },
            exact_side_by_side(&api),
            api.post("/inventory/v1/availability-checks", &order)
        );
        let (browsed, took) = (browsed.0?, browsed.1);
        assert_eq!(browsed.status, 200, "{fate:?}: {}", browsed.text);
        assert!(took < Duration::from_millis(500), "{took:?}");
        for reply in exact? {
            assert_eq!(reply.status, 200, "{fate:?}: {}", reply.text);
            assert_eq!(reply.json["data"][0]["source"], "LIVE", "{}", reply.text);
        }
        let ordered = ordered?;
        assert_eq!(ordered.status, 200, "{fate:?}: {}", ordered.text);
        assert_eq!(ordered.json["data"][0]["basis"], "live", "{}", ordered.text);
        assert_eq!(ordered.json["order"]["hold"], "held", "{}", ordered.text);
        assert!(met(&to_d365) > before.0, "{fate:?}: none to D365");
        assert!(met(&to_redis) > before.1, "{fate:?}: none to Redis");
    }
    Ok(())
}

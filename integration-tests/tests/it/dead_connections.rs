//! A connection that somebody on the way has forgotten is no failure, to D365 or to Redis.

use crate::house::{House, world};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, StockChange, StockKey};
use futures_util::future::join_all;
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::free_port::free_port;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::tcp_proxy::{Forgotten, TcpProxy};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SKUS: [&str; 6] = ["KEPT-1", "KEPT-2", "KEPT-3", "KEPT-4", "KEPT-5", "KEPT-6"];

struct Between {
    house: House,
    d365: TcpProxy,
    redis: TcpProxy,
}

impl Between {
    async fn build() -> Self {
        let mut d365 = world(20);
        d365.listen = ([127, 0, 0, 1], free_port().unwrap()).into();
        let to_d365 = TcpProxy::before(d365.listen).await.unwrap();
        let d365_url = format!("http://{}", to_d365.address());
        d365.audiences.push(d365_url.clone());
        let mut house = House::with(d365, &["24"]).await;
        let redis = ([127, 0, 0, 1], house.redis.port()).into();
        let to_redis = TcpProxy::before(redis).await.unwrap();
        for sku in SKUS {
            let key = StockKey::of("usmf", sku, "24");
            let stock = StockChange::on_hand("40");
            house.d365().put_stock(&key, &stock).unwrap();
        }
        house.reconfigure(|config| {
            config.d365_url = d365_url;
            config.redis_url = format!("redis://{}", to_redis.address());
        });
        house.snapshot().await;
        Self {
            house,
            d365: to_d365,
            redis: to_redis,
        }
    }

    fn forget(&self, fate: Forgotten) {
        self.d365.forget(fate);
        self.redis.forget(fate);
    }

    /// Questions that met a forgotten connection, to D365 and to Redis.
    fn met(&self) -> [u64; 2] {
        [&self.d365, &self.redis].map(|proxy| proxy.counters().forgotten.load(Ordering::Relaxed))
    }
}

/// An EXACT question for each SKU, all under way at once and each alone.
async fn exact_side_by_side(api: &ApiClient) -> Vec<Reply> {
    let questions = SKUS.iter().zip(0..).map(async |(sku, number)| {
        tokio::time::sleep(Duration::from_millis(20 * number)).await;
        api.exact("24", &[sku]).await.unwrap()
    });
    join_all(questions).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_that_connections_were_forgotten_on_the_way() {
    let between = Between::build().await;
    let slow = Action::Delay {
        ms: 250,
        at: DelayPoint::BeforeRead,
    };
    between
        .house
        .d365()
        .add_fault(FaultSpec::on(Kind::Lookup, slow));
    for fate in [Forgotten::ClosedWhenAsked, Forgotten::Silent] {
        let (_service, api) = between.house.api().await;
        // Connections of both kinds lie idle afterwards.
        exact_side_by_side(&api).await;
        let before = between.met();
        between.forget(fate);
        let order = json!({
            "warehouseId": "24", "orderId": format!("{fate:?}"), "commit": true,
            "products": [{"sku": "KEPT-1", "quantity": 1}],
        });
        let watch = Stopwatch::start();
        let (browsed, exact, ordered) = futures_util::join!(
            async {
                let reply = api.fast("24", &SKUS).await.unwrap();
                (reply, watch.elapsed())
            },
            exact_side_by_side(&api),
            api.post("/inventory/v1/availability-checks", &order)
        );
        let (browsed, browsed_after) = browsed;
        assert_eq!(browsed.status, 200, "{fate:?}: {}", browsed.text);
        assert!(
            browsed_after < Duration::from_millis(500),
            "{browsed_after:?}"
        );
        for (sku, reply) in SKUS.iter().zip(&exact) {
            assert_eq!(reply.status, 200, "{fate:?} {sku}: {}", reply.text);
            assert_eq!(reply.line(sku).unwrap()["source"], "LIVE", "{}", reply.text);
        }
        let ordered = ordered.unwrap();
        assert_eq!(ordered.status, 200, "{fate:?}: {}", ordered.text);
        let line = ordered.line("KEPT-1").unwrap();
        assert_eq!(line["basis"], "live", "{}", ordered.text);
        assert_eq!(ordered.json["order"]["hold"], "held", "{}", ordered.text);
        let after = between.met();
        assert!(after[0] > before[0], "{fate:?}: no question to D365 met it");
        assert!(
            after[1] > before[1],
            "{fate:?}: no question to Redis met it"
        );
    }
}

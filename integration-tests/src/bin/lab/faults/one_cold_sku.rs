//! Everybody orders the same product at once.

use super::outcome::Outcome;
use super::scale::{Scale, WAREHOUSES};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, UtcMillis};
use futures_util::future::join_all;
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::eventually::eventually;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::test_bed::{Failure, TestBed, spans};
use serde_json::json;
use std::time::Duration;

/// At once, and those that come when D365 has read what it will say to the first of them.
const ORDERS: usize = 800;
const LATE_ORDERS: usize = 200;
const DEADLINE: Duration = Duration::from_millis(2_500);
/// Time between D365's reading of the rows and its answer.
const HELD_MS: u64 = 400;
/// None of the catalogue: its stock is what is put here.
const ITEM: &str = "RUSH-1";
/// So much that no order changes what is offered in a way that matters.
const STOCK_BEFORE: &str = "100000";
const STOCK_AFTER: &str = "900000";
/// Between the two.
const IS_AFTER: f64 = 500_000.0;

/// An order and its reply.
struct Ordered {
    asked: UtcMillis,
    is_late: bool,
    reply: reqwest::Result<Reply>,
    took: Duration,
}

/// Orders at once, half of them from each replica.
async fn order_all(
    bed: &TestBed,
    replicas: [&ApiClient; 2],
    count: usize,
    is_late: bool,
) -> Vec<Ordered> {
    let order = json!({
        "warehouseId": WAREHOUSES[0], "timeoutMs": DEADLINE.as_millis(),
        "products": [{ "sku": ITEM, "quantity": 1 }]
    });
    let orders = (0..count).map(|number| {
        let (api, order) = (replicas[number % 2], &order);
        async move {
            let (asked, watch) = (bed.d365().now(), Stopwatch::start());
            let reply = api.post("/inventory/v1/availability-checks", order).await;
            Ordered {
                asked,
                is_late,
                reply,
                took: watch.elapsed(),
            }
        }
    });
    join_all(orders).await
}

/// Once D365 has read the rows for the first orders and holds them back, other stock is true: an order
/// from then on that gets the old one was answered with what was read before it.
async fn order_late(
    bed: &TestBed,
    replicas: [&ApiClient; 2],
    since: u64,
) -> Result<Vec<Ordered>, Failure> {
    eventually("a held answer", async || {
        let calls = bed.requests(Kind::Lookup, since);
        let mut held = calls.iter().filter(|call| call.answered.is_none());
        held.any(|call| call.status == Some(200)).then_some(())
    })
    .await?;
    bed.put(ITEM, WAREHOUSES[0], STOCK_AFTER)?;
    Ok(order_all(bed, replicas, LATE_ORDERS, true).await)
}

pub(super) async fn ordered_at_once(scale: Scale) -> Result<Outcome, Failure> {
    let scale = scale.every(Duration::from_mins(30));
    let bed = scale.bed(scale.world(0), "", |_| {}).await?;
    bed.put(ITEM, WAREHOUSES[0], STOCK_BEFORE)?;
    let (mut first, one) = bed.api().await?;
    let (mut second, other) = bed.api().await?;
    let items = bed.items(WAREHOUSES[0])?;
    // A token each; the product itself stays cold.
    for api in [&one, &other] {
        api.exact(WAREHOUSES[0], &[items[1].as_str()]).await?;
    }
    let before = bed.last_request();
    let held = Action::Delay {
        ms: HELD_MS,
        at: DelayPoint::AfterRead,
    };
    bed.d365().add_fault(FaultSpec::on(Kind::Lookup, held));
    let replicas = [&one, &other];
    let (mut orders, late_orders) = futures_util::join!(
        order_all(&bed, replicas, ORDERS, false),
        order_late(&bed, replicas, before)
    );
    orders.extend(late_orders?);
    let (mut live, mut late_live, mut too_early, mut unanswered) = (0_u64, 0_u64, 0_u64, 0_u64);
    for order in &orders {
        let answer = match &order.reply {
            Ok(reply) if reply.status.is_success() => &reply.json["data"][0],
            _ => {
                unanswered += 1;
                continue;
            }
        };
        let is_live = answer["source"] == "LIVE";
        live += u64::from(is_live);
        late_live += u64::from(order.is_late && is_live);
        let as_of = answer["asOf"].as_str().and_then(UtcMillis::parse);
        // Redis' clock and the simulator's are the machine's; a millisecond is rounding.
        let says_earlier =
            as_of.is_none_or(|as_of| as_of.unix_millis() + 1 < order.asked.unix_millis());
        // Whatever it says of its age, this is what was read before.
        let stock = answer["availableStock"].as_f64();
        let is_earlier = order.is_late && stock.is_none_or(|stock| stock < IS_AFTER);
        too_early += u64::from(says_earlier || is_earlier);
    }
    let calls = bed.requests(Kind::Lookup, before);
    let mut outcome = Outcome::default();
    outcome.count_at_most("D365 calls", calls.len() as u64, 3);
    outcome.none("answers from before their order", too_early);
    outcome.none("orders without a live answer", unanswered);
    let slowest = orders.iter().map(|order| order.took).max();
    outcome.within(
        "slowest reply",
        slowest,
        DEADLINE + Duration::from_millis(50),
    );
    let asked = spans(&calls);
    let what = format!("orders answered live by 2 replicas, D365 asked at {asked} ms");
    outcome.happened(&what, live);
    outcome.happened("of them came while an earlier answer was held", late_live);
    first.stop().await?;
    second.stop().await?;
    Ok(outcome)
}

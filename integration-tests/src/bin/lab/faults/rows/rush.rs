//! Everybody orders the same product at once.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, WAREHOUSES};
use d365_simulator::{
    Action, DelayPoint, FaultSpec, Kind, RequestRecord, StockChange, StockKey, UtcMillis,
};
use futures_util::future::join_all;
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::stopwatch::Stopwatch;
use serde_json::json;
use std::time::Duration;

/// At once, and those that come when D365 has read what it will say to the first of them.
const ORDERS: usize = 800;
const LATE_ORDERS: usize = 200;
const DEADLINE_MS: u32 = 2_500;
/// Time between D365's reading of the rows and its answer.
const HELD_MS: u64 = 400;
/// None of the catalogue: its stock is what is put here.
const ITEM: &str = "RUSH-1";
/// So much that no order changes what is offered in a way that matters.
const STOCK_BEFORE: &str = "100000";
const STOCK_AFTER: &str = "900000";
/// Between the two.
const IS_AFTER: f64 = 500_000.0;

/// An order and what it was told.
struct Ordered {
    asked: UtcMillis,
    is_late: bool,
    reply: reqwest::Result<Reply>,
    took: Duration,
}

fn put_stock(stage: &Stage, quantity: &str) -> Result<(), RowError> {
    let key = StockKey::of("usmf", ITEM, WAREHOUSES[0]);
    stage
        .d365()
        .put_stock(&key, &StockChange::on_hand(quantity))?;
    Ok(())
}

fn look_ups(stage: &Stage, since: u64) -> Vec<RequestRecord> {
    let mut requests = stage.d365().requests(since);
    requests.retain(|request| request.kind == Kind::Lookup);
    requests
}

/// Orders at once, half of them from each replica.
async fn order_all(
    stage: &Stage,
    replicas: [&ApiClient; 2],
    count: usize,
    is_late: bool,
) -> Vec<Ordered> {
    let order = json!({
        "warehouseId": WAREHOUSES[0], "timeoutMs": DEADLINE_MS,
        "products": [{ "sku": ITEM, "quantity": 1 }]
    });
    let orders = (0..count).map(|number| {
        let (api, order) = (replicas[number % 2], &order);
        let d365 = stage.d365();
        async move {
            let (asked, watch) = (d365.now(), Stopwatch::start());
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

/// Once D365 has read the rows for the first orders and holds them back, other stock is true: whoever
/// orders from then on and is told the old one was told what was read before the order.
async fn order_late(
    stage: &Stage,
    replicas: [&ApiClient; 2],
    since: u64,
) -> Result<Vec<Ordered>, RowError> {
    stage
        .within(Duration::from_secs(10), "a held answer", async || {
            let is_held =
                |call: &RequestRecord| call.status == Some(200) && call.answered.is_none();
            look_ups(stage, since).iter().any(is_held).then_some(())
        })
        .await?;
    put_stock(stage, STOCK_AFTER)?;
    Ok(order_all(stage, replicas, LATE_ORDERS, true).await)
}

pub(super) async fn one_cold_sku(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_mins(30);
    let stage = rig.stage(rig.world(), "").await?;
    put_stock(&stage, STOCK_BEFORE)?;
    let (mut first, one) = stage.api().await?;
    let (mut second, other) = stage.api().await?;
    let items = stage.items(WAREHOUSES[0])?;
    // A token each; the product of the rush stays cold.
    for api in [&one, &other] {
        api.exact(WAREHOUSES[0], &[items[1].as_str()]).await?;
    }
    let before = stage.last_request();
    let held = Action::Delay {
        ms: HELD_MS,
        at: DelayPoint::AfterRead,
    };
    stage.d365().add_fault(FaultSpec::on(Kind::Lookup, held));
    let replicas = [&one, &other];
    let (mut orders, late_orders) = futures_util::join!(
        order_all(&stage, replicas, ORDERS, false),
        order_late(&stage, replicas, before)
    );
    orders.extend(late_orders?);
    let mut outcome = Outcome::default();
    let (mut live, mut late_live) = (0_u64, 0_u64);
    let (mut too_early, mut unanswered) = (0_u64, 0_u64);
    let mut slowest = Duration::ZERO;
    for order in orders {
        slowest = slowest.max(order.took);
        let told = match &order.reply {
            Ok(reply) if reply.status.is_success() => &reply.json["data"][0],
            _ => {
                unanswered += 1;
                continue;
            }
        };
        let as_of = told["asOf"].as_str().and_then(UtcMillis::parse);
        live += u64::from(told["source"] == "LIVE");
        late_live += u64::from(order.is_late && told["source"] == "LIVE");
        // Redis' clock and the simulator's are the machine's; a millisecond is rounding.
        let says_earlier =
            as_of.is_none_or(|as_of| as_of.unix_millis() + 1 < order.asked.unix_millis());
        // Whatever it says of its age, this is what was read before.
        let stock = told["availableStock"].as_f64();
        let is_earlier = order.is_late && stock.is_none_or(|stock| stock < IS_AFTER);
        too_early += u64::from(says_earlier || is_earlier);
    }
    let calls = look_ups(&stage, before);
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    outcome.at_most("D365 calls", calls.len() as f64, 3.0, "");
    outcome.none("answers from before their order", too_early);
    outcome.none("orders without a live answer", unanswered);
    let limit = f64::from(DEADLINE_MS) + 50.0;
    outcome.at_most(
        "slowest reply",
        slowest.as_secs_f64() * 1_000.0,
        limit,
        " ms",
    );
    let began = calls.first().map_or(0, |call| call.started.unix_millis());
    let spans: Vec<String> = calls
        .iter()
        .map(|call| {
            let end = call.answered.map_or(0, UtcMillis::unix_millis);
            format!("{}-{}", call.started.unix_millis() - began, end - began)
        })
        .collect();
    let told = format!(
        "orders answered live by 2 replicas, D365 asked at {} ms",
        spans.join(", ")
    );
    outcome.happened(&told, live);
    outcome.happened("of them came while an earlier answer was held", late_live);
    first.stop().await?;
    second.stop().await?;
    Ok(outcome)
}

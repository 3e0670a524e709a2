//! Everybody orders the same product at once.

use crate::outcome::{Outcome, RowError};
use crate::stage::{Rig, WAREHOUSES};
use d365_simulator::{Kind, UtcMillis};
use integration_tests::stopwatch::Stopwatch;
use serde_json::json;
use std::time::Duration;

const ORDERS: usize = 1_000;
const DEADLINE_MS: u32 = 2_500;

pub(super) async fn one_cold_sku(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_mins(30);
    let mut d365 = rig.world();
    d365.load.base_ms = 250;
    let stage = rig.stage(d365, "").await?;
    let (mut first, one) = stage.api().await?;
    let (mut second, other) = stage.api().await?;
    let items = stage.items(WAREHOUSES[0])?;
    // A token each; the product of the rush stays cold.
    for api in [&one, &other] {
        api.exact(WAREHOUSES[0], &[items[1].as_str()]).await?;
    }
    let before = stage.last_request();
    let order = json!({
        "warehouseId": WAREHOUSES[0], "timeoutMs": DEADLINE_MS,
        "products": [{ "sku": items[0], "quantity": 1 }]
    });
    let orders = (0..ORDERS).map(|number| {
        let (api, order) = (if number % 2 == 0 { &one } else { &other }, &order);
        let d365 = stage.d365();
        async move {
            let (asked, watch) = (d365.now(), Stopwatch::start());
            let reply = api.post("/inventory/v1/availability-checks", order).await;
            (asked, reply, watch.elapsed())
        }
    });
    let replies = futures_util::future::join_all(orders).await;
    let mut outcome = Outcome::default();
    let (mut live, mut too_early, mut unanswered) = (0_u64, 0_u64, 0_u64);
    let mut slowest = Duration::ZERO;
    for (asked, reply, took) in replies {
        slowest = slowest.max(took);
        let told = match &reply {
            Ok(reply) if reply.status.is_success() => &reply.json["data"][0],
            _ => {
                unanswered += 1;
                continue;
            }
        };
        let as_of = told["asOf"].as_str().and_then(UtcMillis::parse);
        live += u64::from(told["source"] == "LIVE");
        // Redis' clock and the simulator's are the machine's; a millisecond is rounding.
        too_early +=
            u64::from(as_of.is_none_or(|as_of| as_of.unix_millis() + 1 < asked.unix_millis()));
    }
    let mut calls = stage.d365().requests(before);
    calls.retain(|call| call.kind == Kind::Lookup);
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
    first.stop().await?;
    second.stop().await?;
    Ok(outcome)
}

//! Browsing and ordering side by side, and how both went.

use crate::faults::outcome::Outcome;
use crate::faults::stage::WAREHOUSES;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::open_loop::Browsed;
use integration_tests::stopwatch::Stopwatch;
use serde_json::json;
use std::time::Duration;

/// Orders a second beside the browsing.
pub(super) const ORDERS_EVERY: Duration = Duration::from_millis(200);
/// A channel for each policy.
pub(super) const CHANNELS: &str = r#"
[[channels]]
id = "strict"
tenant = "contoso"

[[channels]]
id = "lenient"
tenant = "contoso"
live_failure = { policy = "accept-if-fresh", max_age = "1h", buffer = "1" }

[[channels]]
id = "trusting"
tenant = "contoso"
live_failure = { policy = "accept" }
"#;
/// Channel and what it says without D365.
const POLICIES: [(&str, &str); 3] = [
    ("strict", "reject"),
    ("lenient", "accept-if-fresh"),
    ("trusting", "accept"),
];

/// What orders were told.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Replies without the policy that was in force, or without any.
    undeclared: u64,
    /// Lines called live.
    pub(super) called_live: u64,
    pub(super) latencies_ms: Vec<f64>,
}

impl Orders {
    /// Orders every fifth of a second until `until` is over, each from another channel.
    pub(super) async fn place(
        api: &ApiClient,
        items: &[String],
        deadline_ms: u32,
        until: impl Future<Output = ()>,
    ) -> Self {
        let mut orders = Self::default();
        let mut ticks = tokio::time::interval(ORDERS_EVERY);
        let mut until = std::pin::pin!(until);
        let mut replies = FuturesUnordered::new();
        let mut number = 0_usize;
        loop {
            tokio::select! {
                biased;
                () = &mut until => break,
                Some(reply) = replies.next() => {
                    orders.note(reply);
                    continue;
                }
                _tick = ticks.tick() => number += 1,
            }
            let (channel, policy) = POLICIES[number % POLICIES.len()];
            let order = json!({
                "channel": channel, "warehouseId": WAREHOUSES[number % 2],
                "timeoutMs": deadline_ms,
                "products": [{ "sku": items[number * 7 % items.len()], "quantity": 1 }]
            });
            let api = api.clone();
            replies.push(async move {
                let watch = Stopwatch::start();
                let reply = api.post("/inventory/v1/availability-checks", &order).await;
                (reply, policy, watch.elapsed())
            });
        }
        while let Some(reply) = replies.next().await {
            orders.note(reply);
        }
        orders
    }

    fn and(mut self, other: &Self) -> Self {
        self.undeclared += other.undeclared;
        self.called_live += other.called_live;
        self.latencies_ms.extend_from_slice(&other.latencies_ms);
        self
    }

    fn note(&mut self, (reply, policy, took): (reqwest::Result<Reply>, &str, Duration)) {
        self.latencies_ms.push(ms(took));
        let Ok(reply) = reply else {
            self.undeclared += 1;
            return;
        };
        let told = if reply.status.is_success() {
            &reply.json["policy"]
        } else {
            &reply.json["errors"][0]["parameters"]["policy"]
        };
        let is_live = reply.json["data"][0]["source"] == "LIVE";
        self.undeclared += u64::from(told != policy && !is_live);
        self.called_live += u64::from(is_live);
    }
}

/// What browsing and ordering side by side got.
pub(super) struct Shopped {
    pub(super) browsed: Browsed,
    pub(super) orders: Orders,
    /// Connections to D365, the most at once.
    pub(super) most_open: u64,
}

impl Shopped {
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.browsed
            .latencies_us
            .extend_from_slice(&other.browsed.latencies_us);
        self.browsed.latencies_us.sort_unstable();
        self.browsed.failed += other.browsed.failed;
        Self {
            browsed: self.browsed,
            orders: self.orders.and(&other.orders),
            most_open: self.most_open.max(other.most_open),
        }
    }
}

pub(super) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The p99 of browsing in each of several calm windows.
#[derive(Default)]
pub(super) struct Calm(Vec<f64>);

impl Calm {
    pub(super) fn add(&mut self, browsed: &Browsed) {
        self.0.push(ms(browsed.quantile(0.99)));
    }

    /// Browsing during a fault: at most a tenth above the slowest calm window. How far the windows
    /// lie apart is the machine's own mood.
    pub(super) fn against(&self, what: &str, during: &Browsed, outcome: &mut Outcome) {
        let windows: Vec<String> = self.0.iter().map(|p99| format!("{p99:.2}")).collect();
        let name = format!("browse p99 {what}, calm {} ms:", windows.join("/"));
        let slowest = self.0.iter().copied().fold(0.0, f64::max);
        let p99 = ms(during.quantile(0.99));
        outcome.at_most(&name, p99, slowest * 1.1, " ms");
        outcome.none("browse errors", during.failed);
    }
}

/// Orders during a fault: in time, by their policy, and none called live.
pub(super) fn ordering(outcome: &mut Outcome, what: &str, orders: &Orders, deadline_ms: u32) {
    let limit = f64::from(deadline_ms) + 50.0;
    let name = format!("slowest order reply {what}");
    let slowest = orders.latencies_ms.iter().copied().fold(0.0, f64::max);
    outcome.at_most(&name, slowest, limit, " ms");
    outcome.none("orders without their policy", orders.undeclared);
    outcome.none("orders called live", orders.called_live);
}

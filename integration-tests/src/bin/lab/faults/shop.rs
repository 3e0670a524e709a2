//! Browsing and ordering side by side, and how both went.

use super::outcome::{Outcome, ms};
use super::scale::{Scale, WAREHOUSES};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::open_loop::{Browse, Browsed};
use integration_tests::stopwatch::Stopwatch;
use serde_json::json;
use std::time::Duration;

/// Orders beside the browsing.
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

/// How orders were answered.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Replies without the policy in force, or none at all.
    pub(super) undeclared: u64,
    /// Orders answered with a live number.
    pub(super) live: u64,
    pub(super) latencies: Vec<Duration>,
}

/// What is asked and ordered.
pub(super) struct Shop {
    pub(super) browse: Browse,
    /// How long an order waits.
    pub(super) deadline: Duration,
}

impl Shop {
    pub(super) fn new(scale: Scale, items: Vec<String>, deadline: Duration) -> Self {
        let browse = Browse {
            per_second: scale.browse.0,
            skus: scale.browse.1,
            warehouses: WAREHOUSES.map(str::to_owned).to_vec(),
            items,
            seed: scale.seed,
        };
        Self { browse, deadline }
    }

    /// Browses and orders for this long.
    pub(super) async fn run(&self, api: &ApiClient, time: Duration) -> (Browsed, Orders) {
        let browsing = self.browse.run(api, tokio::time::sleep(time));
        futures_util::join!(browsing, self.order(api, time))
    }

    /// Orders every fifth of a second, each from another channel.
    async fn order(&self, api: &ApiClient, time: Duration) -> Orders {
        let mut orders = Orders::default();
        let mut ticks = tokio::time::interval(ORDERS_EVERY);
        let mut over = std::pin::pin!(tokio::time::sleep(time));
        let mut replies = FuturesUnordered::new();
        let mut number = 0_usize;
        loop {
            tokio::select! {
                biased;
                () = &mut over => break,
                Some(reply) = replies.next() => orders.note(reply),
                _tick = ticks.tick() => {
                    number += 1;
                    replies.push(self.order_one(api.clone(), number));
                }
            }
        }
        while let Some(reply) = replies.next().await {
            orders.note(reply);
        }
        orders.latencies.sort_unstable();
        orders
    }

    async fn order_one(&self, api: ApiClient, number: usize) -> Ordered {
        let (channel, policy) = POLICIES[number % POLICIES.len()];
        let items = &self.browse.items;
        let order = json!({
            "channel": channel, "warehouseId": WAREHOUSES[number % 2],
            "timeoutMs": self.deadline.as_millis(),
            "products": [{ "sku": items[number * 7 % items.len()], "quantity": 1 }]
        });
        let watch = Stopwatch::start();
        let reply = api.post("/inventory/v1/availability-checks", &order).await;
        Ordered {
            reply,
            policy,
            took: watch.elapsed(),
        }
    }
}

struct Ordered {
    reply: reqwest::Result<Reply>,
    policy: &'static str,
    took: Duration,
}

impl Orders {
    fn note(&mut self, order: Ordered) {
        self.latencies.push(order.took);
        let Ok(reply) = order.reply else {
            self.undeclared += 1;
            return;
        };
        let policy = if reply.status.is_success() {
            &reply.json["policy"]
        } else {
            &reply.json["errors"][0]["parameters"]["policy"]
        };
        let is_live = reply.json["data"][0]["source"] == "LIVE";
        self.undeclared += u64::from(policy != order.policy && !is_live);
        self.live += u64::from(is_live);
    }

    /// Adds another stretch.
    pub(super) fn add(&mut self, other: Self) {
        self.undeclared += other.undeclared;
        self.live += other.live;
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable();
    }

    /// During a fault: in time, by their policy, and none live.
    pub(super) fn judge(&self, outcome: &mut Outcome, what: &str, deadline: Duration) {
        let slowest = self.latencies.last().copied();
        let limit = deadline + Duration::from_millis(50);
        outcome.within(&format!("slowest order {what}"), slowest, limit);
        outcome.none("orders without their policy", self.undeclared);
        outcome.none("orders called live", self.live);
    }
}

/// The p99 of browsing in each of several calm windows.
#[derive(Default)]
pub(super) struct Calm(Vec<f64>);

impl Calm {
    pub(super) fn add(&mut self, browsed: &Browsed) {
        self.0.push(ms(browsed.percentile(99)));
    }

    /// Browsing during a fault: at most a tenth above the slowest calm window, since a shared machine is
    /// not equally fast all the time.
    pub(super) fn judge(&self, outcome: &mut Outcome, what: &str, during: &Browsed) {
        let windows: Vec<String> = self.0.iter().map(|p99| format!("{p99:.2}")).collect();
        let name = format!("browse p99 {what}, calm {} ms:", windows.join("/"));
        let slowest = self.0.iter().copied().fold(0.0, f64::max);
        let p99 = ms(during.percentile(99));
        outcome.at_most(&name, p99, slowest * 1.1, " ms");
        outcome.none("browse errors", during.failed);
    }
}

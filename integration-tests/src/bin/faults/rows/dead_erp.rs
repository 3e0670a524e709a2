//! D365 is away, or as good as: what browsing and orders get meanwhile.

use crate::outcome::{Outcome, RowError};
use crate::stage::{Rig, Stage, WAREHOUSES};
use d365_simulator::{Action, CutPoint, DelayPoint, FaultSpec, Kind};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::binaries::Service;
use integration_tests::open_loop::{Browse, Browsed};
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::tcp_proxy::{TcpProxy, Weather};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Orders a second beside the browsing.
const ORDERS_EVERY: Duration = Duration::from_millis(200);
/// Longer than the longest attempt at D365, so that what ends first is the attempt.
const PATIENT_MS: u32 = 1_500;
/// Shorter, so that it is the deadline.
const HURRIED_MS: u32 = 800;
/// Calls that may be under way to one environment: `api.live.concurrency` unless it is set.
const POOL: f64 = 16.0;
/// Pause between two looks at the open connections: an attempt lasts much longer.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const CHANNELS: &str = r#"
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
struct Orders {
    asked: u64,
    /// Replies without the policy that was in force, or without any.
    undeclared: u64,
    /// Lines called live.
    called_live: u64,
    slowest_ms: f64,
}

impl Orders {
    /// Orders every fifth of a second until `until` is over, each from another channel.
    async fn place(
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

    fn note(&mut self, (reply, policy, took): (reqwest::Result<Reply>, &str, Duration)) {
        self.asked += 1;
        self.slowest_ms = self.slowest_ms.max(took.as_secs_f64() * 1_000.0);
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

/// A house whose D365 is reached through a proxy.
struct House {
    stage: Stage,
    proxy: TcpProxy,
    api: ApiClient,
    service: Service,
    items: Vec<String>,
    deadline_ms: u32,
}

impl House {
    async fn build(rig: &Rig, deadline_ms: u32) -> Result<Self, RowError> {
        let mut d365 = rig.world();
        d365.load.base_ms = 40;
        let redis = RedisFixture::start_process().await?;
        let port = integration_tests::free_port::free_port()?;
        d365.listen = ([127, 0, 0, 1], port).into();
        let proxy = TcpProxy::before(d365.listen).await?;
        let proxy_url = format!("http://{}", proxy.address());
        d365.audiences.push(proxy_url.clone());
        let stage = rig.stage_with(redis, d365, "", |config| {
            config.d365_url.clone_from(&proxy_url);
            config.more.push_str(CHANNELS);
        })?;
        let mut worker = stage.worker("one").await?;
        let (service, api) = stage.api().await?;
        stage.snapshots_since(0, rig.scale.two_cycles()).await?;
        let items = stage.items(WAREHOUSES[0])?;
        // A worker would go on trying the dead D365; what the API does is looked at here.
        worker.stop().await?;
        // The token is there before the fault is.
        api.exact(WAREHOUSES[0], &[items[0].as_str()]).await?;
        Ok(Self {
            stage,
            proxy,
            api,
            service,
            items,
            deadline_ms,
        })
    }

    /// Browsing and ordering side by side for this long.
    async fn shop(&self, rig: &Rig, time: Duration) -> (Browsed, Orders) {
        let browse = Browse {
            per_second: rig.scale.browse.0,
            skus: rig.scale.browse.1,
            warehouses: WAREHOUSES.map(str::to_owned).to_vec(),
            items: self.items.clone(),
            seed: rig.seed,
            keeps_lines: false,
        };
        let d365 = self.stage.d365();
        let over = || tokio::time::sleep(time);
        futures_util::join!(
            browse.run(&self.api, &d365, over()),
            Orders::place(&self.api, &self.items, self.deadline_ms, over())
        )
    }

    async fn exact(&self) -> Option<Reply> {
        let sku = self.items[0].as_str();
        self.api.exact(WAREHOUSES[0], &[sku]).await.ok()
    }

    async fn end(mut self) -> Result<(), RowError> {
        self.service.stop().await?;
        Ok(())
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The p99 of two calm spells, before and after: the machine's own mood is in their difference.
fn calm_p99(before: &Browsed, after: &Browsed) -> f64 {
    ms(before.quantile(0.99)).max(ms(after.quantile(0.99)))
}

/// Browsing against calm. A tenth of so little is less than a timer's tick, so a millisecond is
/// granted on top.
fn browsing(outcome: &mut Outcome, calm_p99: f64, during: &Browsed) {
    let p99 = ms(during.quantile(0.99));
    outcome.at_most("browse p99", p99, calm_p99 * 1.1 + 1.0, " ms");
    outcome.none("browse errors", during.failed);
}

fn ordering(outcome: &mut Outcome, orders: &Orders, deadline_ms: u32) {
    let limit = f64::from(deadline_ms) + 50.0;
    outcome.at_most("slowest order reply", orders.slowest_ms, limit, " ms");
    outcome.none("orders without their policy", orders.undeclared);
}

pub(super) async fn black_hole(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_mins(30);
    let (calm_time, fault_time) = if rig.scale.is_full {
        (Duration::from_mins(1), Duration::from_mins(5))
    } else {
        (Duration::from_secs(12), Duration::from_secs(35))
    };
    let house = House::build(&rig, PATIENT_MS).await?;
    let (calm, calm_orders) = house.shop(&rig, calm_time).await;
    let counters = house.proxy.counters();
    let connections = || counters.connections.load(Ordering::Relaxed);
    house.proxy.set(Weather::BlackHole);
    // What had been sent before is over, and the breaker has seen enough.
    house.shop(&rig, Duration::from_secs(6)).await;
    let before = connections();
    let swallowed_before = counters.swallowed.load(Ordering::Relaxed);
    let mut most_open = 0;
    let (during, orders) = {
        let mut shopping = std::pin::pin!(house.shop(&rig, fault_time));
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                shopped = &mut shopping => break shopped,
                _tick = looks.tick() => {
                    most_open = most_open.max(counters.open.load(Ordering::Relaxed));
                }
            }
        }
    };
    let tries = connections() - before;
    let swallowed = counters.swallowed.load(Ordering::Relaxed) - swallowed_before;
    house.proxy.set(Weather::Fair);
    let back = house.stage.now();
    house
        .stage
        .within(Duration::from_secs(30), "a live answer", async || {
            let reply = house.exact().await?;
            (reply.json["data"][0]["source"] == "LIVE").then_some(())
        })
        .await?;
    let back = house.stage.now() - back;
    let (calm_again, _) = house.shop(&rig, calm_time).await;
    let mut outcome = Outcome::default();
    browsing(&mut outcome, calm_p99(&calm, &calm_again), &during);
    ordering(&mut outcome, &orders, house.deadline_ms);
    outcome.none("orders called live", orders.called_live);
    let allowed = fault_time.as_secs_f64() / 10.0 + 1.0;
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    {
        outcome.at_most("live tries", tries as f64, allowed.floor(), "");
        outcome.at_most("sockets to D365", most_open as f64, POOL, "");
        outcome.at_most("live again after", back as f64 / 1_000.0, 12.0, " s");
    }
    outcome.happened("orders into the black hole", orders.asked);
    outcome.happened("bytes swallowed", swallowed);
    outcome.happened("calm orders answered live", calm_orders.called_live);
    house.end().await?;
    Ok(outcome)
}

pub(super) async fn trickle(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_mins(30);
    let house = House::build(&rig, HURRIED_MS).await?;
    let spell = if rig.scale.is_full {
        Duration::from_mins(1)
    } else {
        Duration::from_secs(12)
    };
    let (calm, _) = house.shop(&rig, spell).await;
    let mut outcome = Outcome::default();
    let mut fired = 0;
    let mut spells = Vec::new();
    let faults = [
        Action::Trickle {
            bytes: 1,
            pause_ms: 200,
        },
        Action::Delay {
            ms: 30_000,
            at: DelayPoint::BeforeRead,
        },
        Action::Cut {
            after: CutPoint::Bytes(20),
        },
    ];
    for fault in faults {
        let d365 = house.stage.d365();
        d365.add_fault(FaultSpec::on(Kind::Lookup, fault));
        let (during, orders) = house.shop(&rig, spell).await;
        spells.push(during);
        ordering(&mut outcome, &orders, house.deadline_ms);
        outcome.none("orders called live", orders.called_live);
        fired += house.stage.faults_fired();
        d365.clear_faults();
        house
            .stage
            .within(Duration::from_secs(30), "a live answer", async || {
                let reply = house.exact().await?;
                (reply.json["data"][0]["source"] == "LIVE").then_some(())
            })
            .await?;
    }
    let (calm_again, _) = house.shop(&rig, spell).await;
    for during in &spells {
        browsing(&mut outcome, calm_p99(&calm, &calm_again), during);
    }
    // Nobody asks any more: whatever is left under way has leaked.
    let in_work = house
        .stage
        .metric(&house.service, "inventory_api_requests_in_flight", "")
        .await?;
    outcome.at_most("requests left in work", in_work, 0.0, "");
    outcome.happened("answers spoilt", fired);
    house.end().await?;
    Ok(outcome)
}

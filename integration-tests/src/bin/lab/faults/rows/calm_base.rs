//! Nothing goes wrong: what browsing, ordering and the processes cost.

use super::hostile_callers::memory;
use super::shopping::{CHANNELS, Orders, ms};
use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, WAREHOUSES};
use d365_simulator::Kind;
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::Service;
use integration_tests::open_loop::{Browse, Browsed};
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::tcp_proxy::{TcpProxy, Weather};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Questions a second, and SKUs of each.
const BROWSE: (u32, usize) = (200, 50);
/// What orders get that name no time.
const DEADLINE_MS: u32 = 2_500;
const D365_MS: u64 = 40;
/// What the negative control puts between the services and Redis, each way.
const FAR_AWAY: Duration = Duration::from_millis(30);
/// The first questions open connections.
const WARM_UP: Duration = Duration::from_secs(3);

/// The value so many percent of them are below.
fn quantile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let place = values.len() * percent / 100;
    values.get(place).copied().unwrap_or(f64::INFINITY)
}

/// The most memory a process has ever had resident, in MB.
fn peak_resident(service: &mut Service) -> Result<f64, RowError> {
    memory(service.process().id(), "VmHWM:")
}

/// Browsing and ordering side by side for this long.
async fn shop(
    stage: &Stage,
    api: &ApiClient,
    items: &[String],
    time: Duration,
) -> (Browsed, Orders) {
    let browse = Browse {
        per_second: BROWSE.0,
        skus: BROWSE.1,
        warehouses: WAREHOUSES.map(str::to_owned).to_vec(),
        items: items.to_vec(),
        seed: 1,
        keeps_lines: false,
    };
    let d365 = stage.d365();
    let over = || tokio::time::sleep(time);
    futures_util::join!(
        browse.run(api, &d365, over()),
        Orders::place(api, items, DEADLINE_MS, over())
    )
}

pub(super) async fn measured(mut rig: Rig) -> Result<Outcome, RowError> {
    let is_far_away = rig.guard.take().is_some();
    let time = Duration::from_secs(if rig.scale.is_full { 60 } else { 15 });
    let redis = RedisFixture::start_process().await?;
    let mut d365 = rig.world();
    d365.load.base_ms = D365_MS;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, redis.port()));
    // Only where it is to be felt: a proxy costs time of its own.
    let proxy = if is_far_away {
        Some(TcpProxy::before(address).await?)
    } else {
        None
    };
    let stage = rig.stage_with(redis, d365, "", |config| {
        if let Some(proxy) = &proxy {
            config.redis_url = format!("redis://{}", proxy.address());
        }
        config.more.push_str(CHANNELS);
    })?;
    let mut workers = [stage.worker("one").await?, stage.worker("other").await?];
    let (mut service, api) = stage.api().await?;
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    // In both warehouses, so that every order can be answered live with a number.
    let mut items = stage.items(WAREHOUSES[0])?;
    let other: BTreeSet<String> = stage.items(WAREHOUSES[1])?.into_iter().collect();
    items.retain(|item| other.contains(item));
    if let Some(proxy) = &proxy {
        proxy.set(Weather::Delay(FAR_AWAY));
    }
    shop(&stage, &api, &items, WARM_UP).await;
    let before = stage.last_request();
    let (browsed, orders) = shop(&stage, &api, &items, time).await;
    let calls = stage.calls_since(before);
    let asked = orders.latencies_ms.len() as u64;
    let look_ups = calls.iter().filter(|call| call.kind == Kind::Lookup);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a call")]
    let look_ups = look_ups.filter_map(|call| {
        let answered = call.answered?.unix_millis();
        Some((answered - call.started.unix_millis()) as f64)
    });
    let look_ups: Vec<f64> = look_ups.collect();
    let looked_up = look_ups.len() as u64;
    let d365_ms = quantile(look_ups, 99);
    let mut outcome = Outcome::default();
    let browse_p99 = ms(browsed.quantile(0.99));
    outcome.at_most("browse p99", browse_p99, 25.0, " ms");
    outcome.none("browse errors", browsed.failed);
    let median = quantile(orders.latencies_ms.clone(), 50);
    let order_p99 = quantile(orders.latencies_ms, 99);
    // Beyond what D365 itself took.
    let name = format!("order p99, p50 {median:.1} ms:");
    outcome.at_most(&name, order_p99, d365_ms + 30.0, " ms");
    outcome.none("orders not answered live", asked - orders.called_live);
    let api_mb = peak_resident(&mut service)?;
    outcome.at_most("peak RSS of the API", api_mb, 64.0, " MB");
    for worker in &mut workers {
        let worker_mb = peak_resident(worker)?;
        outcome.at_most("of a worker", worker_mb, 96.0, " MB");
    }
    outcome.happened("questions", browsed.questions());
    outcome.happened("orders", asked);
    outcome.happened("look-ups D365 answered", looked_up);
    let rows: usize = calls.iter().map(|call| call.rows).sum();
    outcome.happened("rows read beside them", rows as u64);
    for worker in &mut workers {
        worker.stop().await?;
    }
    service.stop().await?;
    Ok(outcome)
}

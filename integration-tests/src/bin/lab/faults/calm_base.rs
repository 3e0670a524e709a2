//! Nothing goes wrong: what browsing, ordering and the processes cost.

use super::outcome::{Outcome, ms};
use super::scale::{Scale, WAREHOUSES};
use super::shop::{CHANNELS, Shop};
use d365_simulator::Kind;
use integration_tests::open_loop::percentile;
use integration_tests::test_bed::Failure;
use integration_tests::usage::peak_resident_mb;
use std::collections::BTreeSet;
use std::time::Duration;

const D365_MS: u64 = 40;
/// What orders get that name no time.
const DEADLINE: Duration = Duration::from_millis(2_500);
/// The first questions open connections.
const WARM_UP: Duration = Duration::from_secs(3);

pub(super) async fn measured(scale: Scale) -> Result<Outcome, Failure> {
    let time = Duration::from_secs(if scale.is_full { 60 } else { 15 });

    let bed = scale
        .bed(scale.world(D365_MS), "", |config| {
            config.more.push_str(CHANNELS);
        })
        .await?;
    let mut workers = [bed.worker("one").await?, bed.worker("other").await?];
    let (mut service, api) = bed.api().await?;
    bed.complete_since(0, scale.two_cycles()).await?;
    // In both warehouses, so that every order can be answered live with a number.
    let other: BTreeSet<String> = bed.items(WAREHOUSES[1])?.into_iter().collect();
    let mut items = bed.items(WAREHOUSES[0])?;
    items.retain(|item| other.contains(item));
    let mut shop = Shop::new(scale, items, DEADLINE);
    (shop.browse.per_second, shop.browse.skus) = (200, 50);
    shop.run(&api, WARM_UP).await;
    let before = bed.last_request();
    let (browsed, orders) = shop.run(&api, time).await;
    let calls = bed.calls(before);
    let asked = orders.latencies.len() as u64;
    let mut look_ups: Vec<Duration> = bed
        .requests(Kind::Lookup, before)
        .iter()
        .filter_map(|call| {
            let took = call.answered?.unix_millis() - call.started.unix_millis();
            Some(Duration::from_millis(took.unsigned_abs()))
        })
        .collect();
    look_ups.sort_unstable();
    let mut outcome = Outcome::default();
    outcome.at_most("browse p99", ms(browsed.percentile(99)), 25.0, " ms");
    outcome.none("browse errors", browsed.failed);
    let median = ms(percentile(&orders.latencies, 50));
    // Beyond what D365 itself took.
    outcome.at_most(
        &format!("order p99, p50 {median:.1} ms:"),
        ms(percentile(&orders.latencies, 99)),
        ms(percentile(&look_ups, 99)) + 30.0,
        " ms",
    );
    outcome.none("orders not answered live", asked - orders.live);
    let peak = peak_resident_mb(service.id())?;
    outcome.at_most("peak RSS of the API", peak, 64.0, " MB");
    for worker in &mut workers {
        let peak = peak_resident_mb(worker.id())?;
        outcome.at_most("of a worker", peak, 96.0, " MB");
        worker.stop().await?;
    }
    outcome.happened("questions", browsed.questions());
    outcome.happened("orders", asked);
    outcome.happened("look-ups D365 answered", look_ups.len() as u64);
    let rows: usize = calls.iter().map(|call| call.rows).sum();
    outcome.happened("rows read beside them", rows as u64);
    service.stop().await?;
    Ok(outcome)
}

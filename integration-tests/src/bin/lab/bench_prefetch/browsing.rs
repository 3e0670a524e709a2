//! What browsing feels of a prefetch beside it.
//!
//! Calm and not calm alternate, a few seconds each, and are judged over all rounds: a machine that
//! becomes slower for a while then does so for both. In a calm half the worker stands still.

use super::{Options, met};
use d365_simulator::LoadModel;
use integration_tests::open_loop::{Browse, Browsed};
use integration_tests::test_bed::{Failure, TestBed};
use std::time::Duration;
use tokio::time::sleep;

/// Most that browsing may be slower beside a prefetch.
const MOST_TIMES_CALM: f64 = 1.5;
/// Between two halves: what was under way for the one is not measured in the other.
const SETTLING: Duration = Duration::from_millis(2_500);
const WARM_UP: Duration = Duration::from_secs(4);

/// Browsing, calm and while all warehouses are read.
#[expect(
    clippy::print_stdout,
    reason = "the tables are what the program is for"
)]
pub(super) async fn beside_a_prefetch(options: &Options, bed: &TestBed) -> Result<(), Failure> {
    let mut worker = bed.worker("worker").await?;
    let (mut service, api) = bed.api().await?;
    let warehouses = bed.config.warehouses.clone();
    let mut browse = Browse {
        per_second: 200,
        skus: 50,
        items: bed.items(&warehouses[0])?,
        warehouses,
        seed: 1,
    };
    let time = Duration::from_secs(options.browse_seconds);
    // Pages that take as long as real ones: the simulator shares this machine with what is measured.
    bed.d365().set_load(LoadModel {
        base_ms: options.page_ms,
        ..LoadModel::default()
    });
    let reading = async {
        loop {
            for warehouse in &bed.config.warehouses {
                drop(bed.make_due(warehouse).await);
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    let measuring = async {
        let (mut calm, mut beside, mut rows) = (Browsed::default(), Browsed::default(), 0);
        browse.run(&api, sleep(WARM_UP)).await;
        for round in 1..=options.browse_rounds {
            browse.seed = round * 1_000_003;
            worker.process().freeze(true)?;
            sleep(SETTLING).await;
            calm.add(browse.run(&api, sleep(time)).await);
            worker.process().freeze(false)?;
            sleep(SETTLING).await;
            let before = bed.last_request();
            beside.add(browse.run(&api, sleep(time)).await);
            rows += bed
                .calls(before)
                .iter()
                .map(|page| page.rows)
                .sum::<usize>();
        }
        Ok::<_, Failure>((calm, beside, rows))
    };
    let (calm, beside, rows) = tokio::select! {
        measured = measuring => measured?,
        () = reading => return Err("reading ended".into()),
    };
    let seconds = (options.browse_seconds * options.browse_rounds).max(1);
    let rows_a_second = rows as u64 / seconds;
    println!("\n| browse 200/s x 50 SKUs | p50 | p99 | failed | rows/s read beside |");
    println!("|---|---:|---:|---:|---:|");
    for (what, side, rows) in [
        ("calm", &calm, 0),
        ("beside a full prefetch", &beside, rows_a_second),
    ] {
        let [p50, p99] = [50, 99].map(|percent| side.percentile(percent));
        println!(
            "| {what} | {p50:.2?} | {p99:.2?} | {} | {rows} |",
            side.failed
        );
    }
    let ratio = beside.percentile(99).div_duration_f64(calm.percentile(99));
    println!(
        "\np99 beside a prefetch: {ratio:.2} x calm, at most {MOST_TIMES_CALM} x: {}",
        met(rows_a_second > 0 && ratio <= MOST_TIMES_CALM)
    );
    worker.stop().await?;
    service.stop().await?;
    Ok(())
}

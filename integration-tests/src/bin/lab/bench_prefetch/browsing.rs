//! What browsing feels of a prefetch beside it.
//!
//! Calm and not calm take turns, a few seconds each, and are judged over all rounds: a machine that
//! becomes slower for a while then does so for both. In a calm half the worker stands still.

use crate::bench_prefetch::{Fallible, Options, met, scene};
use d365_simulator::{Handle, LoadModel, Simulator};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::{Launch, Program};
use integration_tests::open_loop::{Browse, Browsed};
use std::sync::Arc;
use std::time::Duration;

/// Most that browsing may be slower beside a prefetch.
const MOST_TIMES_CALM: f64 = 1.5;
/// Between two halves: what was under way for the one is not measured in the other.
const SETTLING: Duration = Duration::from_millis(2_500);
const WARM_UP: Duration = Duration::from_secs(4);

/// The two sides, over all rounds.
#[derive(Default)]
struct Sides {
    calm: Browsed,
    beside: Browsed,
    rows_beside: usize,
}

/// Browsing, calm and while all warehouses are read.
#[expect(
    clippy::print_stdout,
    reason = "the tables are what the program is for"
)]
pub(crate) async fn beside_a_prefetch(
    options: &Options,
    d365: &Handle,
    warehouses: &[String],
) -> Fallible<()> {
    let scene = scene(d365, warehouses).await?;
    let mut worker = scene.worker(options, 1).await?;
    scene.sealed(warehouses, 1).await?;
    let mut api = Launch::new(Program::InventoryApi, scene.file.path())?
        .in_folder(&options.programs)
        .start()
        .await?;
    let client = ApiClient::new(&api.url())?;
    let simulator = Arc::clone(d365.simulator());
    let rows = simulator.truth("usmf", Some(&warehouses[0]), None)?;
    let mut browse = Browse {
        per_second: 200,
        skus: 50,
        warehouses: warehouses.to_vec(),
        items: rows.into_iter().map(|row| row.item).collect(),
        seed: 1,
        keeps_lines: false,
    };
    let time = Duration::from_secs(options.browse_seconds);
    // Pages that take as long as real ones: the simulator shares this machine with what is measured.
    simulator.set_load(LoadModel {
        base_ms: options.page_ms,
        ..LoadModel::default()
    });
    let mut connection = scene.redis.connection().await?;
    let reading = async {
        loop {
            for warehouse in warehouses {
                let mut due = redis::cmd("ZADD");
                due.arg("inv:contoso:due").arg("LT").arg(0).arg(warehouse);
                drop(due.exec_async(&mut connection).await);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let measuring = async {
        let mut sides = Sides::default();
        // The first questions open connections and warm nothing that counts.
        browse
            .run(&client, &simulator, tokio::time::sleep(WARM_UP))
            .await;
        for round in 1..=options.browse_rounds {
            browse.seed = round * 1_000_003;
            worker.process().freeze(true)?;
            tokio::time::sleep(SETTLING).await;
            let calm = browse
                .run(&client, &simulator, tokio::time::sleep(time))
                .await;
            sides.calm.add(calm);
            worker.process().freeze(false)?;
            tokio::time::sleep(SETTLING).await;
            let before = last_request(&simulator);
            let beside = browse
                .run(&client, &simulator, tokio::time::sleep(time))
                .await;
            sides.beside.add(beside);
            let pages = simulator.requests(before);
            sides.rows_beside += pages.iter().map(|page| page.rows).sum::<usize>();
        }
        Fallible::Ok(sides)
    };
    let sides = tokio::select! {
        sides = measuring => sides?,
        () = reading => return Err("reading ended".into()),
    };
    println!("\n| browse 200/s x 50 SKUs | p50 ms | p99 ms | failed | rows/s read beside |");
    println!("|---|---:|---:|---:|---:|");
    println!("{}", line("calm", &sides.calm, 0));
    let seconds = (options.browse_seconds * options.browse_rounds).max(1);
    let per_second = sides.rows_beside as u64 / seconds;
    let beside = line("beside a full prefetch", &sides.beside, per_second);
    println!("{beside}");
    let p99 = |side: &Browsed| side.quantile(0.99).as_secs_f64();
    let ratio = p99(&sides.beside) / p99(&sides.calm);
    println!(
        "\np99 beside a prefetch: {ratio:.2} x calm, at most {MOST_TIMES_CALM} x: {}",
        met(per_second > 0 && ratio <= MOST_TIMES_CALM)
    );
    worker.stop().await?;
    api.stop().await?;
    Ok(())
}

fn last_request(simulator: &Simulator) -> u64 {
    simulator.requests(0).last().map_or(0, |last| last.seq)
}

fn line(what: &str, browsed: &Browsed, rows_per_second: u64) -> String {
    let ms = |share| browsed.quantile(share).as_secs_f64() * 1_000.0;
    format!(
        "| {what} | {:.2} | {:.2} | {} | {rows_per_second} |",
        ms(0.5),
        ms(0.99),
        browsed.failed
    )
}

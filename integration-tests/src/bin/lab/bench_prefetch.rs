//! How fast snapshots are read, against the floor: the same pages fetched and parsed and thrown away.
//! And what browsing feels of it. Prints tables in Markdown, and behind each number with a target
//! whether it is met. A worker that takes too much memory or processor time ends it with failure;
//! what browsing feels is only printed, because other work on the machine is felt as well.

mod browsing;
pub(crate) mod floor;

use crate::full_size;
use d365_simulator::Config;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::test_bed::{Failure, TestBed};
use integration_tests::usage::{cpu_time, peak_resident_mb};
use std::process::ExitCode;
use std::time::Duration;

/// Command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Items of the world.
    #[arg(long, default_value_t = 100_000)]
    items: usize,
    /// Warehouses that are read.
    #[arg(long, default_value_t = 10)]
    warehouses: usize,
    /// Workers, one run each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4])]
    workers: Vec<usize>,
    /// Milliseconds of a page while browsing is measured: 1,900 makes about 10,000 rows a second.
    #[arg(long, default_value_t = 1_900)]
    page_ms: u64,
    /// Rounds of browsing, each first calm and then beside a prefetch.
    #[arg(long, default_value_t = 6)]
    browse_rounds: u64,
    /// Seconds of browsing in each half of a round; more than ten, and what the worker holds lapses
    /// while it stands still.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=10))]
    browse_seconds: u64,
}

/// Pages at once by one worker.
const PARALLEL: usize = 2;
/// Most memory of a worker.
const MOST_MEGABYTES: f64 = 96.0;
/// Most of a core at 10,000 rows a second.
const MOST_OF_A_CORE: f64 = 15.0;

/// What reading all rows took.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    time: Duration,
    cpu: Duration,
    peak_megabytes: f64,
}

impl Usage {
    /// Milliseconds of a core for 1,000 rows.
    fn ms_per_thousand(self, rows: f64) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / rows
    }

    /// Of a core at 10,000 rows a second, in percent.
    fn percent_of_a_core(self, rows: f64) -> f64 {
        self.ms_per_thousand(rows)
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the tables are what the program is for"
)]
pub(crate) async fn run(options: &Options) -> Result<ExitCode, Failure> {
    let bed = bed(options).await?;
    let mut rows = 0;
    for warehouse in &bed.config.warehouses {
        rows += bed.d365().truth("usmf", Some(warehouse), None)?.len();
    }
    println!(
        "{rows} rows in {} warehouses\n",
        bed.config.warehouses.len()
    );
    println!(
        "| workers | rows/s | floor rows/s | of the floor | CPU ms/1,000 rows | floor CPU ms/1,000 rows | of a core at 10,000 rows/s | peak RSS of a worker |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|");
    let rows = f64::from(u32::try_from(rows)?);
    let mut are_met = true;
    for count in &options.workers {
        let floor = floor::read_all(&bed, count * PARALLEL).await?;
        let ours = measured(&bed, *count).await?;
        println!("{}", line(*count, rows, ours, floor));
        are_met &=
            ours.peak_megabytes <= MOST_MEGABYTES && ours.percent_of_a_core(rows) <= MOST_OF_A_CORE;
    }
    println!(
        "\ntargets: at most {MOST_OF_A_CORE} % of a core at 10,000 rows/s and {MOST_MEGABYTES} MB a worker: {}",
        met(are_met)
    );
    browsing::beside_a_prefetch(options, &bed).await?;
    Ok(if are_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn bed(options: &Options) -> Result<TestBed, Failure> {
    let (items, warehouses) = (options.items, options.warehouses);
    full_size::bed(items, warehouses, Config::default(), |config| {
        "1h".clone_into(&mut config.refresh_interval);
        // One caller makes all of the load.
        config.more = format!(
            "[api.limits]\nrequests_per_second_per_caller = 0\n\
             [worker]\nparallel_shards = {PARALLEL}\ndemand_share = 0\n"
        );
    })
    .await
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

fn line(workers: usize, rows: f64, ours: Usage, floor: Usage) -> String {
    let per_second = |usage: Usage| rows / usage.time.as_secs_f64();
    let of_a_core = ours.percent_of_a_core(rows);
    format!(
        "| {workers} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} | {of_a_core:.1} % {} | {:.0} MB {} |",
        per_second(ours),
        per_second(floor),
        per_second(ours) / per_second(floor),
        ours.ms_per_thousand(rows),
        floor.ms_per_thousand(rows),
        met(of_a_core <= MOST_OF_A_CORE),
        ours.peak_megabytes,
        met(ours.peak_megabytes <= MOST_MEGABYTES),
    )
}

/// So many workers read everything into an empty Redis.
async fn measured(bed: &TestBed, count: usize) -> Result<Usage, Failure> {
    bed.redis.flush().await?;
    full_size::set_budget(bed).await?;
    let begun = Stopwatch::start();
    let mut workers = Vec::new();
    for number in 0..count {
        workers.push(bed.worker(&format!("worker {number}")).await?);
    }
    bed.cycles_ended(1, Duration::from_mins(10)).await?;
    let mut usage = Usage {
        time: begun.elapsed(),
        ..Usage::default()
    };
    for worker in &mut workers {
        usage.cpu += cpu_time(worker.id())?;
        usage.peak_megabytes = usage.peak_megabytes.max(peak_resident_mb(worker.id())?);
    }
    for worker in &mut workers {
        worker.stop().await?;
    }
    Ok(usage)
}

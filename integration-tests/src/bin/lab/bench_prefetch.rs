//! How fast snapshots are read, against the floor: the same pages fetched and parsed and thrown away.
//! And what browsing feels of it. Prints tables in Markdown, and behind each number with a target
//! whether it is met. A worker that takes too much memory or processor time ends it with failure;
//! what browsing feels is said only, because other work on the machine is felt as well.

mod browsing;
mod floor;
pub(crate) mod floor_reader;
mod usage;

use d365_simulator::{Config, Handle, WorldConfig};
use integration_tests::binaries::{Launch, Program, Service};
use integration_tests::connector_config::{ConfigFile, ConnectorConfig};
use integration_tests::eventually::eventually_within;
use integration_tests::full_size;
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::stopwatch::Stopwatch;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use usage::Usage;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder with the built programs.
    #[arg(long, default_value = "target/release")]
    programs: PathBuf,
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

#[expect(
    clippy::print_stdout,
    reason = "the tables are what the program is for"
)]
pub(crate) async fn run(options: &Options) -> Fallible<ExitCode> {
    let world = WorldConfig {
        items: options.items,
        warehouses: options.warehouses,
        ..WorldConfig::default()
    };
    let d365 = d365_simulator::start(Config {
        world: Some(world),
        ..Config::default()
    })?;
    let warehouses = full_size::warehouses(d365.simulator(), options.warehouses);
    let rows: usize = warehouses
        .iter()
        .filter_map(|id| d365.simulator().truth("usmf", Some(id), None).ok())
        .map(|lines| lines.len())
        .sum();
    println!("{rows} rows in {} warehouses\n", warehouses.len());
    println!(
        "| workers | rows/s | floor rows/s | of the floor | CPU ms/1,000 rows | floor CPU ms/1,000 rows | of a core at 10,000 rows/s | peak RSS of a worker |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|");
    let mut are_met = true;
    for count in &options.workers {
        let floor = floor::read_all(&d365.url(), &warehouses, count * PARALLEL)?;
        let ours = measured(options, &d365, &warehouses, *count).await?;
        println!("{}", line(*count, rows, &ours, &floor));
        are_met &= ours.peak_megabytes <= MOST_MEGABYTES
            && percent_of_a_core(&ours, rows) <= MOST_OF_A_CORE;
    }
    println!(
        "\ntargets: at most {MOST_OF_A_CORE} % of a core at 10,000 rows/s and {MOST_MEGABYTES} MB a worker: {}",
        met(are_met)
    );
    browsing::beside_a_prefetch(options, &d365, &warehouses).await?;
    Ok(if are_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

/// Milliseconds of a core for 1,000 rows.
fn per_thousand(usage: &Usage, rows: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a million rows")]
    let rows = rows as f64;
    usage.cpu.as_secs_f64() * 1e6 / rows
}

/// Of a core at 10,000 rows a second, in percent.
fn percent_of_a_core(usage: &Usage, rows: usize) -> f64 {
    // Ten times as long for ten times as many, as a share of a second.
    per_thousand(usage, rows) * 10.0 / 1_000.0 * 100.0
}

fn line(workers: usize, rows: usize, ours: &Usage, floor: &Usage) -> String {
    let of_a_core = percent_of_a_core(ours, rows);
    let megabytes = ours.peak_megabytes;
    let (ours_ms, floor_ms) = (per_thousand(ours, rows), per_thousand(floor, rows));
    #[expect(clippy::cast_precision_loss, reason = "a million rows")]
    let rows = rows as f64;
    let per_second = |usage: &Usage| rows / usage.time.as_secs_f64();
    format!(
        "| {workers} | {:.0} | {:.0} | {:.2} | {ours_ms:.2} | {floor_ms:.2} | {of_a_core:.1} % {} | {megabytes:.0} MB {} |",
        per_second(ours),
        per_second(floor),
        per_second(ours) / per_second(floor),
        met(of_a_core <= MOST_OF_A_CORE),
        met(megabytes <= MOST_MEGABYTES),
    )
}

struct Scene {
    redis: RedisFixture,
    file: ConfigFile,
}

async fn scene(d365: &Handle, warehouses: &[String]) -> Fallible<Scene> {
    let redis = RedisFixture::start_process().await?;
    let mut config = ConnectorConfig::new(&redis.url(), &d365.url(), warehouses.to_vec());
    "1h".clone_into(&mut config.refresh_interval);
    // One caller makes all of the load.
    config.more = format!(
        "[api.limits]\nrequests_per_second_per_caller = 0\n[worker]\nparallel_shards = {PARALLEL}\ndemand_share = 0\n"
    );
    let file = config.write()?;
    full_size::learn_budget(&mut redis.connection().await?).await?;
    Ok(Scene { redis, file })
}

impl Scene {
    async fn worker(&self, options: &Options, number: usize) -> Fallible<Service> {
        Ok(Launch::new(Program::PrefetchWorker, self.file.path())?
            .in_folder(&options.programs)
            .named(&format!("worker {number}"))
            .start()
            .await?)
    }

    /// Waits until all warehouses have ended this many cycles.
    async fn sealed(&self, warehouses: &[String], cycles: u64) -> Fallible<()> {
        let mut connection = self.redis.connection().await?;
        for warehouse in warehouses {
            let key = format!("inv:contoso:snapshot:{warehouse}");
            eventually_within(Duration::from_mins(10), "snapshots", || {
                let mut connection = connection.clone();
                let key = key.clone();
                async move {
                    let sealed: Option<u64> = redis::cmd("HGET")
                        .arg(key)
                        .arg("sealed")
                        .query_async(&mut connection)
                        .await
                        .ok()?;
                    (sealed? >= cycles).then_some(())
                }
            })
            .await?;
        }
        redis::cmd("PING").exec_async(&mut connection).await?;
        Ok(())
    }
}

async fn measured(
    options: &Options,
    d365: &Handle,
    warehouses: &[String],
    count: usize,
) -> Fallible<Usage> {
    let scene = scene(d365, warehouses).await?;
    let begun = Stopwatch::start();
    let mut workers = Vec::new();
    for number in 0..count {
        workers.push(scene.worker(options, number).await?);
    }
    scene.sealed(warehouses, 1).await?;
    let time = begun.elapsed();
    let mut usage = Usage {
        time,
        ..Usage::default()
    };
    for worker in &mut workers {
        let one = Usage::of_process(worker.process().id())?;
        usage.cpu += one.cpu;
        usage.peak_megabytes = usage.peak_megabytes.max(one.peak_megabytes);
    }
    for worker in &mut workers {
        worker.stop().await?;
    }
    Ok(usage)
}

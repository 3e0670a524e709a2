//! How old what is asked for most becomes between snapshots, and what that costs: real workers, a
//! real API, a crowd whose questions follow Zipf's law, and the calls as D365 has seen them.
//!
//! Prints a table in Markdown, and behind each number with a target whether it is met. Settings whose
//! pages are too few for their budget miss it by arithmetic; the exit code is 0 all the same.
//!
//! Runs are long. When this program itself was held up (a laptop that slept, a machine that was busy),
//! all that is measured was held up with it: what it sees until things have settled is left out, and
//! it measures for longer.

mod ages;
mod crowd;
mod house;
mod pace;

use ages::{Ages, seconds};
use crowd::Crowd;
use d365_simulator::{Config, Handle, Kind, LoadModel, RequestRecord, WorldConfig};
use house::House;
use integration_tests::eventually::eventually_within;
use integration_tests::full_size;
use integration_tests::stopwatch::Stopwatch;
use pace::Pace;
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

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
    /// Rows of a page, one run each.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 333, 10_000])]
    page_rows: Vec<u32>,
    /// Letters a look-up's address may have, one for each run.
    #[arg(long, value_delimiter = ',', default_values_t = [8_000, 2_000, 2_000])]
    longest_address: Vec<u32>,
    /// `demand_share` in percent.
    #[arg(long, default_value_t = 20)]
    share: u8,
    /// Milliseconds D365 takes for each call.
    #[arg(long, default_value_t = 300)]
    d365_ms: u64,
    /// Questions a second.
    #[arg(long, default_value_t = 50)]
    per_second: u32,
    /// SKUs of a question.
    #[arg(long, default_value_t = 50)]
    skus: usize,
    /// Which SKUs are popular.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Minutes after the first snapshot before anything is measured. With 12 the next snapshots of all
    /// warehouses fall into what is measured.
    #[arg(long, default_value_t = 3)]
    warm_up: u64,
    /// Minutes that are measured.
    #[arg(long, default_value_t = 5)]
    minutes: u64,
}

/// One run's setting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) page_rows: u32,
    pub(crate) longest_address: u32,
    pub(crate) share: u8,
}

/// The SKUs the target is about.
const MOST_ASKED: usize = 1_000;
const OLDEST_SECONDS: f64 = 60.0;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
/// A look that comes so late says that the machine stood still.
const STANDSTILL: Duration = Duration::from_secs(8);
/// After a standstill everything is too old and becomes younger for so long.
const SETTLING: Duration = Duration::from_secs(90);
const MINUTE: Duration = Duration::from_mins(1);
/// The product's default, which no run changes.
const INTERVAL_MINUTES: u32 = 15;
/// A cycle that begins so late has lost its pace: the tenth by which beginnings vary anyway.
const MOST_LATE_MS: i64 = 90_000;

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
pub(crate) async fn run(options: &Options) -> Fallible<ExitCode> {
    let world = WorldConfig {
        items: options.items,
        warehouses: options.warehouses,
        ..WorldConfig::default()
    };
    let d365 = d365_simulator::start(Config {
        world: Some(world),
        load: LoadModel {
            base_ms: options.d365_ms,
            ..LoadModel::default()
        },
        request_log: 200_000,
        ..Config::default()
    })?;
    println!(
        "{} items x {} warehouses, an interval of {INTERVAL_MINUTES} min, {} questions/s x {} SKUs, {} ms a call of D365\n",
        options.items, options.warehouses, options.per_second, options.skus, options.d365_ms
    );
    println!(
        "| rows a page, longest address | pages of a snapshot | age p50 | p99 (<= 60 s) | oldest | look-ups, of the pages of as long (<= {} %) | pages read meanwhile | snapshots sealed, most late | known of the {MOST_ASKED} |",
        options.share
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---|---:|");
    for (page_rows, longest_address) in options.page_rows.iter().zip(&options.longest_address) {
        let setting = Setting {
            page_rows: *page_rows,
            longest_address: *longest_address,
            share: options.share,
        };
        let (line, house) = measured(options, &d365, setting).await?;
        println!("{line}");
        house.stop().await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn measured(options: &Options, d365: &Handle, setting: Setting) -> Fallible<(String, House)> {
    let simulator = d365.simulator();
    let warehouses = full_size::warehouses(simulator, options.warehouses);
    let rows = simulator.truth("usmf", Some(&warehouses[0]), None)?;
    let mut items: Vec<String> = rows.into_iter().map(|row| row.item).collect();
    items.dedup();
    let house = House::start(&options.programs, d365, &warehouses, setting).await?;
    for warehouse in &warehouses {
        eventually_within(MINUTE * 15, "the first snapshots", async || {
            let feed = house.feed(warehouse).await.ok()?;
            (feed.get("state")? == "complete").then_some(())
        })
        .await?;
    }
    let crowd = Arc::new(Crowd::new(
        items,
        warehouses.clone(),
        options.skus,
        options.seed,
    ));
    let mut seen = Seen::default();
    let looking = async {
        tokio::time::sleep(MINUTE * u32::try_from(options.warm_up)?).await;
        seen.look_for(options, d365, &house, &crowd, &warehouses)
            .await
    };
    tokio::select! {
        () = crowd.ask(&house.crowds_api, options.per_second) => {}
        looked = looking => looked?,
    }
    let known: HashSet<String> = house.counted(MOST_ASKED).await?.into_iter().collect();
    let asked = crowd.most_asked(MOST_ASKED);
    seen.known = asked.iter().filter(|sku| known.contains(*sku)).count();
    let (questions, failed) = crowd.questions();
    if failed > questions / 100 {
        return Err(format!("{failed} of {questions} questions failed").into());
    }
    if seen.ages.failed > seen.ages.looks / 20 {
        return Err(format!("{} of {} looks failed", seen.ages.failed, seen.ages.looks).into());
    }
    Ok((seen.line(options, setting), house))
}

/// What was seen while it was measured.
#[derive(Debug, Default)]
struct Seen {
    ages: Ages,
    pace: Pace,
    calls: Vec<RequestRecord>,
    known: usize,
    /// Time in which calls were made.
    running: Duration,
    stood_still: Duration,
}

impl Seen {
    async fn look_for(
        &mut self,
        options: &Options,
        d365: &Handle,
        house: &House,
        crowd: &Crowd,
        warehouses: &[String],
    ) -> Fallible<()> {
        let simulator = d365.simulator();
        let before = simulator.requests(0).last().map_or(0, |last| last.seq);
        let time = MINUTE * u32::try_from(options.minutes)?;
        let (mut measured, mut settling) = (Duration::ZERO, Duration::ZERO);
        let mut ticks = tokio::time::interval(BETWEEN_LOOKS);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = Stopwatch::start();
        while measured < time {
            ticks.tick().await;
            if settling.is_zero() {
                let asked = crowd.most_asked(MOST_ASKED);
                self.ages.look(house, simulator, warehouses, &asked).await;
                self.pace
                    .look(house, warehouses, simulator.now().unix_millis())
                    .await?;
            }
            let gap = std::mem::replace(&mut last, Stopwatch::start()).elapsed();
            if gap > STANDSTILL {
                self.stood_still += gap;
                settling = SETTLING;
                self.ages.forget_last_look();
                continue;
            }
            self.running += gap;
            if settling.is_zero() {
                measured += gap;
            }
            settling = settling.saturating_sub(gap);
        }
        self.calls = simulator.requests(before);
        Ok(())
    }

    fn line(&mut self, options: &Options, setting: Setting) -> String {
        let count = |kind: Kind| self.calls.iter().filter(|call| call.kind == kind).count();
        let (look_ups, pages) = (count(Kind::Lookup), count(Kind::Page));
        // Of the pages the snapshots make in as long a time, not of those that happened to fall into it.
        #[expect(clippy::cast_precision_loss, reason = "some thousand calls")]
        let (calls, all_pages) = (look_ups as f64, self.pace.pages.max(1) as f64);
        let interval = (MINUTE * INTERVAL_MINUTES).as_secs_f64();
        let share = calls * 100.0 * interval / (all_pages * self.running.as_secs_f64().max(1.0));
        let (p50, p99, oldest) = (
            self.ages.quantile(500),
            self.ages.quantile(990),
            self.ages.quantile(1_000),
        );
        let still = if self.stood_still.is_zero() {
            String::new()
        } else {
            format!(", stood still for {:.0} s", self.stood_still.as_secs_f64())
        };
        let next = match self.pace.next_in_ms {
            i64::MAX => String::new(),
            ms => format!(", the next due in {:.0} s", seconds(ms)),
        };
        format!(
            "| {}, {} | {} | {p50:.1} s | {p99:.1} s {} | {oldest:.1} s | {look_ups} in {:.1} min, {share:.1} % {} | {pages} | {} sealed, most late {:.1} s, longest {:.0} s{next}{still}: {} | {} |",
            setting.page_rows,
            setting.longest_address,
            self.pace.pages,
            met(p99 <= OLDEST_SECONDS && self.ages.ageless == 0),
            self.running.as_secs_f64() / 60.0,
            met(share <= f64::from(options.share)),
            self.pace.sealed,
            seconds(self.pace.latest_ms.max(0)),
            seconds(self.pace.longest_ms),
            met(self.pace.is_kept(MOST_LATE_MS)),
            self.known,
        )
    }
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

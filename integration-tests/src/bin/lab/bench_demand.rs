//! How old what is asked for most becomes between snapshots, and what that costs: real workers, a real
//! API, questions that follow Zipf's law, and the calls as D365 has seen them.
//!
//! Prints a table in Markdown, and behind each number with a target whether it is met. Settings whose
//! pages are too few for their budget miss it by arithmetic; the exit code is 0 all the same.

mod callers;

use crate::full_size;
use callers::Callers;
use d365_simulator::{Config, Kind, LoadModel, UtcMillis};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::Program;
use integration_tests::open_loop::percentile;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::test_bed::{Failure, TestBed, number};
use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
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
    warm_up: u32,
    /// Minutes that are measured.
    #[arg(long, default_value_t = 5)]
    minutes: u32,
}

/// The SKUs the target is about.
const MOST_ASKED: usize = 1_000;
/// SKUs of one question; the limit of the API.
const SKUS_PER_QUESTION: usize = 1_000;
const OLDEST: Duration = Duration::from_mins(1);
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_mins(1);
/// The product's default, which no run changes.
const INTERVAL: Duration = Duration::from_mins(15);
const WORKERS: usize = 2;
/// A Redis user that may read only: what its API is asked for is not counted as asked for.
const READER: [&str; 2] = ["reader", "only-reads"];

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
pub(crate) async fn run(options: &Options) -> Result<ExitCode, Failure> {
    println!(
        "{} items x {} warehouses, an interval of {INTERVAL:?}, {} questions/s x {} SKUs, {} ms a call of D365\n",
        options.items, options.warehouses, options.per_second, options.skus, options.d365_ms
    );
    println!(
        "| rows a page, longest address | pages of a snapshot | age p50 | p99 (<= 60 s) | oldest | look-ups, of the pages of as long (<= {} %) | pages read meanwhile | snapshots sealed | known of the {MOST_ASKED} |",
        options.share
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (page_rows, longest_address) in options.page_rows.iter().zip(&options.longest_address) {
        let line = measured(options, *page_rows, *longest_address).await?;
        println!("| {page_rows}, {longest_address} | {line} |");
    }
    Ok(ExitCode::SUCCESS)
}

async fn bed(options: &Options, page_rows: u32, longest_address: u32) -> Result<TestBed, Failure> {
    let d365 = Config {
        load: LoadModel {
            base_ms: options.d365_ms,
            ..LoadModel::default()
        },
        request_log: 200_000,
        ..Config::default()
    };
    let (items, warehouses, share) = (options.items, options.warehouses, options.share);
    let bed = full_size::bed(items, warehouses, d365, |config| {
        config.longest_address = Some(longest_address);
        config.more = format!(
            "[api.limits]\nrequests_per_second_per_caller = 0\n\
             [worker]\npage_size = {page_rows}\ndemand_share = {share}\n"
        );
    })
    .await?;
    full_size::set_budget(&bed).await?;
    let [name, password] = READER;
    let password = format!(">{password}");
    let user = ["ACL", "SETUSER", name, "on", &password, "%R~*", "+@all"];
    let () = bed.redis(&user).await?;
    Ok(bed)
}

async fn measured(
    options: &Options,
    page_rows: u32,
    longest_address: u32,
) -> Result<String, Failure> {
    let bed = bed(options, page_rows, longest_address).await?;
    let (mut asked_service, asked) = bed.api().await?;
    let [name, password] = READER;
    let reading = bed.launch(Program::InventoryApi)?;
    let mut reader_service = reading
        .with_env("CONNECTOR__REDIS__USERNAME", name)
        .with_env("CONNECTOR__REDIS__PASSWORD", password)
        .start()
        .await?;
    let reader = ApiClient::new(&reader_service.url())?;
    let mut workers = Vec::new();
    for number in 1..=WORKERS {
        workers.push(bed.worker(&format!("worker {number}")).await?);
    }
    bed.complete_since(0, INTERVAL).await?;
    let callers = Arc::new(Callers::new(
        bed.items(&bed.config.warehouses[0])?,
        bed.config.warehouses.clone(),
        options.skus,
        options.seed,
    ));
    let mut seen = Seen::default();
    let looking = async {
        tokio::time::sleep(MINUTE * options.warm_up).await;
        seen.look(options, &bed, &reader, &callers).await
    };
    tokio::select! {
        () = callers.ask(&asked, options.per_second) => {}
        looked = looking => looked?,
    }
    let (questions, failed) = callers.questions();
    if failed > questions / 100 {
        return Err(format!("{failed} of {questions} questions failed").into());
    }
    let last = (MOST_ASKED - 1).to_string();
    let known: Vec<String> = bed
        .redis(&["ZREVRANGE", "inv:contoso:asked", "0", &last])
        .await?;
    let asked_most = callers.most_asked(MOST_ASKED);
    let known = asked_most.iter().filter(|sku| known.contains(sku)).count();
    for service in workers
        .iter_mut()
        .chain([&mut asked_service, &mut reader_service])
    {
        service.stop().await?;
    }
    Ok(format!("{} | {known}", seen.line(options)))
}

/// What was seen while it was measured.
#[derive(Debug, Default)]
struct Seen {
    /// Ages of SKUs; of each its oldest line over all warehouses.
    ages: Vec<Duration>,
    /// SKUs of which nothing with an age was said.
    ageless: usize,
    look_ups: usize,
    pages_read: usize,
    /// Pages of the last snapshots of all warehouses.
    pages: u64,
    /// Cycles sealed meanwhile.
    sealed: u64,
    time: Duration,
}

impl Seen {
    async fn look(
        &mut self,
        options: &Options,
        bed: &TestBed,
        reader: &ApiClient,
        callers: &Callers,
    ) -> Result<(), Failure> {
        let before = bed.last_request();
        let sealed_before = sum_of_feeds(bed, "sealed").await?;
        let watch = Stopwatch::start();
        let mut ticks = tokio::time::interval(BETWEEN_LOOKS);
        while watch.elapsed() < MINUTE * options.minutes {
            ticks.tick().await;
            self.look_once(bed, reader, &callers.most_asked(MOST_ASKED))
                .await?;
        }
        self.time = watch.elapsed();
        self.ages.sort_unstable();
        self.look_ups = bed.requests(Kind::Lookup, before).len();
        self.pages_read = bed.requests(Kind::Page, before).len();
        self.pages = sum_of_feeds(bed, "pages").await?;
        self.sealed = sum_of_feeds(bed, "sealed").await? - sealed_before;
        Ok(())
    }

    async fn look_once(
        &mut self,
        bed: &TestBed,
        reader: &ApiClient,
        skus: &[String],
    ) -> Result<(), Failure> {
        let mut oldest: HashMap<String, Duration> = HashMap::with_capacity(skus.len());
        for warehouse in &bed.config.warehouses {
            for skus in skus.chunks(SKUS_PER_QUESTION) {
                let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
                let reply = reader.fast(warehouse, &skus).await?;
                // From the as-of, not from the age in whole seconds: that is rounded down.
                let now = bed.now();
                for line in reply.json["data"].as_array().into_iter().flatten() {
                    let as_of = line["asOf"].as_str().and_then(UtcMillis::parse);
                    if let (Some(sku), Some(as_of)) = (line["sku"].as_str(), as_of) {
                        let age = u64::try_from(now - as_of.unix_millis()).unwrap_or_default();
                        let age = Duration::from_millis(age);
                        let known = oldest.entry(sku.to_owned()).or_insert(age);
                        *known = age.max(*known);
                    }
                }
            }
        }
        self.ageless += skus.len() - oldest.len().min(skus.len());
        self.ages.extend(oldest.into_values());
        Ok(())
    }

    fn line(&self, options: &Options) -> String {
        // Of the pages the snapshots make in as long a time, not of those that fell into it.
        #[expect(clippy::cast_precision_loss, reason = "some thousand calls")]
        let (calls, all_pages) = (self.look_ups as f64, self.pages.max(1) as f64);
        let share = calls * 100.0 * INTERVAL.div_duration_f64(self.time) / all_pages;
        let [p50, p99, oldest] = [50, 99, 100].map(|percent| percentile(&self.ages, percent));
        format!(
            "{} | {p50:.1?} | {p99:.1?} {} | {oldest:.1?} | {} in {:.0?}, {share:.1} % {} | {} | {}",
            self.pages,
            met(p99 <= OLDEST && self.ageless == 0),
            self.look_ups,
            self.time,
            met(share <= f64::from(options.share)),
            self.pages_read,
            self.sealed,
        )
    }
}

async fn sum_of_feeds(bed: &TestBed, field: &str) -> Result<u64, Failure> {
    let mut sum = 0;
    for warehouse in &bed.config.warehouses {
        sum += number(&bed.feed(warehouse).await?, field);
    }
    Ok(sum)
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

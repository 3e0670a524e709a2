//! The fault rig: makes things go wrong on purpose and measures what the connector does about it.
//!
//! Prints one table row for each fault and writes the table to a file. Ends with failure if a target
//! is missed or if a fault did not happen.

mod broken_pages;
mod calm_base;
mod clock_steps;
mod dead_d365;
mod dead_workers;
mod greedy_callers;
mod lost_state;
mod one_cold_sku;
mod outcome;
mod scale;
mod shop;
mod throttling;
mod token_endpoint;

use futures_util::{StreamExt, stream};
use integration_tests::test_bed::Failure;
use outcome::Outcome;
use scale::Scale;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

/// Rows under way at once: most of them wait most of the time.
const AT_ONCE: usize = 3;
/// No row may take longer.
const LONGEST_ROW: Duration = Duration::from_mins(20);

/// Command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The rows CI runs, at a small scale.
    #[arg(long)]
    quick: bool,
    /// Only these rows, as `F3,F8`.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Repeats a run.
    #[arg(long)]
    seed: Option<u64>,
    /// How often a row that misses is run before it counts; the table says when it took more than one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3))]
    tries: u32,
    /// The file the table is written to.
    #[arg(long, default_value = "target/faults.md")]
    report: PathBuf,
}

type Running = Pin<Box<dyn Future<Output = Result<Outcome, Failure>>>>;

/// A fault and how it is tried.
struct Row {
    id: &'static str,
    fault: &'static str,
    /// Whether it belongs to the rows CI runs.
    quick: bool,
    /// Whether it measures what other rows beside it would disturb.
    alone: bool,
    run: fn(Scale) -> Running,
}

const fn row(
    id: &'static str,
    [quick, alone]: [bool; 2],
    fault: &'static str,
    run: fn(Scale) -> Running,
) -> Row {
    Row {
        id,
        fault,
        quick,
        alone,
        run,
    }
}

/// All rows in their order.
#[rustfmt::skip]
const ROWS: [Row; 16] = [
    row("BASE", [false, true], "nothing goes wrong", |s| Box::pin(calm_base::measured(s))),
    row("F3", [true, false], "Redis TIME steps back by 30 s, then forward", |s| Box::pin(clock_steps::by_30_seconds(s))),
    row("F7", [true, false], "Redis restarts empty", |s| Box::pin(lost_state::redis_restarts_empty(s))),
    row("F8", [true, false], "a page fails: 500, cut, bad JSON, HTML, 403", |s| Box::pin(broken_pages::failing_pages(s))),
    row("F9", [true, false], "snapshot empty, halved, of another company, of one warehouse only", |s| Box::pin(broken_pages::wrong_snapshots(s))),
    row("F13", [true, false], "429 with seconds, date, nothing, growing; 3 workers", |s| Box::pin(throttling::asked_to_wait(s))),
    row("F14", [true, true], "D365 swallows everything", |s| Box::pin(dead_d365::black_hole(s))),
    row("F15", [false, true], "D365 trickles, takes 30 s, half-closes", |s| Box::pin(dead_d365::trickle(s))),
    row("F16", [false, false], "D365 flaps, 10 s on, 10 s off", |s| Box::pin(throttling::flapping(s))),
    row("F17", [true, true], "1,000 orders at once for one cold SKU", |s| Box::pin(one_cold_sku::ordered_at_once(s))),
    row("F19", [false, false], "schedule, leases, cycles, feed records evicted", |s| Box::pin(lost_state::evicted_keys(s))),
    row("F21", [true, false], "a worker is killed mid-cycle, another at its begin", |s| Box::pin(dead_workers::killed(s))),
    row("F23", [true, false], "all workers dead", |s| Box::pin(dead_workers::all_dead(s))),
    row("F25", [true, false], "D365's token revoked, its endpoint slow, then down", |s| Box::pin(token_endpoint::revoked_slow_down(s))),
    row("F29", [false, true], "oversized, slow and idle callers", |s| Box::pin(greedy_callers::beside_others(s))),
    row("F32", [true, false], "Redis forgets its scripts", |s| Box::pin(lost_state::scripts_forgotten(s))),
];

/// What a row has shown.
struct Shown {
    id: &'static str,
    line: String,
    is_met: bool,
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
pub(crate) async fn run(options: &Options) -> Result<ExitCode, Failure> {
    let seed = options
        .seed
        .unwrap_or_else(|| u64::from(std::process::id()) * 1_000_003);
    let scale = Scale::new(seed, options.quick);
    let chosen = ROWS.iter().filter(|row| {
        if options.rows.is_empty() {
            row.quick || !options.quick
        } else {
            let named = |id: &String| id.eq_ignore_ascii_case(row.id);
            options.rows.iter().any(named)
        }
    });
    let mut report = format!(
        "Fault rig, seed {seed}, {scale}\n\n\
         | row | fault | measured (target) | proof that it happened | verdict |\n|---|---|---|---|---|"
    );
    println!("{report}");
    let (alone, together): (Vec<&Row>, Vec<&Row>) = chosen.partition(|row| row.alone);
    let together = stream::iter(together)
        .map(|row| show(row, scale, options.tries))
        .buffer_unordered(AT_ONCE);
    let alone = stream::iter(alone).then(|row| show(row, scale, options.tries));
    let mut shown = std::pin::pin!(together.chain(alone));
    let mut missed = Vec::new();
    while let Some(shown) = shown.next().await {
        println!("{}", shown.line);
        report = format!("{report}\n{}", shown.line);
        // After each row: an interrupted run leaves what it has shown.
        std::fs::write(&options.report, format!("{report}\n"))?;
        if !shown.is_met {
            missed.push(shown.id);
        }
    }
    if missed.is_empty() {
        println!("\nall met");
        return Ok(ExitCode::SUCCESS);
    }
    println!("\nMISSED: {} (repeat with SEED={seed})", missed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Runs a row until it is met, so often at most.
#[expect(
    clippy::print_stderr,
    reason = "a row that missed is shown before it is tried again"
)]
async fn show(row: &Row, scale: Scale, tries: u32) -> Shown {
    let mut number = 1;
    let mut shown = try_once(row, scale).await;
    while !shown.is_met && number < tries {
        eprintln!("{} MISSED, tried again |", shown.line);
        number += 1;
        shown = try_once(row, scale).await;
    }
    let verdict = match (shown.is_met, number) {
        (false, _) => "MISSED".to_owned(),
        (true, 1) => "met".to_owned(),
        (true, _) => format!("met, try {number}"),
    };
    shown.line = format!("{} {verdict} |", shown.line);
    shown
}

async fn try_once(row: &Row, scale: Scale) -> Shown {
    let outcome = match tokio::time::timeout(LONGEST_ROW, (row.run)(scale)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(format!("not over after {LONGEST_ROW:?}").into()),
    };
    let (measured, proof, is_met) = match outcome {
        Ok(outcome) => (outcome.measured(), outcome.proof(), outcome.is_met()),
        Err(error) => (format!("failed: {error}"), "none".to_owned(), false),
    };
    Shown {
        id: row.id,
        line: format!("| {} | {} | {measured} | {proof} |", row.id, row.fault),
        is_met,
    }
}

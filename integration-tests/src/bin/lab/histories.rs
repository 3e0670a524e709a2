//! Random histories of orders against the running pair: prints what happened and each reply that
//! breaks a rule. Fails if there is one, or if a kind of event never happened.

use integration_tests::order_histories::{self, HouseError, Plan};
use std::process::ExitCode;
use std::time::Duration;

/// A confirmed hold's own time, the pauses of those who look after it, and the rest.
const FORGET_WITHIN: Duration = Duration::from_mins(5);

/// Command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many, one SKU each.
    #[arg(long, default_value_t = 100_000)]
    histories: u64,
    /// Repeats a run's draws.
    #[arg(long)]
    seed: Option<u64>,
    /// Under way at the same time.
    #[arg(long, default_value_t = 2_000)]
    at_once: usize,
    /// Seconds an order is held that nobody settles.
    #[arg(long, default_value_t = 15)]
    hold_seconds: u64,
}

#[expect(clippy::print_stdout, reason = "the report is what the program is for")]
pub(crate) async fn run(options: &Options) -> Result<ExitCode, HouseError> {
    let seed = options
        .seed
        .unwrap_or_else(|| u64::from(std::process::id()) * 1_000_003);
    let plan = Plan {
        histories: options.histories,
        seed,
        at_once: options.at_once,
        hold: Duration::from_secs(options.hold_seconds),
        forget_within: Some(FORGET_WITHIN),
    };
    let report = order_histories::run(&plan).await?;
    println!("{report}");
    let is_met = report.is_met();
    println!(
        "\n{} (SEED={seed})",
        if is_met { "all met" } else { "MISSED" }
    );
    Ok(if is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

//! Random histories of orders against the whole house: prints what happened and what was told that
//! may not be, and ends with failure if there is any, if a kind of event never happened, or if a run
//! without a guard stays green.

use integration_tests::order_histories::{self, HouseError, Plan};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Guards the judge must miss when they are gone.
const GUARDS: [&str; 3] = ["HoldsCompared", "ConfirmedEnds", "HoldsSubtracted"];
/// Histories of a run without a guard.
const CONTROL_HISTORIES: u64 = 1_500;
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
    /// Folder of the programs whose guards can be switched off; without it no guard is.
    #[arg(long)]
    controls: Option<PathBuf>,
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
        guard: None,
    };
    let report = order_histories::run(&plan).await?;
    println!("{report}");
    let mut is_met = report.is_met();
    for guard in GUARDS {
        let Some(folder) = &options.controls else {
            break;
        };
        let control = Plan {
            histories: CONTROL_HISTORIES,
            guard: Some((folder.clone(), guard.to_owned())),
            ..plan.clone()
        };
        let without = order_histories::run(&control).await?;
        let is_noticed = !without.violations().is_empty();
        let colour = if is_noticed { "red" } else { "STAYED GREEN" };
        println!("without {guard}: {colour}, {}", without.summary());
        is_met &= is_noticed;
    }
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

//! The fault rig: makes things go wrong on purpose, measures what the connector does about it, and
//! shows with each guard switched off that it would have noticed.
//!
//! Prints one table row a fault. Ends with failure if a target is missed, if a fault did not happen,
//! or if a row stays green without its guard.

mod outcome;
mod rows;
mod stage;

use outcome::{Outcome, RowError};
use rows::{ROWS, Row};
use stage::{Rig, Scale};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// No row may take longer.
const LONGEST_ROW: Duration = Duration::from_mins(20);

/// Command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The rows CI runs, at a small scale.
    #[arg(long)]
    quick: bool,
    /// Only these rows, as `F1,F8`.
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// Repeats a run.
    #[arg(long)]
    seed: Option<u64>,
    /// Folder of the programs whose guards can be switched off.
    #[arg(long)]
    controls: PathBuf,
    /// Only the product, not its negative controls.
    #[arg(long)]
    without_controls: bool,
    /// How often a row that misses is run before it counts; the table says when it took more than one.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3))]
    tries: u32,
}

/// What one run of a row, with its negative control, has shown.
struct Shown {
    line: String,
    is_met: bool,
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
pub(crate) async fn run(options: &Options) -> ExitCode {
    let seed = options
        .seed
        .unwrap_or_else(|| u64::from(std::process::id()) * 1_000_003);
    let scale = if options.quick {
        Scale::QUICK
    } else {
        Scale::FULL
    };
    let chosen = ROWS.iter().filter(|row| {
        if options.rows.is_empty() {
            row.quick || !options.quick
        } else {
            options
                .rows
                .iter()
                .any(|id| id.eq_ignore_ascii_case(row.id))
        }
    });
    println!("fault rig, seed {seed}, {scale}\n");
    println!(
        "| row | fault | measured (target) | proof that it happened | without its guard | verdict |"
    );
    println!("|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    for row in chosen {
        let mut shown = show(row, seed, scale, options).await;
        let mut tries = 1;
        while !shown.is_met && tries < options.tries {
            println!("{} MISSED, tried again |", shown.line);
            tries += 1;
            shown = show(row, seed, scale, options).await;
        }
        let verdict = match (shown.is_met, tries) {
            (false, _) => "MISSED".to_owned(),
            (true, 1) => "met".to_owned(),
            (true, _) => format!("met, try {tries}"),
        };
        println!("{} {verdict} |", shown.line);
        if !shown.is_met {
            missed.push(row.id);
        }
    }
    if missed.is_empty() {
        println!("\nall met");
        return ExitCode::SUCCESS;
    }
    println!("\nMISSED: {} (repeat with SEED={seed})", missed.join(", "));
    ExitCode::FAILURE
}

async fn show(row: &Row, seed: u64, scale: Scale, options: &Options) -> Shown {
    let plain = Rig::new(seed, scale, None, &options.controls);
    let product = run_row(row, plain).await;
    let is_met = matches!(&product, Ok(outcome) if outcome.is_met());
    let control = if options.without_controls {
        "not run".to_owned()
    } else {
        let rig = Rig::new(seed, scale, Some(row.guard), &options.controls);
        match run_row(row, rig).await {
            Ok(outcome) if outcome.is_met() => format!("{}: STAYED GREEN", row.guard),
            Ok(outcome) => format!("{}: red, {}", row.guard, outcome.missed()),
            // A row that cannot even be brought to its fault has shown nothing.
            Err(error) => format!("{}: STAYED GREEN ({error})", row.guard),
        }
    };
    let is_noticed = !control.contains("STAYED GREEN");
    let (measured, proof) = match &product {
        Ok(outcome) => (outcome.measured(), outcome.proof()),
        Err(error) => (format!("failed: {error}"), "none".to_owned()),
    };
    Shown {
        line: format!(
            "| {} | {} | {measured} | {proof} | {control} |",
            row.id, row.fault
        ),
        is_met: is_met && is_noticed,
    }
}

async fn run_row(row: &Row, rig: Rig) -> Result<Outcome, RowError> {
    tokio::time::timeout(LONGEST_ROW, (row.run)(rig)).await?
}

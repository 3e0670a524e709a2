//! The fault rig: makes things go wrong on purpose, measures what the connector does about it, and
//! shows with each guard switched off that it would have noticed.
//!
//! Prints one table row a fault. Ends with failure if a target is missed, if a fault did not happen,
//! or if a row stays green without its guard.

mod outcome;
mod rows;
mod stage;

use clap::Parser;
use outcome::{Outcome, RowError};
use rows::{ROWS, Row};
use stage::{Rig, Scale};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// No row may take longer.
const LONGEST_ROW: Duration = Duration::from_mins(20);

/// Command line.
#[derive(Debug, Parser)]
struct Options {
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
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
async fn main() -> ExitCode {
    let options = Options::parse();
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
        let plain = Rig::new(seed, scale, None, &options.controls);
        let product = run(row, plain).await;
        let is_met = matches!(&product, Ok(outcome) if outcome.is_met());
        let control = if options.without_controls {
            "not run".to_owned()
        } else {
            let rig = Rig::new(seed, scale, Some(row.guard), &options.controls);
            match run(row, rig).await {
                Ok(outcome) if outcome.is_met() => format!("{}: STAYED GREEN", row.guard),
                Ok(outcome) => format!("{}: red, {}", row.guard, outcome.missed()),
                // A row that cannot even be brought to its fault has shown nothing.
                Err(error) => format!("{}: STAYED GREEN ({error})", row.guard),
            }
        };
        let is_noticed = !control.contains("STAYED GREEN");
        let verdict = if is_met && is_noticed {
            "met"
        } else {
            "MISSED"
        };
        let (measured, proof) = match &product {
            Ok(outcome) => (outcome.measured(), outcome.proof()),
            Err(error) => (format!("failed: {error}"), "none".to_owned()),
        };
        println!(
            "| {} | {} | {measured} | {proof} | {control} | {verdict} |",
            row.id, row.fault
        );
        if verdict != "met" {
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

async fn run(row: &Row, rig: Rig) -> Result<Outcome, RowError> {
    tokio::time::timeout(LONGEST_ROW, (row.run)(rig)).await?
}

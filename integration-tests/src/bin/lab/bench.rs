//! Compares `POST /inventory/v1/inventories` with the things it stands on, side by side in one run:
//! the same Redis commands without HTTP (redis-benchmark), another HTTP face of Redis (webdis), and
//! actix answering a constant of the same size. Prints a table in Markdown; nothing here fails on a
//! slow machine.

pub(crate) mod constant;
mod load;
mod process;
mod sides;

use load::Load;
use sides::{Measured, Stage};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Folder with the built programs.
    #[arg(long, default_value = "target/release")]
    programs: PathBuf,
    /// Seconds of load per side, batch size and round.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds; each visits every side, the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Callers at once.
    #[arg(long, default_value_t = 32)]
    callers: u32,
}

const BATCHES: [usize; 3] = [1, 24, 200];

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
pub(crate) fn run(options: &Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let load = Load {
        time: Duration::from_secs(options.seconds.clamp(1, 60)),
        callers: options.callers.clamp(1, 256),
    };
    let stage = Stage::set_up(&options.programs)?;
    println!("| SKUs | side | requests/s | CPU us/request (server) | CPU us/request (Redis) |");
    println!("|---:|---|---:|---:|---:|");
    for batch in BATCHES {
        let mut rounds: Vec<Vec<Measured>> = Vec::new();
        for _ in 0..options.rounds.clamp(1, 20) {
            rounds.push(stage.measure_all_sides(batch, &load)?);
        }
        for side in 0..rounds[0].len() {
            let all: Vec<&Measured> = rounds.iter().map(|round| &round[side]).collect();
            println!("{}", table_row(batch, &all));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table_row(batch: usize, rounds: &[&Measured]) -> String {
    let rate = median(rounds.iter().map(|m| m.requests_per_second));
    let server = median(rounds.iter().map(|m| m.server_us));
    let redis = median(rounds.iter().map(|m| m.redis_us));
    let server = if server > 0.0 {
        format!("{server:.1}")
    } else {
        "-".to_owned()
    };
    let redis = if redis > 0.0 {
        format!("{redis:.1}")
    } else {
        "-".to_owned()
    };
    format!(
        "| {batch} | {} | {rate:.0} | {server} | {redis} |",
        rounds[0].side
    )
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

//! Compares `POST /inventory/v1/inventories` with the things it stands on, side by side in one run:
//! the same Redis commands without HTTP (redis-benchmark), another HTTP face of Redis (webdis), and
//! actix answering a constant of the same size. Prints a table in Markdown; nothing here fails on a
//! slow machine.

pub(crate) mod constant;
mod load;
mod sides;

use integration_tests::test_bed::Failure;
use load::Load;
use sides::{Measured, Sides};
use std::process::ExitCode;
use std::time::Duration;

/// Command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Seconds of load per side, batch size and round.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Rounds; each visits every side, the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=20))]
    rounds: u64,
    /// Callers at once.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=256))]
    callers: u32,
}

const BATCHES: [u32; 3] = [1, 24, 200];

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
pub(crate) async fn run(options: &Options) -> Result<ExitCode, Failure> {
    let load = Load {
        time: Duration::from_secs(options.seconds),
        callers: options.callers,
    };
    let sides = Sides::start().await?;
    println!("| SKUs | side | requests/s | CPU us/request (server) | CPU us/request (Redis) |");
    println!("|---:|---|---:|---:|---:|");
    for batch in BATCHES {
        let mut rounds: Vec<Vec<Measured>> = Vec::new();
        for _ in 0..options.rounds {
            rounds.push(sides.measure_all(batch, &load).await?);
        }
        for side in 0..rounds[0].len() {
            let of_side = |value: fn(&Measured) -> f64| {
                let mut values: Vec<f64> = rounds.iter().map(|round| value(&round[side])).collect();
                values.sort_by(f64::total_cmp);
                values[values.len() / 2]
            };
            println!(
                "| {batch} | {} | {:.0} | {} | {} |",
                rounds[0][side].side,
                of_side(|measured| measured.per_second),
                micros(of_side(|measured| measured.server_us)),
                micros(of_side(|measured| measured.redis_us)),
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn micros(us: f64) -> String {
    if us > 0.0 {
        format!("{us:.1}")
    } else {
        "-".to_owned()
    }
}

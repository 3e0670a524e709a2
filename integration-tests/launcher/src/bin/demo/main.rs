//! The demo: a simulated D365, Redis, two workers and one API, with everything shown and checked.
//!
//! Starts the house, shows the first snapshot, asks a FAST and an EXACT question and compares the
//! replies with what the simulator says is true. Then runs until Ctrl-C, or runs a command given
//! after `--` against the house, or ends at once (`--once`). Whatever happens, everything that was
//! started is stopped.

mod console;
mod control;
mod error;
mod first_snapshot;
mod flags;
mod house;
mod interrupt;
mod ports;
mod redis_cli;
mod tour;
mod visitor;

use clap::Parser;
use error::DemoError;
use flags::Flags;
use house::House;
use interrupt::Interrupts;
use ports::Ports;
use std::process::ExitCode;

/// Movements a second in the simulated D365 while the demo runs on.
const SALES_PER_SECOND: u32 = 20;

/// As a shell reports a program that a signal ended.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let mut interrupts = match Interrupts::listen() {
        Ok(interrupts) => interrupts,
        Err(error) => return console::failure(&error),
    };
    let mut house = House::default();
    let outcome = tokio::select! {
        outcome = run(&flags, &mut house) => outcome,
        () = interrupts.next() => Ok(End::Interrupted),
    };
    // Told first: stopping takes seconds, and the reason must not scroll away behind it.
    let code = match outcome {
        Ok(End::Done(code)) => code,
        Ok(End::Interrupted) if house.was_shown() => ExitCode::SUCCESS,
        Ok(End::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => console::failure(&error),
    };
    tokio::select! {
        stopped = house.stop() => match stopped {
            Ok(()) => code,
            Err(error) => console::failure(&error),
        },
        // Asked twice: no patience left. What still runs is killed as `house` is dropped.
        () = interrupts.next() => ExitCode::from(INTERRUPTED),
    }
}

/// How a demo without a failure ended.
enum End {
    /// By itself, with this result.
    Done(ExitCode),
    /// By Ctrl-C or a request to end.
    Interrupted,
}

async fn run(flags: &Flags, house: &mut House) -> Result<End, DemoError> {
    let ports = Ports::choose(flags)?;
    let view = house.open(flags, ports).await?;
    first_snapshot::show(house, &view).await?;
    tour::walk(&view).await?;
    house.check_logs()?;
    house.shown();
    if let Some((command, arguments)) = flags.visitor.split_first() {
        let code = visitor::run(command, arguments, &view).await?;
        house.check_running()?;
        return Ok(End::Done(code));
    }
    if flags.once {
        console::say("\nEverything is as promised.");
        return Ok(End::Done(ExitCode::SUCCESS));
    }
    view.control.set_sales(SALES_PER_SECOND).await?;
    console::say(&format!(
        "\nThe simulator now moves stock {SALES_PER_SECOND} times a second. Running until Ctrl-C."
    ));
    Err(house.first_to_end().await)
}

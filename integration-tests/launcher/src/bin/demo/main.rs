//! The demo: a simulated D365, Redis, two workers and one API, with everything shown and checked.
//!
//! Shows the first snapshot, asks a FAST and an EXACT question and compares the replies with what the
//! simulator says is true. Then runs until Ctrl-C, or runs a command given after `--`, or ends at once
//! (`--once`). Whatever happens, everything that was started is stopped.

mod console;
mod control;
mod first_snapshot;
mod ports;
mod programs;
mod tour;

use clap::Parser;
use console::say;
use ports::{PortFlags, Ports};
use programs::Programs;
use std::ffi::OsString;
use std::process::ExitCode;
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Why the demo failed, in words.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Everything on one machine: a simulated D365, Redis, two workers and one API.
///
/// Uses the Redis of `CONNECTOR__REDIS__URL` if that is set, else starts a private one.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// End after the replies, with an exit code that says whether they were as promised.
    #[arg(long)]
    once: bool,
    /// Item numbers in the simulated D365.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    items: u32,
    /// Warehouses in the simulated D365.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50))]
    warehouses: u32,
    #[command(flatten)]
    ports: PortFlags,
    /// A command to run against the services; the demo then ends with the command's exit code. It finds
    /// the addresses in `INVENTORY_API_URL` and `PREFETCH_WORKER_URL`.
    #[arg(last = true, conflicts_with = "once")]
    command: Vec<OsString>,
}

/// Movements a second in the simulated D365 while the demo runs on.
const SALES_PER_SECOND: u32 = 20;

/// As a shell reports a program that a signal ended.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let flags = Flags::parse();
    let mut signals = Signals::listen()?;
    let mut programs = Programs::default();
    let outcome = tokio::select! {
        outcome = run(&flags, &mut programs) => outcome,
        () = signals.next() => Ok(programs.interrupted()),
    };
    // Said first: stopping takes seconds, and the reason must not scroll away behind it.
    let code = outcome.unwrap_or_else(|error| console::failure(&*error));
    tokio::select! {
        stopped = programs.stop() => match stopped {
            Ok(()) => Ok(code),
            Err(error) => Ok(console::failure(&*error)),
        },
        // Asked twice: what still runs is killed as `programs` is dropped.
        () = signals.next() => Ok(ExitCode::from(INTERRUPTED)),
    }
}

async fn run(flags: &Flags, programs: &mut Programs) -> Result<ExitCode, Failure> {
    let ports = Ports::choose(&flags.ports)?;
    let view = programs.start(flags, ports).await?;
    first_snapshot::show(programs, &view).await?;
    tour::walk(&view).await?;
    programs.check_logs()?;
    if let Some((program, arguments)) = flags.command.split_first() {
        let status = Command::new(program)
            .args(arguments)
            .env("INVENTORY_API_URL", &view.api_url)
            .env("PREFETCH_WORKER_URL", &view.worker_url)
            .kill_on_drop(true)
            .status()
            .await?;
        programs.check_running()?;
        // A command that a signal ended counts as failed.
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
    }
    if flags.once {
        say("\nEverything is as promised.");
        return Ok(ExitCode::SUCCESS);
    }
    programs.was_shown = true;
    view.control.set_sales(SALES_PER_SECOND).await?;
    say(&format!(
        "\nThe simulator now moves stock {SALES_PER_SECOND} times a second. Running until Ctrl-C."
    ));
    Err(programs.first_to_end().await)
}

/// Ctrl-C, a request to end, a closed terminal.
struct Signals([Signal; 3]);

impl Signals {
    /// From now on these signals no longer end the process by themselves.
    fn listen() -> std::io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hang_up] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}

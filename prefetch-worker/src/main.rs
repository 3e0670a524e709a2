//! The `prefetch-worker` program.

use clap::Parser;
use prefetch_worker::command_line::CommandLine;
use std::process::ExitCode;

fn main() -> ExitCode {
    prefetch_worker::command_line::execute(&CommandLine::parse())
}

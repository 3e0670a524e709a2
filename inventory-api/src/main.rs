//! The inventory API's program.

use clap::Parser;
use inventory_api::command_line::CommandLine;
use std::process::ExitCode;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    CommandLine::parse().execute().await
}

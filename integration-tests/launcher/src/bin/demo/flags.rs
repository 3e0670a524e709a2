//! What can be chosen on the command line.

use clap::Parser;
use std::ffi::OsString;

/// The whole house on one machine: a simulated D365, Redis, two workers and one API.
///
/// Uses the Redis of `CONNECTOR__REDIS__URL` if that is set, else starts a private one.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Flags {
    /// End after the replies, with an exit code that says whether they were as promised.
    #[arg(long)]
    pub(crate) once: bool,
    /// Item numbers in the simulated D365.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub(crate) items: u32,
    /// Warehouses in the simulated D365.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=50))]
    pub(crate) warehouses: u32,
    /// Port of the API [default: 8080]; 0 is a free one, here and below.
    #[arg(long)]
    pub(crate) api_port: Option<u16>,
    /// Port of the API's probes and metrics [default: 8081].
    #[arg(long)]
    pub(crate) api_management_port: Option<u16>,
    /// Port of the first worker [default: 8090]; the second takes a free one.
    #[arg(long)]
    pub(crate) worker_port: Option<u16>,
    /// Port of the first worker's probes and metrics [default: 8091].
    #[arg(long)]
    pub(crate) worker_management_port: Option<u16>,
    /// Port of the simulated D365 [default: 8070].
    #[arg(long)]
    pub(crate) simulator_port: Option<u16>,
    /// Take free ports for everything that has no port of its own above.
    #[arg(long)]
    pub(crate) free_ports: bool,
    /// A command to run against the house, which then ends with the command's exit code. It finds
    /// the addresses in `INVENTORY_API_URL` and `PREFETCH_WORKER_URL`.
    #[arg(last = true, conflicts_with = "once")]
    pub(crate) visitor: Vec<OsString>,
}

//! What is tried and measured by hand or in CI beside the tests: benchmarks, the fault rig, random
//! histories of orders. One program, so that all of it is linked once.

mod bench;
mod bench_demand;
mod bench_prefetch;
mod faults;
mod full_size;
mod histories;

use clap::{Parser, Subcommand};
use integration_tests::test_bed::Failure;
use std::process::ExitCode;

/// Benchmarks, faults and histories of the stock connector.
#[derive(Debug, Parser)]
struct Lab {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Requests/s and CPU beside redis-benchmark, webdis and a constant reply.
    Bench(bench::Options),
    /// Age of the SKUs asked for most between snapshots, and the calls it costs.
    BenchDemand(bench_demand::Options),
    /// Rows/s, CPU and memory of workers beside the floor; browsing beside a prefetch.
    BenchPrefetch(bench_prefetch::Options),
    /// The fault rig.
    Faults(faults::Options),
    /// Random histories of orders.
    Histories(histories::Options),
    /// Serves a constant reply on a free port until the process ends.
    #[command(hide = true)]
    ConstantReply {
        /// Length of the reply.
        bytes: usize,
    },
    /// Reads all pages and throws them away.
    #[command(hide = true)]
    PrefetchFloor(bench_prefetch::floor::Options),
}

fn main() -> Result<ExitCode, Failure> {
    let what = Lab::parse().what;
    // A runtime of its own kind, so it is served outside of ours.
    if let What::ConstantReply { bytes } = what {
        bench::constant::serve(bytes)?;
        return Ok(ExitCode::SUCCESS);
    }
    tokio::runtime::Runtime::new()?.block_on(async {
        match what {
            What::Bench(options) => bench::run(&options).await,
            What::BenchDemand(options) => bench_demand::run(&options).await,
            What::BenchPrefetch(options) => bench_prefetch::run(&options).await,
            What::Faults(options) => faults::run(&options).await,
            What::Histories(options) => histories::run(&options)
                .await
                .map_err(|error| error.to_string().into()),
            What::PrefetchFloor(options) => bench_prefetch::floor::run(options).await,
            What::ConstantReply { .. } => Ok(ExitCode::SUCCESS),
        }
    })
}

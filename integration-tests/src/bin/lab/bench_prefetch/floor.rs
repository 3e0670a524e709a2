//! The floor: a program that fetches and parses the same pages and stores nothing.
//!
//! A process of its own, so that its processor time can be told from the simulator's.

use crate::bench_prefetch::usage::Usage;
use d365_simulator::Config;
use std::io::{Error, Read as _, Result};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Reads all pages of all warehouses, so many at once.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn read_all(d365: &str, warehouses: &[String], at_once: usize) -> Result<Usage> {
    let begun = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .arg("prefetch-floor")
        .args(["--d365", d365, "--at-once", &at_once.to_string()])
        .args(["--directory", Config::ENTRA_TENANT])
        .args([
            "--client",
            Config::CLIENT_ID,
            "--secret",
            Config::CLIENT_SECRET,
        ])
        .args(warehouses)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = [0; 1];
    let mut output = child
        .stdout
        .take()
        .ok_or_else(|| Error::other("no output"))?;
    // It says one byte when it is done, and waits to be looked at.
    output.read_exact(&mut said)?;
    let time = begun.elapsed();
    let usage = Usage::of_process(child.id())?;
    drop(child.stdin.take());
    child.wait()?;
    Ok(Usage { time, ..usage })
}

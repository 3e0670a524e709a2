//! What a process uses, as the kernel counts it.

use std::fs;
use std::io::{Error, Result};
use std::time::Duration;

/// CPU time of a process so far, user and kernel, by all its threads.
pub fn cpu_time(process: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field is the name in parentheses and may hold blanks.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    // The kernel's tick for /proc is 1/100 s on every Linux there is.
    Ok(Duration::from_millis(ticks * 10))
}

/// Resident memory of a process now, in MB.
pub fn resident_mb(process: u32) -> Result<f64> {
    status(process, "VmRSS:")
}

/// The most memory a process has ever had resident, in MB.
pub fn peak_resident_mb(process: u32) -> Result<f64> {
    status(process, "VmHWM:")
}

fn status(process: u32, field: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kilobytes: f64 = status
        .lines()
        .find_map(|line| {
            line.strip_prefix(field)?
                .trim()
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
        .ok_or_else(|| Error::other(format!("the kernel does not say {field}")))?;
    Ok(kilobytes / 1_024.0)
}

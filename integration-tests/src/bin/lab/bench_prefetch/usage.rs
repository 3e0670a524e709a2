//! What a process has used, as the kernel counts it.

use std::fs;
use std::io::{Error, Result};
use std::time::Duration;

/// Time, processor and memory.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) time: Duration,
    pub(crate) cpu: Duration,
    pub(crate) peak_megabytes: f64,
}

impl Usage {
    /// Of a running process since its start.
    pub(crate) fn of_process(id: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The second field is the name in parentheses and may hold blanks.
        let ticks: u64 = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let kilobytes: f64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse().ok())
            .ok_or_else(|| Error::other("the kernel tells no peak memory"))?;
        Ok(Self {
            time: Duration::ZERO,
            // The kernel's tick for /proc is 1/100 s on every Linux there is.
            cpu: Duration::from_millis(ticks * 10),
            peak_megabytes: kilobytes / 1_024.0,
        })
    }
}

//! The load tools: wrk for HTTP, redis-benchmark for Redis. Loopback only, bounded in time.

use std::fmt::Write as _;
use std::io::{Error, Result};
use std::process::Command;
use std::time::Duration;

/// How hard and how long.
pub(crate) struct Load {
    pub(crate) time: Duration,
    pub(crate) callers: u32,
}

/// Requests answered and how long that took.
pub(crate) struct Rate {
    pub(crate) requests: f64,
    pub(crate) per_second: f64,
}

/// An HTTP question: a POST with a body or a GET.
pub(crate) struct Question {
    pub(crate) url: String,
    pub(crate) body: Option<String>,
}

impl Load {
    /// wrk against one address.
    pub(crate) fn http(&self, question: &Question) -> Result<Rate> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("question.lua");
        let mut lua = String::new();
        if let Some(body) = &question.body {
            let _ = write!(
                lua,
                "wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\nwrk.body = [==[{body}]==]\n"
            );
        }
        lua.push_str(
            "done = function(summary, latency, requests)\n  local e = summary.errors\n  \
             print(string.format('RESULT %d %d %d', summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout))\nend\n",
        );
        std::fs::write(&script, lua)?;
        let output = Command::new("wrk")
            .args([
                "-t1",
                &format!("-c{}", self.callers),
                &format!("-d{}s", self.time.as_secs()),
            ])
            .arg("-s")
            .arg(&script)
            .arg(&question.url)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> = text
            .lines()
            .find_map(|line| line.strip_prefix("RESULT "))
            .ok_or_else(|| Error::other(format!("wrk said: {text}")))?
            .split(' ')
            .filter_map(|number| number.parse().ok())
            .collect();
        let [requests, micros, errors] = numbers[..] else {
            return Err(Error::other(format!("wrk said: {text}")));
        };
        if errors > 0.0 {
            return Err(Error::other(format!(
                "{errors} requests to {} failed",
                question.url
            )));
        }
        Ok(Rate {
            requests,
            per_second: requests * 1e6 / micros,
        })
    }

    /// redis-benchmark with the batch's commands in one pipeline; a request is one pipeline.
    pub(crate) fn redis(&self, port: u16, batch: usize, command: &[&str]) -> Result<Rate> {
        // One command more than SKUs: the warehouse's record.
        let pipeline = batch + 1;
        let expected = 40_000_u64.max(200_000 / pipeline as u64) * self.time.as_secs();
        let commands = expected * pipeline as u64 / 4;
        let output = Command::new("redis-benchmark")
            .args([
                "-p",
                &port.to_string(),
                "-c",
                &self.callers.to_string(),
                "--csv",
            ])
            .args([
                "-P",
                &pipeline.to_string(),
                "-n",
                &commands.to_string(),
                "-r",
                "1000",
            ])
            .args(command)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let per_second: f64 = text
            .lines()
            .rev()
            .find_map(|line| {
                line.rsplit_once("\",\"")
                    .and_then(|_| line.split("\",\"").nth(1)?.parse().ok())
            })
            .ok_or_else(|| Error::other(format!("redis-benchmark said: {text}")))?;
        let pipeline = f64::from(u32::try_from(pipeline).unwrap_or(u32::MAX));
        let commands = f64::from(u32::try_from(commands).unwrap_or(u32::MAX));
        Ok(Rate {
            requests: commands / pipeline,
            per_second: per_second / pipeline,
        })
    }
}

//! The load tools: wrk for HTTP, redis-benchmark for Redis. Loopback only, bounded in time.

use integration_tests::test_bed::Failure;
use std::fmt::Write as _;
use std::time::Duration;
use tokio::process::Command;

/// How hard and how long.
pub(super) struct Load {
    pub(super) time: Duration,
    pub(super) callers: u32,
}

/// Requests answered and how many that is a second.
pub(super) struct Rate {
    pub(super) requests: f64,
    pub(super) per_second: f64,
}

const DONE: &str = "done = function(summary, latency, requests)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  print(string.format('RESULT %d %d %d', summary.requests, summary.duration, failed))
end
";

impl Load {
    /// wrk against one address: a POST with a body or a GET.
    pub(super) async fn http(&self, url: &str, body: Option<&str>) -> Result<Rate, Failure> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("question.lua");
        let mut lua = DONE.to_owned();
        if let Some(body) = body {
            lua.push_str("wrk.method = 'POST'\nwrk.headers['Content-Type'] = 'application/json'\n");
            writeln!(lua, "wrk.body = [==[{body}]==]")?;
        }
        std::fs::write(&script, lua)?;
        let (callers, time) = (self.callers, self.time.as_secs());
        let output = Command::new("wrk")
            .args(["-t1", &format!("-c{callers}"), &format!("-d{time}s"), "-s"])
            .arg(&script)
            .arg(url)
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let result = text.lines().find_map(|line| line.strip_prefix("RESULT "));
        let numbers: Vec<f64> = result
            .unwrap_or_default()
            .split(' ')
            .filter_map(|number| number.parse().ok())
            .collect();
        let [requests, micros, errors] = numbers[..] else {
            return Err(format!("wrk said: {text}").into());
        };
        if errors > 0.0 {
            return Err(format!("{errors} requests to {url} failed").into());
        }
        Ok(Rate {
            requests,
            per_second: requests * 1e6 / micros,
        })
    }

    /// redis-benchmark with the batch's commands in one pipeline; a request is one pipeline.
    pub(super) async fn redis(
        &self,
        port: u16,
        batch: u32,
        command: &[&str],
    ) -> Result<Rate, Failure> {
        // One command more than SKUs: the warehouse's record.
        let pipeline = batch + 1;
        let a_second = 40_000.max(200_000 / pipeline);
        let commands = a_second * pipeline * u32::try_from(self.time.as_secs())? / 4;
        let output = Command::new("redis-benchmark")
            .args(["-p", &port.to_string(), "-c", &self.callers.to_string()])
            .args(["-P", &pipeline.to_string(), "-n", &commands.to_string()])
            .args(["-r", "1000", "--csv"])
            .args(command)
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        // The last line is "<command>","<requests a second>",...
        let of_line = |line: &str| line.split("\",\"").nth(1)?.parse::<f64>().ok();
        let per_second = text.lines().rev().find_map(of_line);
        let per_second = per_second.ok_or_else(|| format!("redis-benchmark said: {text}"))?;
        Ok(Rate {
            requests: f64::from(commands) / f64::from(pipeline),
            per_second: per_second / f64::from(pipeline),
        })
    }
}

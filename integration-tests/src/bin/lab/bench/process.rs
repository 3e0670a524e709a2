//! Started programs: killed on drop, their CPU time read from the kernel.

use std::fs;
use std::io::{BufRead, BufReader, Error, Result};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A program under way.
pub(crate) struct Program(Child);

impl Program {
    /// Starts it with its output captured.
    pub(crate) fn start(command: &mut Command) -> Result<(Self, BufReader<ChildStdout>)> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child
            .stdout
            .take()
            .ok_or_else(|| Error::other("no output to read"))?;
        Ok((Self(child), BufReader::new(output)))
    }

    /// CPU time used so far, user and kernel, by all its threads.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The second field is the name in parentheses and may hold blanks.
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        // The kernel's tick for /proc is 1/100 s on every Linux there is.
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing more to do then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port nobody listens on right now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until somebody accepts connections there, at most ten seconds.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn wait_for(address: SocketAddr) -> Result<()> {
    let started = Instant::now();
    while TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_err() {
        if started.elapsed() > Duration::from_secs(10) {
            return Err(Error::other(format!("nobody listens on {address}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Reads lines until one gives a value.
pub(crate) fn find_in_output<T>(
    output: &mut BufReader<ChildStdout>,
    find: impl Fn(&str) -> Option<T>,
) -> Result<T> {
    let mut line = String::new();
    while output.read_line(&mut line)? > 0 {
        if let Some(value) = find(line.trim()) {
            return Ok(value);
        }
        line.clear();
    }
    Err(Error::other("the program ended without saying its address"))
}

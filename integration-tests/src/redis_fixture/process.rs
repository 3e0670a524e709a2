//! A `redis-server` of this machine on a port and in a folder of its own.

use super::{OPTIONS, READY, RedisFixtureError};
use crate::environment;
use crate::free_port::free_port;
use crate::server_process::{ServerProcess, ServerProcessError};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// redis-server cannot choose a free port itself, so one is guessed, and another one if it is taken
/// in between.
const TRIES: usize = 5;

/// Where the clock of a Redis process is set.
const CLOCK_FILE: &str = "clock";

const READY_WITHIN: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct RedisProcess {
    server: ServerProcess,
    port: u16,
    folder: TempDir,
    fakes_time: bool,
}

/// The clock of one Redis process.
#[derive(Debug)]
pub struct RedisClockControl {
    file: PathBuf,
}

impl RedisClockControl {
    /// Sets how many seconds the clock is ahead of the true time (behind it, if negative). Takes
    /// effect at once.
    pub fn set(&self, offset: i64) -> std::io::Result<()> {
        // Written in place: the process has the file mapped.
        let mut file = std::fs::OpenOptions::new().write(true).open(&self.file)?;
        file.write_all(&offset.to_ne_bytes())
    }
}

impl RedisProcess {
    pub(super) async fn start() -> Result<Self, RedisFixtureError> {
        Self::start_at(false).await
    }

    /// With a clock that can be set.
    pub(super) async fn start_with_clock() -> Result<(Self, RedisClockControl), RedisFixtureError> {
        let process = Self::start_at(true).await?;
        let clock = RedisClockControl {
            file: process.folder.path().join(CLOCK_FILE),
        };
        Ok((process, clock))
    }

    async fn start_at(fakes_time: bool) -> Result<Self, RedisFixtureError> {
        let folder = tempfile::Builder::new().prefix("redis-").tempdir()?;
        std::fs::write(folder.path().join(CLOCK_FILE), 0_i64.to_ne_bytes())?;
        for _ in 0..TRIES {
            let port = free_port()?;
            if let Some(server) = serve(port, folder.path(), fakes_time).await? {
                return Ok(Self {
                    server,
                    port,
                    folder,
                    fakes_time,
                });
            }
        }
        Err(RedisFixtureError::PortsTaken { tries: TRIES })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn id(&self) -> u32 {
        self.server.id()
    }

    pub(super) async fn stop(&mut self) -> Result<(), RedisFixtureError> {
        self.server.stop().await?;
        Ok(())
    }

    pub(super) async fn start_again(&mut self) -> Result<(), RedisFixtureError> {
        self.server = serve(self.port, self.folder.path(), self.fakes_time)
            .await?
            .ok_or(RedisFixtureError::PortsTaken { tries: 1 })?;
        Ok(())
    }
}

/// Starts a server on this port; nothing if somebody else has taken it.
async fn serve(
    port: u16,
    folder: &Path,
    fakes_time: bool,
) -> Result<Option<ServerProcess>, RedisFixtureError> {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
        .arg(folder)
        .args(OPTIONS);
    if fakes_time {
        let shim = environment::clock_shim().ok_or(RedisFixtureError::NoClockShim)?;
        command
            .env("LD_PRELOAD", shim)
            .env("CLOCK_SHIM_FILE", folder.join(CLOCK_FILE));
    }
    // Shielded: the services end before the Redis they still write to.
    let server =
        ServerProcess::start_shielded("redis-server", &mut command).map_err(
            |error| match &error {
                ServerProcessError::Spawn { source, .. }
                    if source.kind() == ErrorKind::NotFound =>
                {
                    RedisFixtureError::NotInstalled(error)
                }
                _ => RedisFixtureError::Process(error),
            },
        )?;
    let is_ready = server
        .wait_for(READY, READY_WITHIN, |line| {
            if line.contains(READY) {
                Some(true)
            } else {
                line.contains("Address already in use").then_some(false)
            }
        })
        .await?;
    Ok(is_ready.then_some(server))
}

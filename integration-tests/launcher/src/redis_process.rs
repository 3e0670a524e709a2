//! A `redis-server` of this machine on a port and in a folder of its own.

use crate::environment;
use crate::free_port::free_port;
use crate::server_process::{ServerProcess, ServerProcessError};
use std::io::{self, ErrorKind, Write as _};
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

/// The options every test server has in common: nothing is kept on disk.
pub const OPTIONS: [&str; 6] = ["--save", "", "--appendonly", "no", "--loglevel", "notice"];

/// What redis-server says when it can be used.
pub const READY: &str = "Ready to accept connections";

/// Why there is no `redis-server`.
#[derive(Debug, thiserror::Error)]
pub enum RedisProcessError {
    /// None on this machine.
    #[error("redis-server was not found on this machine: run `make redis`")]
    NotInstalled(#[source] ServerProcessError),
    /// It ended, or stayed silent.
    #[error("redis-server did not become ready")]
    Process(#[from] ServerProcessError),
    /// No folder or no port for it.
    #[error("no folder or port for a redis-server")]
    Place(#[from] io::Error),
    /// Every free port that was tried was taken before the server could use it.
    #[error("{tries} free ports in a row were taken by others")]
    PortsTaken {
        /// How many.
        tries: usize,
    },
    /// A clock was to be set, and the shim for it is missing.
    #[error(
        "CONNECTOR_CLOCK_SHIM does not name the clock shim: `make faults` builds it and says so"
    )]
    NoClockShim,
}

/// A running `redis-server`. Killed when dropped.
#[derive(Debug)]
pub struct RedisProcess {
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
    pub fn set(&self, offset: i64) -> io::Result<()> {
        // Written in place: the process has the file mapped.
        let mut file = std::fs::OpenOptions::new().write(true).open(&self.file)?;
        file.write_all(&offset.to_ne_bytes())
    }
}

impl RedisProcess {
    /// Starts one: some 30 ms.
    pub async fn start() -> Result<Self, RedisProcessError> {
        Self::start_at(false).await
    }

    /// With a clock that can be set.
    pub async fn start_with_clock() -> Result<(Self, RedisClockControl), RedisProcessError> {
        let process = Self::start_at(true).await?;
        let clock = RedisClockControl {
            file: process.folder.path().join(CLOCK_FILE),
        };
        Ok((process, clock))
    }

    async fn start_at(fakes_time: bool) -> Result<Self, RedisProcessError> {
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
        Err(RedisProcessError::PortsTaken { tries: TRIES })
    }

    /// Its port on the loopback interface; the same after [`start_again`](Self::start_again).
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.server.id()
    }

    /// Ends it; its address refuses connections until [`start_again`](Self::start_again).
    pub async fn stop(&mut self) -> Result<(), RedisProcessError> {
        self.server.stop().await?;
        Ok(())
    }

    /// Starts it again, empty, at the same address.
    pub async fn start_again(&mut self) -> Result<(), RedisProcessError> {
        self.server = serve(self.port, self.folder.path(), self.fakes_time)
            .await?
            .ok_or(RedisProcessError::PortsTaken { tries: 1 })?;
        Ok(())
    }
}

/// Starts a server on this port; nothing if somebody else has taken it.
async fn serve(
    port: u16,
    folder: &Path,
    fakes_time: bool,
) -> Result<Option<ServerProcess>, RedisProcessError> {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
        .arg(folder)
        .args(OPTIONS);
    if fakes_time {
        let shim = environment::clock_shim().ok_or(RedisProcessError::NoClockShim)?;
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
                    RedisProcessError::NotInstalled(error)
                }
                _ => RedisProcessError::Process(error),
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

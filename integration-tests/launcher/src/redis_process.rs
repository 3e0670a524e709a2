//! A `redis-server` of this machine on a port and in a folder of its own.

use crate::environment;
use crate::free_port::free_port;
use crate::server_process::{ServerProcess, ServerProcessError};
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// redis-server cannot choose a free port itself, so one is guessed, and another one if it is taken
/// in between.
const TRIES: usize = 5;

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
    #[error("free ports were taken by others before redis-server could use them")]
    PortsTaken,
    /// A clock was to be set, and the shim for it is missing.
    #[error("CONNECTOR_CLOCK_SHIM does not name the clock shim: `make faults` builds it")]
    NoClockShim,
}

/// A running `redis-server`. Killed when dropped.
#[derive(Debug)]
pub struct RedisProcess {
    server: ServerProcess,
    port: u16,
    options: Options,
    _folder: TempDir,
}

/// How a server is started; the first option takes the port.
#[derive(Debug)]
struct Options {
    port_option: &'static str,
    more: Vec<String>,
    /// The shim and the file it reads.
    clock: Option<(PathBuf, PathBuf)>,
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
        Self::start_with("--port", new_folder()?, Vec::new()).await
    }

    /// With a clock that can be set.
    pub async fn start_with_clock() -> Result<(Self, RedisClockControl), RedisProcessError> {
        let folder = new_folder()?;
        let file = folder.path().join("clock");
        std::fs::write(&file, 0_i64.to_ne_bytes())?;
        let shim = environment::clock_shim().ok_or(RedisProcessError::NoClockShim)?;
        let clock = Some((shim, file.clone()));
        let process = Self::start_at("--port", folder, Vec::new(), clock).await?;
        Ok((process, RedisClockControl { file }))
    }

    /// With more options; the server's port goes to the option named first, e.g. `--tls-port`.
    pub async fn start_with(
        port_option: &'static str,
        folder: TempDir,
        options: Vec<String>,
    ) -> Result<Self, RedisProcessError> {
        Self::start_at(port_option, folder, options, None).await
    }

    async fn start_at(
        port_option: &'static str,
        folder: TempDir,
        mut more: Vec<String>,
        clock: Option<(PathBuf, PathBuf)>,
    ) -> Result<Self, RedisProcessError> {
        more.extend(["--dir".to_owned(), folder.path().display().to_string()]);
        let options = Options {
            port_option,
            more,
            clock,
        };
        for _ in 0..TRIES {
            let port = free_port()?;
            if let Some(server) = serve(port, &options).await? {
                return Ok(Self {
                    server,
                    port,
                    options,
                    _folder: folder,
                });
            }
        }
        Err(RedisProcessError::PortsTaken)
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
        let server = serve(self.port, &self.options).await?;
        self.server = server.ok_or(RedisProcessError::PortsTaken)?;
        Ok(())
    }
}

/// A folder that goes with the server.
pub fn new_folder() -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("redis-").tempdir()
}

/// Starts a server on this port; nothing if somebody else has taken it.
async fn serve(port: u16, options: &Options) -> Result<Option<ServerProcess>, RedisProcessError> {
    let mut command = Command::new("redis-server");
    command
        .args([options.port_option, &port.to_string()])
        .args(["--bind", "127.0.0.1"])
        .args(OPTIONS)
        .args(&options.more);
    if let Some((shim, file)) = &options.clock {
        command.env("LD_PRELOAD", shim).env("CLOCK_SHIM_FILE", file);
    }
    // Shielded: the services end before the Redis they still write to.
    let started = ServerProcess::start_shielded("redis-server", &mut command);
    let server = started.map_err(|error| match &error {
        ServerProcessError::Spawn { source, .. } if source.kind() == ErrorKind::NotFound => {
            RedisProcessError::NotInstalled(error)
        }
        _ => RedisProcessError::Process(error),
    })?;
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

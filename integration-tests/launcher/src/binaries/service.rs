//! `inventory-api` and `prefetch-worker` as running processes.

use super::program::{NotBuilt, Program};
use crate::log::{Log, UncleanLog};
use crate::server_process::{ServerProcess, ServerProcessError};
use serde_json::Value;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// Complaints a service may make without a fault of its own: tests leave the API open to everybody
/// unless they are about callers; and a machine with many cores may have a low limit of open files.
const KNOWN_COMPLAINTS: [&str; 2] = [
    "callers are not authenticated",
    "fewer files may be open than all connections need",
];

/// From start to both ports open: the services wait for nothing else before they listen.
const LISTENING_WITHIN: Duration = Duration::from_secs(30);

/// Why a service does not run as it should.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Its program is missing.
    #[error(transparent)]
    NotBuilt(#[from] NotBuilt),
    /// It did not start, speak or stop.
    #[error(transparent)]
    Process(#[from] ServerProcessError),
    /// It stopped with something else than success.
    #[error("{name} ended with {status} though it was asked kindly; its last lines:\n{tail}")]
    BadEnd {
        /// Its name.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said last.
        tail: String,
    },
    /// Its log could not be kept.
    #[error("the log of a service cannot be written to a file")]
    LogFile(#[from] io::Error),
    /// It warned, failed, or wrote something that is no log event.
    #[error("{name}: {source}")]
    UncleanLog {
        /// Its name.
        name: String,
        /// What is wrong.
        source: UncleanLog,
    },
}

/// How a service is started.
#[derive(Debug)]
pub struct Launch {
    name: String,
    command: Command,
    listen: SocketAddr,
    management_listen: SocketAddr,
    log_folder: Option<PathBuf>,
}

impl Launch {
    /// On two free loopback ports, with this configuration file and JSON logs.
    pub fn new(program: Program, config: &Path) -> Result<Self, NotBuilt> {
        let mut command = Command::new(program.path()?);
        command.args(["run", "--log-format", "json", "--config"]);
        command.arg(config);
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(Self {
            name: program.name().to_owned(),
            command,
            listen: any,
            management_listen: any,
            log_folder: None,
        })
    }

    /// Another name in messages, where several of one program run.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Chosen ports instead of free ones; 0 is a free one.
    #[must_use]
    pub fn on_ports(mut self, port: u16, management_port: u16) -> Self {
        self.listen.set_port(port);
        self.management_listen.set_port(management_port);
        self
    }

    /// A variable in its environment.
    #[must_use]
    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// One more flag or argument.
    #[must_use]
    pub fn with_arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    /// Out of reach of a Ctrl-C at the terminal: it ends when its [`Service`] says so.
    #[must_use]
    pub fn shielded(mut self) -> Self {
        self.command.process_group(0);
        self
    }

    /// Keeps its log in this folder as well, as `<name>.log`, for people to read.
    #[must_use]
    pub fn log_into(mut self, folder: &Path) -> Self {
        self.log_folder = Some(folder.to_owned());
        self
    }

    /// Starts it and waits until both ports are open.
    pub async fn start(mut self) -> Result<Service, ServiceError> {
        self.command
            .args(["--listen", &self.listen.to_string()])
            .args(["--management-listen", &self.management_listen.to_string()]);
        let mut log = Log::default();
        if let Some(folder) = &self.log_folder {
            std::fs::create_dir_all(folder)?;
            log = Log::copied_to(File::create(folder.join(format!("{}.log", self.name)))?);
        }
        let process = ServerProcess::start_with_log(&self.name, &mut self.command, log)?;
        let api = listening(&process, "api").await?;
        let management = listening(&process, "management").await?;
        Ok(Service {
            process,
            api,
            management,
        })
    }
}

/// A running service. Killed when dropped.
#[derive(Debug)]
pub struct Service {
    process: ServerProcess,
    api: SocketAddr,
    management: SocketAddr,
}

impl Service {
    /// Its name in messages.
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Where it answers questions, e.g. `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Where it answers probes and serves metrics.
    pub fn management_url(&self) -> String {
        format!("http://{}", self.management)
    }

    /// The process: its log, a crash on purpose.
    pub fn process(&mut self) -> &mut ServerProcess {
        &mut self.process
    }

    /// Stops it kindly; anything but a successful end is an error.
    pub async fn stop(&mut self) -> Result<(), ServiceError> {
        let status = self.process.interrupt().await?;
        if status.success() {
            return Ok(());
        }
        Err(ServiceError::BadEnd {
            name: self.name().to_owned(),
            status,
            tail: self.process.log().tail(15),
        })
    }

    /// Demands a log without warnings, errors and stray lines, except for those whose message
    /// contains one of `expected`; each of these must have come.
    pub fn assert_log_clean(&self, expected: &[&str]) -> Result<(), ServiceError> {
        let judged = self.process.log().judge(&KNOWN_COMPLAINTS, expected);
        judged.map_err(|source| ServiceError::UncleanLog {
            name: self.name().to_owned(),
            source,
        })
    }
}

/// The address a service says it listens on.
async fn listening(
    process: &ServerProcess,
    surface: &str,
) -> Result<SocketAddr, ServerProcessError> {
    let awaited = format!("listening, surface {surface}");
    process
        .wait_for(&awaited, LISTENING_WITHIN, |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["message"] == "listening" && event["surface"] == surface)
                .then(|| event["address"].as_str()?.parse().ok())?
        })
        .await
}

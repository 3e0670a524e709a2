//! A program that runs until it is stopped, with its output captured.

use crate::log::{Log, NoSuchLine};
use rustix::process::{Pid, Signal, kill_process};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a program may take from the request to end until it has ended; above the services' own
/// drain limit.
pub const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Lines of the log shown when a program fails.
const LINES_SHOWN: usize = 15;

/// A running program. Killed when dropped; [`ServerProcess::stop`] ends it kindly.
#[derive(Debug)]
pub struct ServerProcess {
    name: String,
    child: Child,
    log: Log,
}

/// Why a program did not run or end as it should.
#[derive(Debug, thiserror::Error)]
pub enum ServerProcessError {
    /// It could not be started at all.
    #[error("{name} could not be started")]
    Spawn {
        /// Its name.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// It did not say what was waited for.
    #[error("{name} did not say \"{awaited}\": {reason}; its last lines:\n{tail}")]
    Silent {
        /// Its name.
        name: String,
        /// What was waited for, in words.
        awaited: String,
        /// Ended, or not in time.
        reason: NoSuchLine,
        /// What it said last.
        tail: String,
    },
    /// It went on after being asked to end, and was killed.
    #[error("{0} did not end within {STOP_PATIENCE:?} of being asked to, and was killed")]
    WouldNotStop(String),
    /// A signal could not be sent, or the end not be observed.
    #[error("{name} could not be signalled or waited for")]
    System {
        /// Its name.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
}

impl ServerProcess {
    /// Starts a program and follows its output.
    pub fn start(name: &str, command: &mut Command) -> Result<Self, ServerProcessError> {
        Self::start_with_log(name, command, Log::default())
    }

    /// As [`ServerProcess::start`], for a program that a Ctrl-C at the terminal does not reach: its
    /// owner decides when it ends, and in which order with others.
    pub fn start_shielded(name: &str, command: &mut Command) -> Result<Self, ServerProcessError> {
        Self::start(name, command.process_group(0))
    }

    /// Starts a program and follows its output into this log.
    pub(crate) fn start_with_log(
        name: &str,
        command: &mut Command,
        log: Log,
    ) -> Result<Self, ServerProcessError> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let name = name.to_owned();
        let mut child = match command.stderr(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(source) => return Err(ServerProcessError::Spawn { name, source }),
        };
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            log.follow(stdout);
            log.follow(stderr);
        }
        Ok(Self { name, child, log })
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it wrote so far.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it says something out of which `pick` makes a value.
    pub async fn wait_for<T>(
        &self,
        awaited: &str,
        patience: Duration,
        pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, ServerProcessError> {
        let found = self.log.wait_for(patience, pick).await;
        found.map_err(|reason| self.silent(awaited, reason))
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end (SIGTERM), waits, and says how it ended; kills it if it does not.
    pub async fn stop(&mut self) -> Result<ExitStatus, ServerProcessError> {
        self.terminate()?;
        self.stopped().await
    }

    /// The same with SIGINT, as at a terminal: a service that waits for load balancers after SIGTERM
    /// does not wait then.
    pub async fn interrupt(&mut self) -> Result<ExitStatus, ServerProcessError> {
        self.signal(Signal::INT)?;
        self.stopped().await
    }

    /// Asks it to end (SIGTERM) and does not wait.
    pub fn terminate(&mut self) -> Result<(), ServerProcessError> {
        self.signal(Signal::TERM)
    }

    async fn stopped(&mut self) -> Result<ExitStatus, ServerProcessError> {
        if self.log.wait_for_end(STOP_PATIENCE).await.is_err() {
            self.kill()?;
            return Err(ServerProcessError::WouldNotStop(self.name.clone()));
        }
        self.wait()
    }

    /// Ends it at once (SIGKILL), as a crash or a lost machine would.
    pub fn kill(&mut self) -> Result<ExitStatus, ServerProcessError> {
        self.signal(Signal::KILL)?;
        self.wait()
    }

    /// Stops its clock (SIGSTOP), as a frozen machine would, or lets it go on.
    pub fn freeze(&mut self, frozen: bool) -> Result<(), ServerProcessError> {
        self.signal(if frozen { Signal::STOP } else { Signal::CONT })
    }

    /// Waits for its end without asking for it.
    pub async fn ended(&mut self, patience: Duration) -> Result<ExitStatus, ServerProcessError> {
        let ended = self.log.wait_for_end(patience).await;
        ended.map_err(|reason| self.silent("the end of its output", reason))?;
        self.wait()
    }

    fn wait(&mut self) -> Result<ExitStatus, ServerProcessError> {
        self.child.wait().map_err(|source| self.system(source))
    }

    fn signal(&mut self, signal: Signal) -> Result<(), ServerProcessError> {
        // An ended child that was waited for has no id of its own any more.
        if !self.is_running() {
            return Ok(());
        }
        let id = i32::try_from(self.child.id()).ok();
        let Some(pid) = id.and_then(Pid::from_raw) else {
            return Ok(());
        };
        kill_process(pid, signal).map_err(|errno| self.system(errno.into()))
    }

    fn silent(&self, awaited: &str, reason: NoSuchLine) -> ServerProcessError {
        ServerProcessError::Silent {
            name: self.name.clone(),
            awaited: awaited.to_owned(),
            reason,
            tail: self.log.tail(LINES_SHOWN),
        }
    }

    fn system(&self, source: io::Error) -> ServerProcessError {
        ServerProcessError::System {
            name: self.name.clone(),
            source,
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // A failure here means that it has ended already, which is what is wanted.
        drop(self.kill());
    }
}

//! Commands and flags.

use crate::http::openapi;
use crate::server::{Listeners, StartError, open_d365, run};
use clap::{Parser, Subcommand};
use shared::http::auth;
use shared::process::shutdown::Shutdown;
use shared::process::tasks::Tasks;
use shared::process::telemetry;
use shared::redis_store::StockStore;
use shared::settings::{Layers, LogFormat, Secret, Settings};
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// "Something was found in an unconfigured or misconfigured state" (`EX_CONFIG` of BSD's sysexits).
const BAD_SETTINGS: u8 = 78;

/// Answers ICM's stock questions from Redis, and from D365 when an order depends on it.
#[derive(Parser)]
#[command(name = "inventory-api", version, about)]
pub struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    /// Same as `check`.
    #[arg(long)]
    check: bool,
    /// TOML file with the settings.
    #[arg(long, short, global = true, env = "CONNECTOR_CONFIG")]
    config: Option<PathBuf>,
    /// `.properties` file with names of the original connector.
    #[arg(long, global = true, env = "CONNECTOR_PROPERTIES")]
    properties: Option<PathBuf>,
    /// Address of the API (`api.listen`).
    #[arg(long, global = true)]
    listen: Option<SocketAddr>,
    /// Address of health and metrics (`api.management_listen`).
    #[arg(long, global = true)]
    management_listen: Option<SocketAddr>,
    /// Address of Redis (`redis.url`).
    #[arg(long, global = true)]
    redis_url: Option<String>,
    /// `json` or `human` (`log.format`).
    #[arg(long, global = true)]
    log_format: Option<LogFormat>,
    /// What is logged (`log.filter`).
    #[arg(long, global = true)]
    log_filter: Option<String>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Serves until SIGTERM or SIGINT; the default.
    Run,
    /// Checks the settings and prints the effective ones, secrets masked.
    Check,
    /// Prints the OpenAPI document.
    Openapi,
    /// Reads a password from standard input and prints its hash for `[[api.auth.basic]]`.
    HashPassword,
}

/// An address of Redis may hold a password: no flag shows.
impl fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandLine").finish_non_exhaustive()
    }
}

impl CommandLine {
    /// Does what was asked and says how it went.
    pub async fn execute(self) -> ExitCode {
        if let Some(Command::HashPassword) = self.command {
            return hash_password();
        }
        let settings = match self.settings() {
            Ok(settings) => settings,
            Err(problem) => return complain(&problem, BAD_SETTINGS),
        };
        match self.command {
            Some(Command::Openapi) => print(&openapi::document(&settings.api)),
            Some(Command::Check) => check(&settings),
            None if self.check => check(&settings),
            None | Some(Command::Run | Command::HashPassword) => serve(settings).await,
        }
    }

    fn settings(&self) -> Result<Settings, String> {
        let log_format = self.log_format.map(|format| match format {
            LogFormat::Json => "json",
            LogFormat::Human => "human",
        });
        Layers::from_environment()
            .file(self.config.as_deref())
            .properties(self.properties.as_deref())
            .flag("api.listen", self.listen)
            .flag("api.management_listen", self.management_listen)
            .flag("redis.url", self.redis_url.as_deref())
            .flag("log.format", log_format)
            .flag("log.filter", self.log_filter.as_deref())
            .load()
            .map_err(|problem| problem.to_string())
    }
}

/// The first line of standard input; a password as an argument would show in the process list.
fn hash_password() -> ExitCode {
    let mut line = String::new();
    if let Err(problem) = io::stdin().read_line(&mut line) {
        return complain(&format!("the password cannot be read: {problem}"), 1);
    }
    let line = line.strip_suffix('\n').unwrap_or(&line);
    let password = Secret::new(line.strip_suffix('\r').unwrap_or(line));
    match auth::hash_password(&password) {
        Ok(hash) => print(&hash),
        Err(problem) => complain(&problem.to_string(), 1),
    }
}

fn check(settings: &Settings) -> ExitCode {
    let decided = settings.check_authentication();
    match decided.and_then(|()| settings.shown()) {
        Ok(shown) => print(&shown),
        Err(problem) => complain(&problem.to_string(), BAD_SETTINGS),
    }
}

async fn serve(settings: Settings) -> ExitCode {
    if let Err(problem) = telemetry::install(&settings.log) {
        return complain(&problem.to_string(), BAD_SETTINGS);
    }
    match start(settings).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) if problem.is_configuration() => complain(&problem.to_string(), BAD_SETTINGS),
        Err(problem) => complain(&problem.to_string(), 1),
    }
}

async fn start(settings: Settings) -> Result<(), StartError> {
    let store = StockStore::open(&settings.redis)?;
    let listeners = Listeners::bind(&settings.api)?;
    let shutdown = Shutdown::new();
    shutdown.watch_signals(&Tasks::new(), settings.api.drain_delay)?;
    let open = open_d365(&store);
    run(settings, listeners, store, open, shutdown)
        .await
        .map(|_ended| ())
}

fn print(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{}", text.trim_end()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has gone, as `| head` does.
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(problem: &str, code: u8) -> ExitCode {
    // Nothing more can be done if this fails.
    let _ = writeln!(io::stderr(), "inventory-api: {problem}");
    ExitCode::from(code)
}

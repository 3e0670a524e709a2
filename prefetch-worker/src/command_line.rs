//! The command line.

use crate::error::WorkerError;
use crate::http::openapi;
use crate::ops::{accept, check, explain, once};
use crate::run::run;
use clap::{Parser, Subcommand};
use shared::process::shutdown::Shutdown;
use shared::process::telemetry;
use shared::redis_store::Acceptance;
use shared::settings::{Layers, LogFormat, Settings};
use shared::stock::Generation;
use std::fmt;
use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Reads D365 on-hand stock and keeps the snapshots in Redis.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = false)]
pub struct CommandLine {
    /// Configuration file (TOML).
    #[arg(short, long, env = "CONNECTOR_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// `.properties` file of the original connector.
    #[arg(long, env = "CONNECTOR_PROPERTIES", global = true)]
    properties: Option<PathBuf>,
    /// Address of the worker's API.
    #[arg(long, global = true)]
    listen: Option<SocketAddr>,
    /// Address of health and metrics.
    #[arg(long, global = true)]
    management_listen: Option<SocketAddr>,
    /// Address of Redis.
    #[arg(long, global = true)]
    redis_url: Option<String>,
    /// json or human.
    #[arg(long, global = true)]
    log_format: Option<LogFormat>,
    /// What is logged, for example `info` or `warn,prefetch_worker=debug`.
    #[arg(long, global = true)]
    log_filter: Option<String>,
    /// Checks the settings, prints the effective ones with secrets masked, and ends.
    #[arg(long)]
    check: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Reads every warehouse on its interval until stopped (the default).
    Run,
    /// Reads every warehouse once, now, and ends; 0 only if all snapshots are complete.
    Once,
    /// Looks whether settings, Redis, sign-in, entity and warehouses are right.
    Check,
    /// Shows what is stored for a SKU, how old it is, its state and why.
    Explain {
        /// The SKU.
        sku: String,
        /// The tenant, if there are several.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Believes a quarantined snapshot: the warehouse really has become that small.
    Accept {
        /// The warehouse.
        warehouse: String,
        /// Who says so; stays in the warehouse's history.
        #[arg(long)]
        by: String,
        /// The tenant, if there are several.
        #[arg(long)]
        tenant: Option<String>,
        /// The cycle that was looked at; refused if another one has ended since.
        #[arg(long)]
        generation: Option<u64>,
        /// Believes that the warehouse has no row at all.
        #[arg(long)]
        even_if_empty: bool,
    },
    /// Prints a warehouse's last cycles, newest first, one JSON document a line.
    History {
        /// The warehouse.
        warehouse: String,
        /// The tenant, if there are several.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Prints the OpenAPI document.
    Openapi,
}

/// An address of Redis may hold a password: no flag shows.
impl fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandLine").finish_non_exhaustive()
    }
}

/// Runs the command; the exit code is 78 if only a change of the settings can help.
pub fn execute(line: &CommandLine) -> ExitCode {
    match execute_inner(line) {
        Ok(code) => code,
        // The reader of our output has seen enough.
        Err(WorkerError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "prefetch-worker: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn execute_inner(line: &CommandLine) -> Result<ExitCode, WorkerError> {
    let command = line.command.clone().unwrap_or(Command::Run);
    if matches!(command, Command::Openapi) {
        writeln!(std::io::stdout(), "{}", openapi::text())?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = settings_of(line)?;
    if line.check {
        settings.check_authentication()?;
        write!(std::io::stdout(), "{}", settings.shown()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match command {
        Command::Run => {
            telemetry::install(&settings.log)?;
            actix_system(run(settings, Shutdown::new()))
        }
        Command::Once => {
            telemetry::install(&settings.log)?;
            runtime.block_on(once::once(&settings))
        }
        Command::Check => runtime.block_on(check::check(&settings)),
        Command::Explain { sku, tenant } => {
            runtime.block_on(explain::explain(&settings, tenant.as_deref(), &sku))
        }
        Command::Accept {
            warehouse,
            by,
            tenant,
            generation,
            even_if_empty,
        } => {
            let acceptance = Acceptance {
                generation: generation.map(Generation),
                by,
                even_if_empty,
            };
            let tenant = tenant.as_deref();
            runtime.block_on(accept::accept(&settings, tenant, &warehouse, acceptance))
        }
        Command::History { warehouse, tenant } => {
            runtime.block_on(accept::history(&settings, tenant.as_deref(), &warehouse))
        }
        Command::Openapi => Ok(ExitCode::SUCCESS),
    }
}

/// The HTTP surfaces run on actix' system; its threads are ordinary tokio threads.
fn actix_system(
    work: impl Future<Output = Result<ExitCode, WorkerError>>,
) -> Result<ExitCode, WorkerError> {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime was built a moment ago in the same way")
    };
    actix_web::rt::System::with_tokio_rt(runtime).block_on(work)
}

fn settings_of(line: &CommandLine) -> Result<Settings, WorkerError> {
    Ok(Layers::from_environment()
        .file(line.config.as_deref())
        .properties(line.properties.as_deref())
        .flag("worker.listen", line.listen)
        .flag("worker.management_listen", line.management_listen)
        .flag("redis.url", line.redis_url.as_deref())
        .flag("log.format", line.log_format.map(format_name))
        .flag("log.filter", line.log_filter.as_deref())
        .load()?)
}

fn format_name(format: LogFormat) -> &'static str {
    match format {
        LogFormat::Json => "json",
        LogFormat::Human => "human",
    }
}

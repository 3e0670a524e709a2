//! The simulator as a process: one command, a populated world.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use d365_simulator::{AppRegistration, Config, Handle, StartError, TlsFiles, WorldConfig, start};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in for Dynamics 365 Finance & Operations and Entra ID.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8070")]
    listen: SocketAddr,
    /// Item numbers of the main company.
    #[arg(long, default_value_t = 1000)]
    items: usize,
    /// Warehouses of each company.
    #[arg(long, default_value_t = 10)]
    warehouses: usize,
    /// The same seed gives the same world.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rows on a page at most.
    #[arg(long, default_value_t = 10_000)]
    page_size: usize,
    /// Random stock movements per second.
    #[arg(long, default_value_t = 0.0)]
    sales_per_second: f64,
    /// Client id of an app registration; repeat together with --client-secret for several.
    #[arg(long)]
    client_id: Vec<String>,
    /// Secret of the app registration at the same place.
    #[arg(long)]
    client_secret: Vec<String>,
    /// Environment address that tokens are issued for besides loopback ones; may be repeated.
    #[arg(long)]
    audience: Vec<String>,
    /// Certificate chain in PEM; with --tls-key the simulator serves HTTPS.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key in PEM.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Log filter, e.g. `info` or `d365_simulator=debug`.
    #[arg(long, default_value = "info")]
    log: String,
}

#[derive(Debug, Error)]
enum RunError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("--client-id and --client-secret must be given equally often")]
    UnevenApps,
    #[error("the log filter {0:?} is not understood")]
    LogFilter(String),
    #[error("cannot wait for signals: {0}")]
    Process(#[from] std::io::Error),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut out = std::io::stderr().lock();
            // Nothing is left to tell if standard error is gone.
            drop(writeln!(out, "d365-simulator: {error}"));
            ExitCode::from(2)
        }
    }
}

async fn run(flags: Flags) -> Result<(), RunError> {
    let filter = tracing_subscriber::EnvFilter::try_new(&flags.log)
        .map_err(|_source| RunError::LogFilter(flags.log.clone()))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let handle = start(settings(flags)?)?;
    announce(&handle);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    handle.stop().await;
    Ok(())
}

fn settings(flags: Flags) -> Result<Config, RunError> {
    if flags.client_id.len() != flags.client_secret.len() {
        return Err(RunError::UnevenApps);
    }
    let mut config = Config {
        listen: flags.listen,
        world: Some(WorldConfig {
            items: flags.items,
            warehouses: flags.warehouses,
            seed: flags.seed,
            ..WorldConfig::default()
        }),
        page_size: flags.page_size,
        sales_per_second: flags.sales_per_second,
        audiences: flags.audience,
        tls: flags
            .tls_cert
            .zip(flags.tls_key)
            .map(|(certificates, key)| TlsFiles { certificates, key }),
        ..Config::default()
    };
    if !flags.client_id.is_empty() {
        let apps = flags.client_id.iter().zip(&flags.client_secret);
        config.apps = apps
            .map(|(id, secret)| AppRegistration::with_secret(id, secret))
            .collect();
    }
    Ok(config)
}

/// Says where it listens, in a line that scripts can read. Serving goes on if nobody reads it.
fn announce(handle: &Handle) {
    let url = handle.url();
    let rows: usize = handle
        .simulator()
        .warehouses()
        .iter()
        .map(|line| line.rows)
        .sum();
    let text = format!(
        "d365-simulator listening on {url}\n{rows} on-hand rows; control API at {url}/control/\n"
    );
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::warn!(%error, %url, "standard output is closed");
    }
}

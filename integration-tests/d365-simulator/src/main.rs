//! The simulator as a process: one command, a populated world.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use d365_simulator::{
    AppRegistration, Config, Handle, Scenario, ScenarioError, Secret, StartError, TlsFiles,
    WorldConfig, start,
};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in for Dynamics 365 Finance & Operations and Entra ID.
#[derive(Debug, Parser)]
#[command(version)]
struct Flags {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8070")]
    listen: SocketAddr,
    /// Scenario file; flags win over it.
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// Item numbers of the main company [default: 1000].
    #[arg(long)]
    items: Option<usize>,
    /// Warehouses of each company [default: 10].
    #[arg(long)]
    warehouses: Option<usize>,
    /// The same seed gives the same world [default: 1].
    #[arg(long)]
    seed: Option<u64>,
    /// Rows on a page at most [default: 10000].
    #[arg(long)]
    page_size: Option<usize>,
    /// Random stock movements per second [default: 0].
    #[arg(long)]
    sales_per_second: Option<f64>,
    /// Client id of an app registration; repeat together with --client-secret for several.
    #[arg(long)]
    client_id: Vec<String>,
    /// Secret of the app registration at the same place.
    #[arg(long)]
    client_secret: Vec<String>,
    /// PEM file with a certificate registered for the first client id.
    #[arg(long)]
    client_certificate: Option<PathBuf>,
    /// File with a federated token registered for the first client id.
    #[arg(long)]
    federated_token_file: Option<PathBuf>,
    /// Directory (tenant) id in the token endpoints' path.
    #[arg(long, default_value = Config::ENTRA_TENANT)]
    entra_tenant: String,
    /// Life of access tokens in seconds [default: 3599].
    #[arg(long)]
    token_life: Option<i64>,
    /// Environment address that tokens are issued for besides loopback ones; may be repeated.
    #[arg(long)]
    audience: Vec<String>,
    /// Company that answers without cross-company=true [default: dat].
    #[arg(long)]
    default_company: Option<String>,
    /// Certificate chain in PEM; with --tls-key the simulator serves HTTPS.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key in PEM.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Token the control API asks for; without it the API is open on loopback addresses only.
    #[arg(long)]
    control_token: Option<String>,
    /// Log filter, e.g. `info` or `d365_simulator=debug`.
    #[arg(long, default_value = "info")]
    log: String,
}

#[derive(Debug, Error)]
enum RunError {
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("--client-id and --client-secret must be given equally often")]
    UnevenApps,
    #[error("the log filter {0:?} is not understood")]
    LogFilter(String),
    #[error("cannot read {file}: {source}")]
    File {
        file: PathBuf,
        source: std::io::Error,
    },
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
    let scenario = flags
        .scenario
        .as_deref()
        .map(Scenario::read)
        .transpose()?
        .unwrap_or_default();
    let handle = start(settings(&flags, &scenario)?)?;
    announce(&handle);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    handle.stop().await;
    Ok(())
}

/// Defaults, then the scenario, then flags.
fn settings(flags: &Flags, scenario: &Scenario) -> Result<Config, RunError> {
    let mut config = Config {
        listen: flags.listen,
        world: Some(WorldConfig {
            items: 1000,
            ..WorldConfig::default()
        }),
        entra_tenant: flags.entra_tenant.clone(),
        audiences: flags.audience.clone(),
        control_token: flags.control_token.clone().map(Secret::new),
        ..Config::default()
    };
    scenario.apply_to(&mut config);
    if let Some(world) = &mut config.world {
        world.items = flags.items.unwrap_or(world.items);
        world.warehouses = flags.warehouses.unwrap_or(world.warehouses);
        world.seed = flags.seed.unwrap_or(world.seed);
    }
    config.page_size = flags.page_size.unwrap_or(config.page_size);
    config.sales_per_second = flags.sales_per_second.unwrap_or(config.sales_per_second);
    config.token_life_seconds = flags.token_life.unwrap_or(config.token_life_seconds);
    if let Some(company) = &flags.default_company {
        config.default_company.clone_from(company);
    }
    if let (Some(certificates), Some(key)) = (flags.tls_cert.clone(), flags.tls_key.clone()) {
        config.tls = Some(TlsFiles { certificates, key });
    }
    apps(flags, &mut config)?;
    Ok(config)
}

fn apps(flags: &Flags, config: &mut Config) -> Result<(), RunError> {
    if flags.client_id.len() != flags.client_secret.len() {
        return Err(RunError::UnevenApps);
    }
    if !flags.client_id.is_empty() {
        config.apps = flags
            .client_id
            .iter()
            .zip(&flags.client_secret)
            .map(|(id, secret)| AppRegistration::with_secret(id, secret))
            .collect();
    }
    let read = |file: &PathBuf| {
        std::fs::read_to_string(file).map_err(|source| RunError::File {
            file: file.clone(),
            source,
        })
    };
    if let Some(first) = config.apps.first_mut() {
        if let Some(file) = &flags.client_certificate {
            first.certificates.push(read(file)?);
        }
        if let Some(file) = &flags.federated_token_file {
            first
                .federated_tokens
                .push(Secret::new(read(file)?.trim_end()));
        }
    }
    Ok(())
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

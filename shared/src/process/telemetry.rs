//! Logs on standard output: one line an event, for machines or for people.

use crate::settings::{LogFormat, LogSettings};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("setting log.filter: {filter:?} is no log filter: {cause}")]
    Filter { filter: String, cause: String },
    #[error("logs are already being received by another subscriber")]
    AlreadyInstalled,
}

/// Starts logging. Call once, first of all.
pub fn install(settings: &LogSettings) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|cause| TelemetryError::Filter {
        filter: settings.filter.clone(),
        cause: cause.to_string(),
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_ansi(std::io::stdout().is_terminal());
    let installed = match settings.format {
        LogFormat::Json => registry
            .with(
                layer
                    .json()
                    .flatten_event(true)
                    .with_current_span(true)
                    .with_span_list(false),
            )
            .try_init(),
        LogFormat::Human => registry.with(layer.with_target(false)).try_init(),
    };
    installed.or(Err(TelemetryError::AlreadyInstalled))
}

//! Why the worker cannot work.

use shared::d365::D365Error;
use shared::http::auth::AuthSetupError;
use shared::http::serving::ServingError;
use shared::http::tls::TlsError;
use shared::process::metrics::MetricsError;
use shared::process::telemetry::TelemetryError;
use shared::redis_store::StoreError;
use shared::settings::SettingsError;
use std::net::SocketAddr;

/// Ends a command of the program.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Authentication(#[from] AuthSetupError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error("setting tenants: a prefetch worker needs at least one [[tenants]] section")]
    NoTenant,
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        address: SocketAddr,
        cause: std::io::Error,
    },
    #[error("setting worker.tls: {0}")]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("tenant {tenant}: {cause}")]
    D365 { tenant: String, cause: D365Error },
    #[error("there is no tenant {0:?}; name one with --tenant")]
    UnknownTenant(String),
    #[error("several tenants are configured; name one with --tenant")]
    WhichTenant,
    #[error("warehouse {warehouse:?} is not configured for tenant {tenant}")]
    UnknownWarehouse { warehouse: String, tenant: String },
    #[error(transparent)]
    Sku(#[from] shared::stock::IdError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<ServingError> for WorkerError {
    fn from(error: ServingError) -> Self {
        match error {
            ServingError::Listener(cause) => Self::Io(cause),
            ServingError::Tls(cause) => Self::Tls(cause),
        }
    }
}

impl WorkerError {
    /// `EX_CONFIG` for what only a change of the settings can mend.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_)
            | Self::Authentication(_)
            | Self::NoTenant
            | Self::Telemetry(_)
            | Self::Tls(_)
            | Self::Store(StoreError::Settings { .. }) => 78,
            Self::D365 { cause, .. } if !cause.may_be_tried_again() => 78,
            _ => 1,
        }
    }
}

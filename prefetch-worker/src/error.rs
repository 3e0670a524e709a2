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
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What says who may call cannot be used.
    #[error(transparent)]
    Authentication(#[from] AuthSetupError),
    /// Logging could not be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Metrics could not be set up.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// No tenant is configured.
    #[error("setting tenants: a prefetch worker needs at least one [[tenants]] section")]
    NoTenant,
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        cause: std::io::Error,
    },
    /// The certificate cannot be served.
    #[error("setting worker.tls: {0}")]
    Tls(#[from] TlsError),
    /// Redis failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The D365 client cannot be built.
    #[error("tenant {tenant}: {cause}")]
    D365 {
        /// The tenant.
        tenant: String,
        /// Why.
        cause: D365Error,
    },
    /// A question about a tenant that is not configured.
    #[error("there is no tenant {0:?}; name one with --tenant")]
    UnknownTenant(String),
    /// A question that names no tenant where there are several.
    #[error("several tenants are configured; name one with --tenant")]
    WhichTenant,
    /// A question about a warehouse that is not configured.
    #[error("warehouse {warehouse:?} is not configured for tenant {tenant}")]
    UnknownWarehouse {
        /// The warehouse.
        warehouse: String,
        /// The tenant.
        tenant: String,
    },
    /// The text is no SKU.
    #[error(transparent)]
    Sku(#[from] shared::stock::IdError),
    /// Reading or writing failed.
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

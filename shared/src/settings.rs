//! The configuration file as types. Both services read the same file.
//!
//! Values come in layers: compiled-in defaults, one TOML file, names of the original connector,
//! the environment, flags. An unknown key is an error that names the nearest known one. A secret
//! never shows: not in `--check`, not in a log, not in `Debug`.
//!
//! This room reads files and the environment, and talks to nobody.

mod api;
mod auth;
mod auth_checks;
mod bounded_file;
mod channels;
mod cross_checks;
mod entra;
mod forms;
mod layers;
mod legacy_names;
mod line_meaning;
mod log;
mod redis_section;
mod secret;
mod tenants;
mod tls;
mod worker;

pub use api::{ApiSettings, LimitSettings, LiveSettings};
pub use auth::{AuthSettings, BasicUserSettings, JwtAlgorithm, JwtSettings, RoleName};
pub use bounded_file::{read_file, read_text_file};
pub use channels::{ChannelSettings, LevelSettings, LiveFailureSettings};
pub use entra::{AssertionAlgorithm, CredentialSettings, EntraSettings, TokenEndpointVersion};
pub use layers::{Layers, SettingsError};
pub use line_meaning::LineMeaning;
pub(crate) use line_meaning::MeaningParts;
pub use log::{LogFormat, LogSettings};
pub use redis_section::RedisSettings;
pub use secret::Secret;
pub use tenants::{FieldNames, PagingMode, QuantityField, TenantSettings};
pub use tls::TlsSettings;
pub use worker::WorkerSettings;

use serde::{Deserialize, Serialize};

/// The compiled-in defaults: at once the default, the reference and the example.
pub const DEFAULTS: &str = include_str!("settings/defaults.toml");

/// Everything the services can be told.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The cache.
    pub redis: RedisSettings,
    /// One entry per D365 environment and legal entity.
    #[serde(default)]
    pub tenants: Vec<TenantSettings>,
    /// One entry per ICM sales channel that wants something special.
    #[serde(default)]
    pub channels: Vec<ChannelSettings>,
    /// The inventory API.
    pub api: ApiSettings,
    /// The prefetch worker.
    pub worker: WorkerSettings,
    /// Logs.
    pub log: LogSettings,
}

impl Settings {
    /// The effective settings as TOML, every secret shown as `***`.
    pub fn shown(&self) -> Result<String, SettingsError> {
        toml::to_string_pretty(self).map_err(|cause| {
            SettingsError::at("", format!("the settings cannot be shown: {cause}"))
        })
    }

    /// Refuses to serve while nothing says who may call: neither callers nor the switch that lets
    /// everybody in.
    pub fn check_authentication(&self) -> Result<(), SettingsError> {
        auth_checks::check_decided(&self.api.auth)
    }

    /// The tenant with this id.
    pub fn tenant(&self, id: &crate::stock::TenantId) -> Option<&TenantSettings> {
        self.tenants.iter().find(|tenant| tenant.id == *id)
    }
}

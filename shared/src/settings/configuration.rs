//! The whole configuration file.

use super::api::ApiSettings;
use super::channels::ChannelSettings;
use super::error::SettingsError;
use super::log::LogSettings;
use super::redis_section::RedisSettings;
use super::tenants::TenantSettings;
use super::worker::WorkerSettings;
use crate::stock::TenantId;
use serde::{Deserialize, Serialize};

/// All settings of both services.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub redis: RedisSettings,
    /// One entry per D365 environment and legal entity.
    #[serde(default)]
    pub tenants: Vec<TenantSettings>,
    /// One entry per ICM sales channel that wants something special.
    #[serde(default)]
    pub channels: Vec<ChannelSettings>,
    pub api: ApiSettings,
    pub worker: WorkerSettings,
    pub log: LogSettings,
}

impl Settings {
    /// The effective settings as TOML, every secret shown as `***`.
    pub fn shown(&self) -> Result<String, SettingsError> {
        toml::to_string_pretty(self).map_err(|cause| {
            SettingsError::at("", format!("the settings cannot be shown: {cause}"))
        })
    }

    pub fn tenant(&self, id: &TenantId) -> Option<&TenantSettings> {
        self.tenants.iter().find(|tenant| tenant.id == *id)
    }
}

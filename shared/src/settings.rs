//! The configuration file as types. Both services read the same file.
//!
//! Values come in layers: compiled-in defaults, one TOML file, names of the original connector,
//! the environment, flags. An unknown key is an error that names the nearest known one. A secret
//! never shows: not in `--check`, not in a log, not in `Debug`.
//!
//! Files and the environment are read here; nobody is called.

mod api;
mod auth;
mod auth_checks;
mod bounded_file;
mod channels;
mod configuration;
mod cross_checks;
mod entra;
mod error;
mod forms;
mod layers;
mod legacy_names;
mod line_meaning;
mod log;
mod origin;
mod redis_section;
mod removed_keys;
mod secret;
mod tenants;
mod tls;
mod typed;
mod worker;

pub use api::{ApiSettings, LimitSettings, LiveSettings, OrderSettings};
pub use auth::{AuthSettings, BasicUserSettings, JwtAlgorithm, JwtSettings, RoleName};
pub use bounded_file::{read_file, read_text_file};
pub use channels::{ChannelSettings, LevelSettings, LiveFailureSettings};
pub use configuration::Settings;
pub use entra::{AssertionAlgorithm, CredentialSettings, EntraSettings, TokenEndpointVersion};
pub use error::SettingsError;
pub use layers::{DEFAULTS, Layers};
pub use line_meaning::LineMeaning;
pub(crate) use line_meaning::MeaningParts;
pub use log::{LogFormat, LogSettings};
pub use redis_section::RedisSettings;
pub use secret::Secret;
pub use tenants::{FieldNames, PagingMode, QuantityField, TenantSettings};
pub use tls::TlsSettings;
pub use worker::WorkerSettings;

//! `[redis]`

use super::Secret;
use super::forms::{address, duration, number};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The cache.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://host:port/db` or `rediss://…` for TLS. Without user and password: those have keys
    /// of their own, so that they never show.
    #[serde(deserialize_with = "address::deserialize")]
    pub url: Url,
    /// PEM file with the authority that signed the server's certificate; the system's authorities
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// ACL user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// File with its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Connections for scripts (browsing has one per API worker).
    #[serde(deserialize_with = "number::deserialize")]
    pub pool_size: usize,
    /// Longest wait for one command's answer.
    #[serde(with = "duration")]
    pub command_timeout: Duration,
    /// Longest wait for one script call or one large batch of the worker.
    #[serde(with = "duration")]
    pub script_timeout: Duration,
    /// Longest wait for a connection.
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    /// Begin of every key.
    pub key_prefix: String,
    /// How long a line lives that nothing writes again.
    #[serde(with = "duration")]
    pub line_ttl: Duration,
}

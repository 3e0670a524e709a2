//! `[api.tls]` and `[worker.tls]`

use super::forms::duration;
use super::{Secret, SettingsError};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// TLS on a listener for callers; without this section it speaks plain HTTP.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// PEM file with the certificate and those between it and its authority.
    pub certificate_file: PathBuf,
    /// PEM file with its private key.
    pub key_file: PathBuf,
    /// How often the files are looked at; at least 100 ms.
    #[serde(default = "ten_seconds", with = "duration")]
    pub reload_interval: Duration,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

impl TlsSettings {
    /// Checks that the files can be read, so that `--check` finds a wrong path.
    pub(super) fn check(&self, section: &str) -> Result<(), SettingsError> {
        let at = |key: &str, problem: String| {
            Err(SettingsError::at(format!("{section}.{key}"), problem))
        };
        if let Err(cause) = super::read_file(&self.certificate_file) {
            let path = self.certificate_file.display();
            return at(
                "certificate_file",
                format!("{path} cannot be read: {cause}"),
            );
        }
        if let Err(cause) = Secret::read(&self.key_file) {
            return at("key_file", cause.to_string());
        }
        if self.reload_interval < SHORTEST_INTERVAL {
            return at("reload_interval", "must be at least 100ms".to_owned());
        }
        Ok(())
    }
}

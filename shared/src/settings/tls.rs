//! `[api.tls]` and `[worker.tls]`

use super::bounded_file::read_file;
use super::error::{Section, SettingsError};
use super::forms::duration;
use super::secret::Secret;
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
        let section = Section(section);
        read_file(&self.certificate_file).map_err(|cause| {
            let path = self.certificate_file.display();
            let problem = format!("{path} cannot be read: {cause}");
            section.error("certificate_file", problem)
        })?;
        Secret::read(&self.key_file)
            .map_err(|cause| section.error("key_file", cause.to_string()))?;
        section.require(
            self.reload_interval >= SHORTEST_INTERVAL,
            "reload_interval",
            "must be at least 100ms",
        )
    }
}

//! `[tenants.entra]`: how a token is got for D365.

use super::error::{Section, SettingsError};
use super::forms::{address, duration};
use super::origin::check_origin;
use super::secret::Secret;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The app registration that reads D365.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EntraSettings {
    /// Directory (tenant) id or domain in Entra ID.
    pub tenant_id: String,
    /// `https://login.microsoftonline.com/` unless another cloud is used.
    #[serde(default = "public_cloud", deserialize_with = "address::deserialize")]
    pub authority: Url,
    /// Full address of the token endpoint, instead of authority and tenant id.
    #[serde(
        default,
        deserialize_with = "address::if_given",
        skip_serializing_if = "Option::is_none"
    )]
    pub token_url: Option<Url>,
    #[serde(default)]
    pub token_endpoint_version: TokenEndpointVersion,
    /// A token with less life left than this is renewed.
    #[serde(default = "five_minutes", with = "duration")]
    pub minimum_token_lifetime: Duration,
    /// Application (client) id for both purposes.
    #[serde(default)]
    pub client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// File with the client secret, read again for each token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// PEM file with certificate and private key, for a signed assertion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_file: Option<PathBuf>,
    /// How the assertion is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion_algorithm: Option<AssertionAlgorithm>,
    /// File with a federated token (workload identity), read again for each token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated_token_file: Option<PathBuf>,
    /// A registration of its own for live look-ups: D365 ranks throttling by registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<CredentialSettings>,
    /// A registration of its own for prefetching.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<CredentialSettings>,
}

/// One app registration: its id and exactly one proof.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialSettings {
    #[serde(default)]
    pub client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// File with the client secret, read again for each token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// PEM file with certificate and private key, for a signed assertion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_file: Option<PathBuf>,
    /// How the assertion is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assertion_algorithm: Option<AssertionAlgorithm>,
    /// File with a federated token (workload identity), read again for each token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated_token_file: Option<PathBuf>,
}

impl EntraSettings {
    /// The registration named at the section itself, for both purposes.
    pub fn common_credentials(&self) -> CredentialSettings {
        CredentialSettings {
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            client_secret_file: self.client_secret_file.clone(),
            client_certificate_file: self.client_certificate_file.clone(),
            assertion_algorithm: self.assertion_algorithm,
            federated_token_file: self.federated_token_file.clone(),
        }
    }

    pub fn live_credentials(&self) -> CredentialSettings {
        self.live
            .clone()
            .unwrap_or_else(|| self.common_credentials())
    }

    pub fn prefetch_credentials(&self) -> CredentialSettings {
        self.prefetch
            .clone()
            .unwrap_or_else(|| self.common_credentials())
    }
}

impl EntraSettings {
    pub(super) fn check(&self, key: &str) -> Result<(), SettingsError> {
        let section = Section(key);
        check_origin(&self.authority).map_err(|problem| section.error("authority", problem))?;
        if let Some(url) = &self.token_url {
            check_origin(url).map_err(|problem| section.error("token_url", problem))?;
        }
        section.require(
            !self.tenant_id.is_empty() || self.token_url.is_some(),
            "tenant_id",
            "is missing",
        )?;
        for (part, credentials) in [("live", &self.live), ("prefetch", &self.prefetch)] {
            if let Some(credentials) = credentials {
                credentials.check(&format!("{key}.{part}"))?;
            }
        }
        let needs_common = self.live.is_none() || self.prefetch.is_none();
        if needs_common || !self.client_id.is_empty() {
            self.common_credentials().check(key)?;
        }
        Ok(())
    }
}

impl CredentialSettings {
    fn check(&self, key: &str) -> Result<(), SettingsError> {
        let section = Section(key);
        section.require(!self.client_id.is_empty(), "client_id", "is missing")?;
        let files = [
            ("client_secret_file", &self.client_secret_file),
            ("client_certificate_file", &self.client_certificate_file),
            ("federated_token_file", &self.federated_token_file),
        ];
        let mut given: Vec<&str> = (files.iter())
            .filter_map(|(name, file)| file.is_some().then_some(*name))
            .collect();
        if let Some(secret) = &self.client_secret {
            section.require(!secret.expose().is_empty(), "client_secret", "is empty")?;
            given.insert(0, "client_secret");
        }
        match given.as_slice() {
            [_] => {}
            [] => {
                return Err(section.error(
                    "client_secret",
                    "is missing: give client_secret, client_secret_file, client_certificate_file or \
                     federated_token_file",
                ));
            }
            [first, second, ..] => {
                let problem = format!("{first} is given as well; give exactly one");
                return Err(section.error(second, problem));
            }
        }
        for (name, file) in files {
            if let Some(path) = file {
                Secret::read(path).map_err(|cause| section.error(name, cause.to_string()))?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenEndpointVersion {
    /// `/oauth2/token` with `resource`.
    V1,
    /// `/oauth2/v2.0/token` with `scope`.
    #[default]
    V2,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum AssertionAlgorithm {
    /// With `x5t#S256`: what Entra documents today.
    #[default]
    #[serde(rename = "PS256")]
    Ps256,
    /// With `x5t`: the older form.
    #[serde(rename = "RS256")]
    Rs256,
}

fn public_cloud() -> Url {
    Url::parse("https://login.microsoftonline.com/").expect("a literal that parses")
}

fn five_minutes() -> Duration {
    Duration::from_mins(5)
}

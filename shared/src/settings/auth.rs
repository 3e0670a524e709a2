//! `[api.auth]`: who may call. Both services read it.

use super::secret::Secret;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use url::Url;

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// Whether everybody who reaches the listener may do everything. Loopback listeners only.
    #[serde(default)]
    pub insecure_no_authentication: bool,
    /// Names in `Host` that loopback listeners without authentication answer to, beside loopback's own;
    /// with the port as a caller writes it.
    #[serde(default)]
    pub allowed_hosts: Vec<String>,
    #[serde(default)]
    pub basic: Vec<BasicUserSettings>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<JwtSettings>,
}

/// One caller with a password. Of the password only a hash is known here.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BasicUserSettings {
    pub name: String,
    /// argon2id hash in PHC form, as `inventory-api hash-password` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash_file: Option<PathBuf>,
    pub roles: Vec<RoleName>,
    /// Channels the caller may name; without the key all, and questions without a channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<String>>,
    /// Tenants the caller may ask about; without the key all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<Vec<String>>,
}

/// What a caller may do. Each role stands for itself: none includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    Browse,
    Order,
    /// Look into the services and have stock read again.
    Operate,
}

/// Whose tokens are taken, and what is read from them.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JwtSettings {
    /// `iss`, compared exactly.
    pub issuer: String,
    /// `aud`, or one of them, compared exactly.
    pub audience: String,
    /// Where the issuer publishes its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<Url>,
    /// A file with the keys instead, read again on the same interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<PathBuf>,
    /// PEM file with certificates to trust for `jwks_url`, instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The one algorithm that is taken, whatever a token says.
    pub algorithm: JwtAlgorithm,
    /// Claim with the roles: a list, or a text with blanks between them. A name that begins with
    /// `/` is a path into the claims, as `/realm_access/roles`.
    #[serde(default = "roles")]
    pub roles_claim: String,
    /// Claim with the channels; without the key a token may name all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels_claim: Option<String>,
    /// Claim with the tenants; without the key a token may ask about all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants_claim: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum JwtAlgorithm {
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256, SHA-256.
    #[serde(rename = "ES256")]
    Es256,
}

fn roles() -> String {
    "roles".to_owned()
}

//! How an app registration proves who it is.

use crate::settings::{AssertionAlgorithm, CredentialSettings, Secret, read_text_file};
use crate::stock::AsOf;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Life of an assertion. Microsoft asks for 5 to 10 minutes.
const ASSERTION_SECONDS: i64 = 600;
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// One proof. Files are read again for each token, since secrets are rotated under a running
/// process.
#[derive(Debug, Clone)]
pub(super) enum Credential {
    /// A client secret from the settings.
    Secret(Secret),
    /// A client secret in a file.
    SecretFile(PathBuf),
    /// A certificate with its private key in one PEM file: signs an assertion.
    Certificate {
        /// The PEM file.
        file: PathBuf,
        /// How it is signed.
        algorithm: AssertionAlgorithm,
    },
    /// A token of another identity provider (Kubernetes) in a file: is the assertion.
    FederatedTokenFile(PathBuf),
}

/// Form fields that prove the identity; shows no value.
pub(super) struct Proof(pub(super) Vec<(&'static str, Secret)>);

impl Credential {
    /// Takes the one proof the settings name. The error names the settings to change.
    pub(super) fn of(settings: &CredentialSettings) -> Result<Self, String> {
        let CredentialSettings {
            client_secret,
            client_secret_file,
            client_certificate_file,
            assertion_algorithm,
            federated_token_file,
            ..
        } = settings;
        let mut named = Vec::new();
        if let Some(secret) = client_secret {
            named.push(Self::Secret(secret.clone()));
        }
        if let Some(path) = client_secret_file {
            named.push(Self::SecretFile(path.clone()));
        }
        if let Some(file) = client_certificate_file {
            named.push(Self::Certificate {
                file: file.clone(),
                algorithm: assertion_algorithm.unwrap_or_default(),
            });
        }
        if let Some(path) = federated_token_file {
            named.push(Self::FederatedTokenFile(path.clone()));
        }
        match (named.pop(), named.is_empty()) {
            (Some(only), true) => Ok(only),
            _ => Err(
                "exactly one of client_secret, client_secret_file, client_certificate_file and \
                 federated_token_file must be given"
                    .to_owned(),
            ),
        }
    }

    /// Makes the proof for one token request. May read a file. The error names the file and shows
    /// nothing of its content.
    pub(super) fn proof(
        &self,
        client_id: &str,
        assertion_audience: &str,
        now: AsOf,
    ) -> Result<Proof, String> {
        let assertion = match self {
            Self::Secret(secret) => return Ok(Proof(vec![("client_secret", secret.clone())])),
            Self::SecretFile(path) => {
                return Ok(Proof(vec![("client_secret", read_secret(path)?)]));
            }
            Self::FederatedTokenFile(path) => read_secret(path)?,
            Self::Certificate { file, algorithm } => {
                signed_assertion(file, *algorithm, client_id, assertion_audience, now).map_err(
                    |problem| {
                        format!(
                            "the certificate file {} cannot be used: {problem}",
                            file.display()
                        )
                    },
                )?
            }
        };
        Ok(Proof(vec![
            ("client_assertion_type", Secret::new(ASSERTION_TYPE)),
            ("client_assertion", assertion),
        ]))
    }
}

fn read_secret(path: &Path) -> Result<Secret, String> {
    Secret::read(path).map_err(|cause| cause.to_string())
}

#[derive(Serialize)]
struct AssertionClaims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: i64,
    iat: i64,
    exp: i64,
}

fn signed_assertion(
    file: &Path,
    algorithm: AssertionAlgorithm,
    client_id: &str,
    audience: &str,
    now: AsOf,
) -> Result<Secret, String> {
    let pem = read_text_file(file).map(Secret::new);
    let pem = pem.map_err(|cause| cause.to_string())?;
    let certificate = CertificateDer::from_pem_slice(pem.expose().as_bytes())
        .map_err(|cause| format!("it holds no certificate in PEM form ({cause})"))?;
    let key = private_key_block(pem.expose())
        .ok_or("it holds no unencrypted private key in PEM form")
        .and_then(|block| {
            EncodingKey::from_rsa_pem(block.as_bytes()).or(Err("its private key is no RSA key"))
        })?;
    let header = match algorithm {
        AssertionAlgorithm::Ps256 => Header {
            x5t_s256: Some(URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate))),
            ..Header::new(Algorithm::PS256)
        },
        AssertionAlgorithm::Rs256 => Header {
            x5t: Some(URL_SAFE_NO_PAD.encode(sha1_smol::Sha1::from(&certificate).digest().bytes())),
            ..Header::new(Algorithm::RS256)
        },
    };
    let now = now.unix_ms() / 1000;
    let claims = AssertionClaims {
        aud: audience,
        iss: client_id,
        sub: client_id,
        jti: uuid::Uuid::new_v4().to_string(),
        nbf: now,
        iat: now,
        exp: now + ASSERTION_SECONDS,
    };
    jsonwebtoken::encode(&header, &claims, &key)
        .map(Secret::new)
        .map_err(|cause| format!("its private key does not sign ({cause})"))
}

/// The first private key of a PEM file, in either of the two forms RSA keys have.
fn private_key_block(pem: &str) -> Option<&str> {
    ["PRIVATE KEY", "RSA PRIVATE KEY"].iter().find_map(|label| {
        let start = pem.find(&format!("-----BEGIN {label}-----"))?;
        let ending = format!("-----END {label}-----");
        let end = start + pem[start..].find(&ending)? + ending.len();
        pem.get(start..end)
    })
}

#[cfg(test)]
mod tests;

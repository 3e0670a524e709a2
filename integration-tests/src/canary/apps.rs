//! App registrations without a client secret: one proves itself with a certificate, the other with a
//! federated token. Certificate's key and token are canaries, in files.

use super::{HuntError, MARK};
use d365_simulator::{AppRegistration, Secret};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use std::path::{Path, PathBuf};

const WITH_CERTIFICATE: &str = "app-with-a-certificate";
const WITH_TOKEN: &str = "app-with-a-federated-token";

/// Settings of a start, and whether it is let in with them.
type Start = (Vec<(&'static str, String)>, bool);

#[derive(Debug)]
pub(super) struct Apps {
    certificate: Certified,
    other_certificate: Certified,
    token: PathBuf,
    other_token: PathBuf,
}

/// A certificate and its key in one file.
#[derive(Debug)]
struct Certified {
    file: PathBuf,
    certificate: String,
    key: String,
}

impl Certified {
    fn new(file: PathBuf) -> Result<Self, HuntError> {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
        let certificate = CertificateParams::new(Vec::new())?.self_signed(&key)?.pem();
        let key = key.serialize_pem();
        std::fs::write(&file, format!("{certificate}{key}"))?;
        Ok(Self {
            file,
            certificate,
            key,
        })
    }
}

fn token(kind: &str) -> String {
    format!("{MARK}-{kind}-federated-token")
}

impl Apps {
    /// Writes their files into this folder.
    pub(super) fn new(folder: &Path) -> Result<Self, HuntError> {
        let apps = Self {
            certificate: Certified::new(folder.join("app.pem"))?,
            other_certificate: Certified::new(folder.join("other-app.pem"))?,
            token: folder.join("federated-token"),
            other_token: folder.join("other-federated-token"),
        };
        std::fs::write(&apps.token, token("right"))?;
        std::fs::write(&apps.other_token, token("wrong"))?;
        Ok(apps)
    }

    /// How Entra knows them.
    pub(super) fn registered(&self) -> [AppRegistration; 2] {
        let without_secret = |id| AppRegistration {
            client_secret: None,
            ..AppRegistration::with_secret(id, "")
        };
        [
            AppRegistration {
                certificates: vec![self.certificate.certificate.clone()],
                ..without_secret(WITH_CERTIFICATE)
            },
            AppRegistration {
                federated_tokens: vec![Secret::new(token("right"))],
                ..without_secret(WITH_TOKEN)
            },
        ]
    }

    /// Starts of the worker.
    pub(super) fn of_prefetching(&self) -> [Start; 2] {
        let start = |file: &Path| {
            vec![
                (
                    "CONNECTOR__TENANTS__CONTOSO__ENTRA__PREFETCH__CLIENT_ID",
                    WITH_CERTIFICATE.to_owned(),
                ),
                (
                    "CONNECTOR__TENANTS__CONTOSO__ENTRA__PREFETCH__CLIENT_CERTIFICATE_FILE",
                    file.display().to_string(),
                ),
            ]
        };
        [
            (start(&self.certificate.file), true),
            (start(&self.other_certificate.file), false),
        ]
    }

    /// Starts of the API.
    pub(super) fn of_live_look_ups(&self) -> [Start; 2] {
        let start = |file: &Path| {
            vec![
                (
                    "CONNECTOR__TENANTS__CONTOSO__ENTRA__LIVE__CLIENT_ID",
                    WITH_TOKEN.to_owned(),
                ),
                (
                    "CONNECTOR__TENANTS__CONTOSO__ENTRA__LIVE__FEDERATED_TOKEN_FILE",
                    file.display().to_string(),
                ),
            ]
        };
        [
            (start(&self.token), true),
            (start(&self.other_token), false),
        ]
    }

    /// A line of each key. Tokens hold the mark.
    pub(super) fn needles(&self) -> impl Iterator<Item = String> {
        let keys = [&self.certificate.key, &self.other_certificate.key];
        // The first lines of an RSA key hold the modulus, which everybody knows.
        keys.into_iter()
            .filter_map(|key| key.lines().nth(10).map(str::to_owned))
    }
}

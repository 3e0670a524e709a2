//! App registrations without a client secret: one proves itself with a certificate, the other with a
//! federated token. The certificate's key and the token are canaries, in files.

use super::MARK;
use d365_simulator::{AppRegistration, Secret};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use std::path::{Path, PathBuf};

const WITH_CERTIFICATE: &str = "app-with-a-certificate";
const WITH_TOKEN: &str = "app-with-a-federated-token";

/// Settings of a start, and whether it is let in with them.
type Start = (Vec<(&'static str, String)>, bool);

pub(super) struct Apps {
    right: Certified,
    wrong: Certified,
    right_token: PathBuf,
    wrong_token: PathBuf,
}

/// A certificate and its key in one file.
struct Certified {
    file: PathBuf,
    certificate: String,
    key: String,
}

impl Certified {
    fn new(file: PathBuf) -> Self {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let params = CertificateParams::new(Vec::new()).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let key = key.serialize_pem();
        std::fs::write(&file, format!("{certificate}{key}")).unwrap();
        Self {
            file,
            certificate,
            key,
        }
    }
}

fn token(kind: &str) -> String {
    format!("{MARK}-{kind}-federated-token")
}

impl Apps {
    /// Writes their files into this folder.
    pub(super) fn new(folder: &Path) -> Self {
        let [right_token, wrong_token] = ["right", "wrong"].map(|kind| {
            let file = folder.join(format!("{kind}-token"));
            std::fs::write(&file, token(kind)).unwrap();
            file
        });
        Self {
            right: Certified::new(folder.join("app.pem")),
            wrong: Certified::new(folder.join("other-app.pem")),
            right_token,
            wrong_token,
        }
    }

    /// How Entra knows them.
    pub(super) fn registered(&self) -> [AppRegistration; 2] {
        let without_secret = |id| AppRegistration {
            client_secret: None,
            ..AppRegistration::with_secret(id, "")
        };
        [
            AppRegistration {
                certificates: vec![self.right.certificate.clone()],
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
        [(&self.right, true), (&self.wrong, false)].map(|(certified, is_right)| {
            let file = certified.file.display().to_string();
            let settings = vec![
                (
                    "CONNECTOR__TENANTS__CONTOSO__ENTRA__PREFETCH__CLIENT_ID",
                    WITH_CERTIFICATE.to_owned(),
                ),
                (
                    "CONNECTOR__TENANTS__CONTOSO__ENTRA__PREFETCH__CLIENT_CERTIFICATE_FILE",
                    file,
                ),
            ];
            (settings, is_right)
        })
    }

    /// Starts of the API.
    pub(super) fn of_live_look_ups(&self) -> [Start; 2] {
        [(&self.right_token, true), (&self.wrong_token, false)].map(|(file, is_right)| {
            let settings = vec![
                (
                    "CONNECTOR__TENANTS__CONTOSO__ENTRA__LIVE__CLIENT_ID",
                    WITH_TOKEN.to_owned(),
                ),
                (
                    "CONNECTOR__TENANTS__CONTOSO__ENTRA__LIVE__FEDERATED_TOKEN_FILE",
                    file.display().to_string(),
                ),
            ];
            (settings, is_right)
        })
    }

    /// A line of each key. Tokens hold the mark.
    pub(super) fn secrets(&self) -> impl Iterator<Item = String> {
        let keys = [&self.right.key, &self.wrong.key];
        // The first lines of an RSA key hold the modulus, which everybody knows.
        keys.into_iter()
            .filter_map(|key| key.lines().nth(10).map(str::to_owned))
    }
}

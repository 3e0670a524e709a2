//! Certificates for tests: an authority of one's own and what it signs.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SerialNumber};
use std::io;
use std::path::{Path, PathBuf};

/// An authority could not sign.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The library refused.
    #[error("a certificate cannot be made")]
    Made(#[from] rcgen::Error),
    /// No folder or no space.
    #[error("a certificate cannot be written")]
    Written(#[from] io::Error),
}

/// Signs certificates for the loopback interface.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in files.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

impl Authority {
    /// A new one.
    pub fn new() -> Result<Self, CertificateError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
        })
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes its own certificate into this folder as `ca.pem`.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, CertificateError> {
        let path = folder.join("ca.pem");
        std::fs::write(&path, &self.pem)?;
        Ok(path)
    }

    /// Signs a certificate for `localhost` and `127.0.0.1` with this serial number and writes it
    /// and its key into this folder, over what lies there.
    pub fn sign_into(
        &self,
        folder: &Path,
        serial: u64,
    ) -> Result<CertificateFiles, CertificateError> {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let mut params = CertificateParams::new(names)?;
        params.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate()?;
        let files = CertificateFiles {
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        std::fs::write(
            &files.certificate,
            params.signed_by(&key, &self.issuer)?.pem(),
        )?;
        std::fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }
}

//! TLS for a listener: its certificate is read again when the files change.
//!
//! Connections that are open keep the certificate they began with; a new one gets the newest that
//! could be used. Files that cannot be used change nothing and are told about.

use crate::settings::{TlsSettings, read_file};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Why a certificate cannot be served. Never carries any of the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or may not be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: std::io::Error,
    },
    /// It holds no certificate in PEM.
    #[error("{} holds no certificate in PEM form", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// It holds no private key in PEM.
    #[error("{} holds no private key in PEM form", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// They do not belong together, or the library knows no such key.
    #[error("certificate and key cannot be used together: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate a listener shows.
#[derive(Debug)]
pub struct ServedCertificate {
    surface: &'static str,
    files: TlsSettings,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
    /// Of the files that are served; files that were refused are in the keeper's hands.
    fingerprint: [u8; 32],
}

struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    fn read(files: &TlsSettings) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            read_file(path).map_err(|cause| TlsError::Unreadable {
                path: path.to_owned(),
                cause,
            })
        };
        Ok(Self {
            certificate: read(&files.certificate_file)?,
            key: read(&files.key_file)?,
        })
    }

    fn fingerprint(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update((self.certificate.len() as u64).to_be_bytes());
        digest.update(&self.certificate);
        digest.update(&self.key);
        digest.finalize().into()
    }

    fn certified(
        &self,
        files: &TlsSettings,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, TlsError> {
        let no_certificate = || TlsError::NoCertificate {
            path: files.certificate_file.clone(),
        };
        let chain = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<Vec<_>, _>>()
            .or(Err(no_certificate()))?;
        if chain.is_empty() {
            return Err(no_certificate());
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).or(Err(TlsError::NoKey {
            path: files.key_file.clone(),
        }))?;
        Ok(CertifiedKey::from_der(chain, key, provider)?)
    }
}

impl ServedCertificate {
    /// Reads the files. `surface` names the listener in logs and metrics.
    pub fn load(surface: &'static str, files: &TlsSettings) -> Result<Arc<Self>, TlsError> {
        let pair = Pair::read(files)?;
        let provider = Arc::new(default_provider());
        let certified = pair.certified(files, &provider)?;
        Ok(Arc::new(Self {
            surface,
            files: files.clone(),
            provider,
            current: ArcSwap::from_pointee(certified),
            fingerprint: pair.fingerprint(),
        }))
    }

    /// What a server needs: TLS 1.2 or 1.3, no client certificate.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let resolver: Arc<dyn ResolvesServerCert> = self.clone();
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        Ok(config)
    }

    /// Looks at the files until told to stop, and serves what they say if it can be used.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        let mut tried = Some(self.fingerprint);
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.files.reload_interval) => {}
                () = stop.cancelled() => return,
            }
            tried = self.look(tried).await;
        }
    }

    /// What was tried last: the fingerprint of the files, or nothing if they could not be read.
    async fn look(&self, tried: Option<[u8; 32]>) -> Option<[u8; 32]> {
        let files = self.files.clone();
        let Ok(pair) = tokio::task::spawn_blocking(move || Pair::read(&files)).await else {
            // The runtime is ending.
            return tried;
        };
        let pair = match pair {
            Ok(pair) => pair,
            Err(problem) => {
                if tried.is_some() {
                    self.refused(&problem);
                }
                return None;
            }
        };
        let fingerprint = pair.fingerprint();
        if tried == Some(fingerprint) {
            return tried;
        }
        match pair.certified(&self.files, &self.provider) {
            Ok(certified) => {
                self.current.store(Arc::new(certified));
                self.count("loaded");
                tracing::info!(surface = self.surface, "the TLS certificate was read again");
            }
            Err(problem) => self.refused(&problem),
        }
        Some(fingerprint)
    }

    fn refused(&self, problem: &TlsError) {
        self.count("refused");
        tracing::warn!(
            surface = self.surface,
            %problem,
            "the new TLS certificate cannot be used; the old one is still served"
        );
    }

    fn count(&self, outcome: &'static str) {
        metrics::counter!("http_tls_reloads_total", "surface" => self.surface, "outcome" => outcome)
            .increment(1);
    }
}

impl ResolvesServerCert for ServedCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

#[cfg(test)]
mod tests;

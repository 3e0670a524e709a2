//! TLS for a listener: its certificate is read again when the files change.
//!
//! Open connections keep the certificate they began with; a new one gets the newest that could be used. Files
//! that cannot be used change nothing; a warning says why.

use crate::settings::{TlsSettings, read_file};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
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
#[expect(missing_docs, reason = "the messages say it")]
pub enum TlsError {
    #[error("{} cannot be read: {cause}", path.display())]
    Unreadable {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("{} holds no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} holds no private key in PEM form", .0.display())]
    NoKey(PathBuf),
    #[error("certificate and key cannot be used together: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate a listener shows.
#[derive(Debug)]
pub struct ServedCertificate {
    surface: &'static str,
    files: TlsSettings,
    current: ArcSwap<CertifiedKey>,
    /// Of the files read first.
    fingerprint: Fingerprint,
}

/// Tells whether files have changed.
type Fingerprint = [u8; 32];

/// The files' bytes: certificate and key.
struct Pair(Vec<u8>, Vec<u8>);

impl Pair {
    fn read(files: &TlsSettings) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            read_file(path).map_err(|cause| TlsError::Unreadable {
                path: path.to_owned(),
                cause,
            })
        };
        Ok(Self(read(&files.certificate_file)?, read(&files.key_file)?))
    }

    fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::new_with_prefix(self.0.len().to_be_bytes());
        digest
            .chain_update(&self.0)
            .chain_update(&self.1)
            .finalize()
            .into()
    }

    fn certified(&self, files: &TlsSettings) -> Result<CertifiedKey, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.0)
            .collect::<Result<_, _>>()
            .unwrap_or_default();
        if chain.is_empty() {
            return Err(TlsError::NoCertificate(files.certificate_file.clone()));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.1)
            .or(Err(TlsError::NoKey(files.key_file.clone())))?;
        Ok(CertifiedKey::from_der(chain, key, &default_provider())?)
    }
}

impl ServedCertificate {
    /// Reads the files. `surface` names the listener in logs and metrics.
    pub fn load(surface: &'static str, files: &TlsSettings) -> Result<Arc<Self>, TlsError> {
        let pair = Pair::read(files)?;
        Ok(Arc::new(Self {
            surface,
            files: files.clone(),
            current: ArcSwap::from_pointee(pair.certified(files)?),
            fingerprint: pair.fingerprint(),
        }))
    }

    /// What a server needs: TLS 1.2 or 1.3, no client certificate.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let resolver: Arc<dyn ResolvesServerCert> = self.clone();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        Ok(config)
    }

    /// Looks at the files until `stop`, and serves what they say if it can be used.
    pub async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        let mut tried = Some(self.fingerprint);
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.files.reload_interval) => {}
                () = stop.cancelled() => return,
            }
            let looking = Arc::clone(&self);
            let look = move || looking.look(tried);
            // Otherwise the runtime is ending.
            tried = tokio::task::spawn_blocking(look).await.unwrap_or(tried);
        }
    }

    /// What was tried last, before and after: the files' fingerprint, or nothing if they could not be read.
    fn look(&self, tried: Option<Fingerprint>) -> Option<Fingerprint> {
        let pair = match Pair::read(&self.files) {
            Ok(pair) => pair,
            Err(problem) => {
                if tried.is_some() {
                    self.refused(&problem);
                }
                return None;
            }
        };
        let fingerprint = pair.fingerprint();
        if tried != Some(fingerprint) {
            match pair.certified(&self.files) {
                Ok(certified) => {
                    self.current.store(Arc::new(certified));
                    self.count("loaded");
                    tracing::info!(surface = self.surface, "the TLS certificate was read again");
                }
                Err(problem) => self.refused(&problem),
            }
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

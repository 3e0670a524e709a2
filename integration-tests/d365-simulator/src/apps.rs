//! App registrations: who may ask for tokens and how D365 treats them.

use std::fmt;

/// A text that must not appear in logs or debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn matches(&self, candidate: &str) -> bool {
        self.0 == candidate
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// One app registration in Entra and its line in D365's "Microsoft Entra applications" form.
#[derive(Debug, Clone)]
pub struct AppRegistration {
    /// Application (client) id.
    pub client_id: String,
    /// Client secret, if the app has one.
    pub client_secret: Option<Secret>,
    /// Certificates or bare RSA public keys in PEM. With a certificate the thumbprint header of an
    /// assertion is checked as well.
    pub certificates: Vec<String>,
    /// Federated tokens accepted as they stand, as the exact text.
    pub federated_tokens: Vec<Secret>,
    /// Whether D365 lists the app; if not, its tokens are good for Entra but answered 401 by `/data`.
    pub listed_in_d365: bool,
}

impl AppRegistration {
    /// An app with a secret, listed in D365.
    pub fn with_secret(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: Some(Secret::new(client_secret)),
            certificates: Vec::new(),
            federated_tokens: Vec::new(),
            listed_in_d365: true,
        }
    }
}

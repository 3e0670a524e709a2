//! App registrations: who may ask for tokens and how D365 treats them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A text that must not appear in logs or debug output.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
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

/// Rank of an app in D365's throttling priority mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Throttled first.
    Low,
    /// Throttled when Low no longer helps.
    #[default]
    Medium,
    /// Throttled last.
    High,
}

/// One app registration in Entra and its line in D365's "Microsoft Entra applications" form.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppRegistration {
    /// Application (client) id.
    pub client_id: String,
    /// Client secret, if the app has one.
    #[serde(default)]
    pub client_secret: Option<Secret>,
    /// Certificates or bare RSA public keys in PEM. With a certificate the thumbprint header of an
    /// assertion is checked as well.
    #[serde(default)]
    pub certificates: Vec<String>,
    /// Federated tokens accepted as they stand, as the exact text.
    #[serde(default)]
    pub federated_tokens: Vec<Secret>,
    /// Rank in the throttling priority mapping.
    #[serde(default)]
    pub priority: Priority,
    /// Whether D365 lists the app; if not, its tokens are good for Entra but answered 401 by `/data`.
    #[serde(default = "yes")]
    pub listed_in_d365: bool,
}

fn yes() -> bool {
    true
}

impl AppRegistration {
    /// An app with a secret, Medium priority, listed in D365.
    pub fn with_secret(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: Some(Secret::new(client_secret)),
            certificates: Vec::new(),
            federated_tokens: Vec::new(),
            priority: Priority::Medium,
            listed_in_d365: true,
        }
    }

    /// The same app with another priority.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }
}

//! What can go wrong between us and D365.

use std::time::Duration;

/// A failed exchange with D365 or Entra ID. Carries no token, no secret and no body text beyond a
/// short, cleaned message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum D365Error {
    /// D365 told us to stay away.
    #[error("D365 is throttling: come back in {} s", retry_after.as_secs())]
    Throttled {
        /// How long to stay away.
        retry_after: Duration,
    },
    /// Nothing was sent: the calls that may be under way at once were all taken for too long. Says
    /// nothing about D365.
    #[error("D365 was not asked: too many calls are under way")]
    NoCallSlot,
    /// No whole answer inside the time allowed.
    #[error("D365 did not answer in time ({stage})")]
    TimedOut {
        /// What was being waited for.
        stage: &'static str,
        /// How long D365 had been asked by then; nothing if the request had not gone out.
        silent_for: Duration,
    },
    /// No connection, or it broke.
    #[error("the connection to D365 failed: {cause}")]
    Connection {
        /// The cause in the network library's words, without URL.
        cause: String,
    },
    /// Entra ID refused or failed to give a token.
    #[error("no access token for client {client_id}: {cause}")]
    Token {
        /// The app registration.
        client_id: String,
        /// Why; names the AADSTS number if there was one.
        cause: String,
        /// Whether it is a mistake in the configuration rather than a passing fault.
        is_configuration: bool,
    },
    /// D365 answered with an error status.
    #[error("D365 answered {status}: {message}")]
    Status {
        /// HTTP status.
        status: u16,
        /// D365's message, cleaned and cut.
        message: String,
    },
    /// An answer with a good status that is not what was asked for.
    #[error("D365's answer is not usable: {problem}")]
    BadAnswer {
        /// What is wrong with it.
        problem: String,
    },
    /// The client cannot be built from the settings.
    #[error("the D365 client cannot be set up: {problem}")]
    Setup {
        /// What is wrong and which setting to change.
        problem: String,
    },
    /// A question D365 cannot be asked.
    #[error("D365 cannot be asked for {what:?}: {problem}")]
    Unaskable {
        /// The offending value.
        what: String,
        /// Why not.
        problem: &'static str,
    },
}

impl D365Error {
    /// Whether the same question may succeed later without anybody changing anything.
    pub fn may_be_tried_again(&self) -> bool {
        match self {
            Self::Throttled { .. }
            | Self::NoCallSlot
            | Self::TimedOut { .. }
            | Self::Connection { .. }
            | Self::BadAnswer { .. } => true,
            Self::Token {
                is_configuration, ..
            } => !is_configuration,
            Self::Status { status, .. } => *status >= 500,
            Self::Setup { .. } | Self::Unaskable { .. } => false,
        }
    }

    /// One word out of a closed set, for metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::NoCallSlot => "crowded",
            Self::TimedOut { .. } => "timed-out",
            Self::Connection { .. } => "connection",
            Self::Token { .. } => "token",
            Self::Status { status, .. } if *status >= 500 => "server-error",
            Self::Status { .. } => "refused",
            Self::BadAnswer { .. } => "bad-answer",
            Self::Setup { .. } => "setup",
            Self::Unaskable { .. } => "unaskable",
        }
    }
}

/// The client cannot be built.
pub(super) fn setup(problem: String) -> D365Error {
    D365Error::Setup { problem }
}

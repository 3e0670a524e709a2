//! Why there is no live answer, and what a caller wants then.

use shared::d365::D365Error;
use std::time::Duration;

/// What a caller wants when D365 does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnLiveFailure {
    /// No answer.
    Fail,
    /// The cached number, marked as such.
    Cache,
}

/// Why there is no live answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LiveFailure {
    /// Nobody gave us a sign-in for this tenant's D365.
    #[error("no D365 credentials are configured for this organization (api.live.entra)")]
    NoCredentials,
    /// D365 kept failing and is left alone for a while.
    #[error("D365 keeps failing; it is asked again in {} s", wait.as_secs().max(1))]
    BreakerOpen {
        /// How long.
        wait: Duration,
    },
    /// The deadline passed first.
    #[error("the deadline passed before D365 was asked or had answered")]
    DeadlinePassed,
    /// D365 or Entra ID failed.
    #[error(transparent)]
    Erp(#[from] D365Error),
}

impl LiveFailure {
    /// What a caller may know.
    pub(crate) fn outside(&self) -> &'static str {
        match self {
            Self::NoCredentials => "Live stock is not available for this organization.",
            Self::DeadlinePassed | Self::Erp(D365Error::TimedOut { .. }) => {
                "The ERP did not answer in time."
            }
            Self::Erp(D365Error::Throttled { .. }) => "The ERP asks to wait.",
            Self::Erp(D365Error::NoCallSlot) => "Too many questions to the ERP are under way.",
            Self::BreakerOpen { .. }
            | Self::Erp(D365Error::Connection { .. } | D365Error::Token { .. }) => {
                "The ERP cannot be reached."
            }
            Self::Erp(
                D365Error::Status { .. }
                | D365Error::BadAnswer { .. }
                | D365Error::Setup { .. }
                | D365Error::Unaskable { .. },
            ) => "The ERP answered with an error.",
        }
    }

    /// The word used in metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::BreakerOpen { .. } => "resting",
            Self::DeadlinePassed => "deadline",
            Self::Erp(cause) => match cause {
                D365Error::Throttled { .. } => "throttled",
                D365Error::NoCallSlot => "crowded",
                D365Error::TimedOut { .. } => "timed_out",
                D365Error::Connection { .. } => "connection",
                D365Error::Token { .. } => "token",
                D365Error::Status { .. } => "status",
                D365Error::BadAnswer { .. } => "bad_answer",
                D365Error::Setup { .. } => "setup",
                D365Error::Unaskable { .. } => "unaskable",
            },
        }
    }
}

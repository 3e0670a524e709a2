//! Refusals of the token endpoints.

use serde_json::{Value, json};
use thiserror::Error;

use crate::answer::Answer;
use crate::clock::UtcMillis;
use crate::odata::errors::PLAIN_JSON;

/// Why no token is issued. The text is Entra's; identifiers and the time are added to it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum EntraError {
    #[error("AADSTS900144: The request body must contain the following parameter: '{0}'.")]
    MissingParameter(&'static str),
    #[error(
        "AADSTS900561: The request body is not a well-formed application/x-www-form-urlencoded form: {0}."
    )]
    MalformedForm(&'static str),
    #[error(
        "AADSTS90002: Tenant '{0}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
    )]
    UnknownTenant(String),
    #[error("AADSTS70003: The app requested an unsupported grant type.")]
    UnsupportedGrant,
    #[error(
        "AADSTS700016: Application with identifier '{0}' was not found in the directory. This can happen if the application has not been installed by the administrator of the tenant."
    )]
    UnknownApp(String),
    #[error(
        "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{0}'."
    )]
    WrongSecret(String),
    #[error(
        "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
    )]
    NoCredential,
    #[error("AADSTS70002: The client assertion type is not supported.")]
    WrongAssertionType,
    #[error(
        "AADSTS70011: The provided value for the input parameter 'scope' is not valid. The scope {0} is not valid."
    )]
    InvalidScope(String),
    #[error(
        "AADSTS500011: The resource principal named {0} was not found in the tenant. This can happen if the application has not been installed by the administrator of the tenant."
    )]
    UnknownResource(String),
    #[error(
        "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application, or the assertion is not valid: {0}."
    )]
    BadAssertion(&'static str),
    #[error("AADSTS700024: Client assertion is not within its valid time range.")]
    AssertionTime,
    #[error("AADSTS70021: No matching federated identity record found for presented assertion.")]
    NoFederatedIdentity,
}

impl EntraError {
    /// The number in the description.
    fn number(&self) -> u64 {
        match self {
            Self::MissingParameter(_) => 900_144,
            Self::MalformedForm(_) => 900_561,
            Self::UnknownTenant(_) => 90_002,
            Self::UnsupportedGrant => 70_003,
            Self::UnknownApp(_) => 700_016,
            Self::WrongSecret(_) => 7_000_215,
            Self::NoCredential => 7_000_218,
            Self::WrongAssertionType => 70_002,
            Self::InvalidScope(_) => 70_011,
            Self::UnknownResource(_) => 500_011,
            Self::BadAssertion(_) => 700_027,
            Self::AssertionTime => 700_024,
            Self::NoFederatedIdentity => 70_021,
        }
    }

    /// OAuth's word for it and the HTTP status.
    fn class(&self) -> (&'static str, u16) {
        match self {
            Self::MissingParameter(_) | Self::MalformedForm(_) | Self::UnknownTenant(_) => {
                ("invalid_request", 400)
            }
            Self::UnsupportedGrant => ("unsupported_grant_type", 400),
            Self::UnknownApp(_) => ("unauthorized_client", 400),
            Self::WrongSecret(_)
            | Self::NoCredential
            | Self::WrongAssertionType
            | Self::BadAssertion(_)
            | Self::AssertionTime
            | Self::NoFederatedIdentity => ("invalid_client", 401),
            Self::InvalidScope(_) => ("invalid_scope", 400),
            Self::UnknownResource(_) => ("invalid_resource", 400),
        }
    }

    pub(crate) fn answer(&self, now: UtcMillis) -> Answer {
        let [trace, correlation] = [(), ()].map(|()| uuid::Uuid::new_v4().to_string());
        let timestamp = now.timestamp().strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        self.answer_with(&trace, &correlation, &timestamp)
    }

    pub(super) fn answer_with(&self, trace: &str, correlation: &str, timestamp: &str) -> Answer {
        let (error, status) = self.class();
        let number = self.number();
        // Captures of a refused secret have blanks where the documentation of a refused scope has line breaks.
        let gap = if matches!(self, Self::WrongSecret(_)) {
            " "
        } else {
            "\r\n"
        };
        let description = format!(
            "{self}{gap}Trace ID: {trace}{gap}Correlation ID: {correlation}{gap}Timestamp: {timestamp}"
        );
        let text = |text: &str| Value::from(text);
        let body = format!(
            r#"{{"error":{},"error_description":{},"error_codes":[{number}],"timestamp":{},"trace_id":{},"correlation_id":{},"error_uri":{}}}"#,
            text(error),
            text(&description),
            text(timestamp),
            text(trace),
            text(correlation),
            json!(format!(
                "https://login.microsoftonline.com/error?code={number}"
            )),
        );
        Answer::bytes(status, PLAIN_JSON, body)
    }
}

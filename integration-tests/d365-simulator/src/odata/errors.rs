//! Refusals of the `/data` endpoint in the envelope each of them really comes in.

use serde_json::json;
use thiserror::Error;

use crate::answer::Answer;

/// Why a request under `/data` is not answered with rows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ODataError {
    #[error("Could not find a property named '{property}' on type '{type_name}'.")]
    UnknownProperty {
        property: String,
        type_name: &'static str,
    },
    #[error("{0}")]
    InvalidQuery(String),
    #[error("authentication failed")]
    Unauthorized,
    #[error("no entity set answers {0}")]
    NotFound(String),
    #[error("only GET is answered here")]
    MethodNotAllowed,
}

pub(crate) const ODATA_JSON: &str = "application/json; odata.metadata=minimal";
pub(crate) const PLAIN_JSON: &str = "application/json; charset=utf-8";

impl ODataError {
    pub(crate) fn answer(&self) -> Answer {
        match self {
            Self::UnknownProperty { .. } | Self::InvalidQuery(_) => bad_query(&self.to_string()),
            Self::Unauthorized => unauthorized(),
            Self::NotFound(uri) => not_found(uri),
            Self::MethodNotAllowed => {
                let body =
                    json!({"Message": "The requested resource does not support this http method."});
                Answer::json(405, PLAIN_JSON, &body)
            }
        }
    }
}

fn bad_query(sentence: &str) -> Answer {
    let body = format!(
        r#"{{"error":{{"code":"","message":{},"innererror":{{"message":{},"type":"Microsoft.OData.ODataException","stacktrace":"   at ..."}}}}}}"#,
        json!(format!(
            "The query specified in the URI is not valid. {sentence}"
        )),
        json!(sentence),
    );
    Answer::bytes(400, ODATA_JSON, body)
}

/// Token missing, expired, for another audience, or of an app that D365 does not list.
pub(crate) fn unauthorized() -> Answer {
    const BODY: &str = r#"{"Message":"Authentication failed.","StackTrace":null,"ExceptionType":"System.InvalidOperationException"}"#;
    Answer::bytes(401, PLAIN_JSON, BODY).header(
        "P3P",
        r#"CP="No P3P policy defined. Read the Microsoft privacy statement at https://go.microsoft.com/fwlink/?LinkId=271135""#,
    )
}

fn not_found(uri: &str) -> Answer {
    let body = format!(
        r#"{{"Message":{},"MessageDetail":"No route data was found for this request."}}"#,
        json!(format!(
            "No HTTP resource was found that matches the request URI '{uri}'."
        )),
    );
    Answer::bytes(404, PLAIN_JSON, body)
}

/// An exception in entity code.
pub(crate) fn entity_exception() -> Answer {
    const BODY: &str = r#"{"error":{"code":"","message":"An error has occurred.","innererror":{"message":"Execution Timeout Expired. The timeout period elapsed prior to completion of the operation or the server is not responding.","type":"System.InvalidOperationException","stacktrace":"   at Microsoft.Dynamics.Platform.Integration.Services.OData..."}}}"#;
    Answer::bytes(500, ODATA_JSON, BODY)
}

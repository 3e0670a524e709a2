//! What D365's answer is: the thing asked for, or one of its ways to say no.

use crate::d365::body::{NotWhole, clean, whole_body};
use crate::d365::error::D365Error;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use std::time::Duration;

/// Largest error body read.
const LARGEST_ERROR_BODY: usize = 64 * 1024;
/// Longest silence inside one.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);

/// Refuses a 200 that is not JSON in UTF-8, or says two things about it: proxies and login pages
/// answer HTML with a good status.
pub(super) fn check_content_type(headers: &HeaderMap) -> Result<(), D365Error> {
    let found: Vec<&str> = headers
        .get_all(CONTENT_TYPE)
        .iter()
        .map(|value| value.to_str().unwrap_or("unreadable"))
        .collect();
    let is_json = |found: &str| {
        let mut parts = found.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let is_utf8 = |parameter: &str| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                let value = value.trim().trim_matches('"');
                ["utf-8", "utf8", "us-ascii"]
                    .iter()
                    .any(|known| value.eq_ignore_ascii_case(known))
            }
            _ => true,
        };
        kind.eq_ignore_ascii_case("application/json") && parts.all(is_utf8)
    };
    match found[..] {
        [found] if is_json(found) => Ok(()),
        _ => Err(D365Error::BadAnswer {
            problem: format!(
                "its content type is {:?} and not application/json in UTF-8",
                clean(&found.join(", "))
            ),
        }),
    }
}

/// The error for a status that is neither 200 nor 429, with D365's own message. `token` is the one
/// that was sent: a message that repeats it does not show it.
pub(super) async fn refusal(response: reqwest::Response, token: &str) -> D365Error {
    let status = response.status();
    let message = if status.is_redirection() {
        "it redirects, as to a login page; redirects are not followed".to_owned()
    } else {
        match whole_body(response, LARGEST_ERROR_BODY, LONGEST_SILENCE).await {
            Ok(body) => message_of(&body, token),
            Err(NotWhole::TooLarge) => "its error text is too long to read".to_owned(),
            Err(NotWhole::Silent | NotWhole::Broken(_)) => "its error text broke off".to_owned(),
        }
    };
    D365Error::Status {
        status: status.as_u16(),
        message: match advice(status) {
            Some(advice) => format!("{message} ({advice})"),
            None => message,
        },
    }
}

fn advice(status: StatusCode) -> Option<&'static str> {
    Some(match status {
        StatusCode::UNAUTHORIZED => {
            "is the client id listed in D365 under Microsoft Entra applications, and is \
             environment_url the environment's own address?"
        }
        StatusCode::FORBIDDEN => "does the service user have the read privilege for this entity?",
        StatusCode::NOT_FOUND => "is the entity set public in this environment?",
        _ => return None,
    })
}

/// Both envelopes: `OData`'s `{"error":{..}}` and the Web API's `{"Message":..}`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorBody {
    error: Option<ODataError>,
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "MessageDetail")]
    detail: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ODataError {
    message: Option<String>,
    innererror: Option<InnerError>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct InnerError {
    message: Option<String>,
}

/// The useful sentence of an error body without the token that was sent; stack traces and
/// everything else stay behind.
fn message_of(body: &[u8], token: &str) -> String {
    if body.is_empty() {
        return "no message".to_owned();
    }
    let Ok(body) = serde_json::from_slice::<ErrorBody>(body) else {
        return "no message in JSON".to_owned();
    };
    let sentences = match body.error {
        // The outer message of a failure inside an entity is always the same; the inner one tells.
        Some(error) => {
            let inner = error.innererror.and_then(|inner| inner.message);
            match (error.message, inner) {
                (Some(outer), Some(inner)) if !outer.contains(&inner) => [Some(outer), Some(inner)],
                (outer, inner) => [outer.or(inner), None],
            }
        }
        None => [body.message, body.detail],
    };
    let sentences: Vec<String> = sentences.into_iter().flatten().collect();
    if sentences.is_empty() {
        "no message".to_owned()
    } else {
        clean(&sentences.join(" ").replace(token, "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn the_useful_sentence_of_either_envelope_is_found() {
        for (body, expected) in [
            (
                r#"{"error":{"code":"","message":"An error has occurred.","innererror":{"message":"Execution Timeout Expired.","type":"T","stacktrace":"   at Secret.Place"}}}"#,
                "An error has occurred. Execution Timeout Expired.",
            ),
            (
                r#"{"error":{"code":"","message":"The query is not valid. No 'X'.","innererror":{"message":"No 'X'."}}}"#,
                "The query is not valid. No 'X'.",
            ),
            (
                r#"{"Message":"Authentication failed.","StackTrace":"at x","ExceptionType":"T"}"#,
                "Authentication failed.",
            ),
            (
                r#"{"Message":"No HTTP resource was found.","MessageDetail":"No route data."}"#,
                "No HTTP resource was found. No route data.",
            ),
            ("", "no message"),
            ("{}", "no message"),
            ("<html>", "no message in JSON"),
            (r#"{"error":"text"}"#, "no message in JSON"),
            (r#"{"Message":"a\r\n\tb\u0007c"}"#, "a b c"),
        ] {
            assert_eq!(message_of(body.as_bytes(), "token"), expected);
        }
    }

    #[test]
    fn a_content_type_is_json_in_utf8_said_once() {
        let checked = |values: &[&'static str]| {
            let headers = values
                .iter()
                .map(|value| (CONTENT_TYPE, HeaderValue::from_static(value)));
            check_content_type(&headers.collect())
        };
        for good in [
            "application/json",
            "Application/JSON; odata.metadata=minimal; odata.streaming=true; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert_eq!(checked(&[good]), Ok(()), "{good}");
        }
        for lie in [
            &[][..],
            &["text/html"],
            &["text/html; x=application/json"],
            &["application/json; charset=utf-16"],
            &["application/json; charset=iso-8859-1"],
            &["application/json, text/html"],
            &["application/json", "text/html"],
            &["multipart/mixed; boundary=x"],
        ] {
            assert!(checked(lie).is_err(), "{lie:?}");
        }
    }

    #[test]
    fn a_token_that_comes_back_in_a_message_does_not_show_not_even_in_part() {
        let token = "canary".repeat(200);
        let body = format!(r#"{{"Message":"Bad header: Bearer {token} was refused"}}"#);
        assert_eq!(
            message_of(body.as_bytes(), &token),
            "Bad header: Bearer *** was refused"
        );
    }
}

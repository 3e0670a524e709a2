//! What D365's answer is: the thing asked for, or one of its ways to say no.

use crate::d365::D365Error;
use crate::d365::bounded_body::{NotWhole, whole_body};
use crate::d365::on_hand_page::Body;
use crate::process::clock::Clock;
use futures_util::stream::{StreamExt, try_unfold};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Sleep;

/// Largest error body read.
const LARGEST_ERROR_BODY: usize = 64 * 1024;
/// Longest message kept, in characters.
const LONGEST_MESSAGE: usize = 300;

/// The network library's words, innermost cause last, without any address.
pub(in crate::d365) fn network_cause(cause: reqwest::Error) -> String {
    let cause = cause.without_url();
    let mut words = cause.to_string();
    let mut source = cause.source();
    while let Some(inner) = source {
        words.push_str(": ");
        words.push_str(&inner.to_string());
        source = inner.source();
    }
    clean(&words)
}

/// Control characters and runs of blanks become one blank; the rest is cut to 300 characters.
fn clean(text: &str) -> String {
    let mut words = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > 4 * LONGEST_MESSAGE {
            break;
        }
    }
    match words.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

/// Refuses a 200 that is not JSON in UTF-8, or says two things about it: proxies and login pages
/// answer HTML with a good status.
pub(in crate::d365) fn check_content_type(headers: &HeaderMap) -> Result<(), D365Error> {
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
pub(in crate::d365) async fn refusal(response: reqwest::Response, token: &str) -> D365Error {
    let status = response.status();
    let message = if status.is_redirection() {
        "it redirects, as to a login page; redirects are not followed".to_owned()
    } else {
        match whole_body(response, LARGEST_ERROR_BODY).await {
            Ok(body) => message_of(&body, token),
            Err(NotWhole::TooLarge) => "its error text is too long to read".to_owned(),
            Err(NotWhole::Broken(_)) => "its error text broke off".to_owned(),
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

/// A good answer's bytes, bounded in size and time.
pub(in crate::d365) fn bounded_stream(
    response: reqwest::Response,
    largest: usize,
    idle_limit: Duration,
    deadline: Pin<Box<Sleep>>,
    asked: Asked,
) -> Body {
    let start = (response, largest, deadline, asked);
    try_unfold(
        start,
        move |(mut response, left, mut deadline, asked)| async move {
            let chunk = tokio::select! {
                biased;
                () = &mut deadline => return Err(asked.timed_out("reading the answer")),
                chunk = tokio::time::timeout(idle_limit, response.chunk()) => chunk,
            };
            let chunk = chunk
                .map_err(|_elapsed| asked.timed_out("the answer stopped coming"))?
                .map_err(|cause| D365Error::Connection {
                    cause: network_cause(cause),
                })?;
            let Some(chunk) = chunk else {
                return Ok(None);
            };
            let left = left
                .checked_sub(chunk.len())
                .ok_or_else(|| D365Error::BadAnswer {
                    problem: format!("its body is larger than {largest} bytes"),
                })?;
            Ok(Some((chunk, (response, left, deadline, asked))))
        },
    )
    .boxed()
}

/// Since when D365 is asked, on the monotonic clock; nothing before the request goes out.
#[derive(Debug, Clone)]
pub(in crate::d365) struct Asked {
    clock: Arc<dyn Clock>,
    since: Arc<OnceLock<Duration>>,
}

impl Asked {
    /// Not yet.
    pub(in crate::d365) fn not_yet(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            since: Arc::default(),
        }
    }

    /// The request goes out.
    pub(in crate::d365) fn begins(&self) {
        // A second request of the same call does not make the silence shorter.
        let _since = self.since.get_or_init(|| self.clock.monotonic());
    }

    /// A time limit was reached.
    pub(in crate::d365) fn timed_out(&self, stage: &'static str) -> D365Error {
        let now = self.clock.monotonic();
        let silent_for = self.since.get().map(|since| now.saturating_sub(*since));
        D365Error::TimedOut {
            stage,
            silent_for: silent_for.unwrap_or_default(),
        }
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
        let told = |values: &[&'static str]| {
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
            assert_eq!(told(&[good]), Ok(()), "{good}");
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
            assert!(told(lie).is_err(), "{lie:?}");
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

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let message = clean(&"ä".repeat(5_000));
        assert_eq!(message.chars().count(), LONGEST_MESSAGE + 1);
        assert!(clean(&"word ".repeat(5_000)).chars().count() <= LONGEST_MESSAGE + 1);
    }
}

//! Answers that replace the page.

use serde_json::json;

use crate::answer::{Answer, Delivery};
use crate::clock::UtcMillis;
use crate::faults::book::Fault;
use crate::faults::spec::{Action, RetryAfter, ThrottleBody};
use crate::faults::spoil::spoil_answer;
use crate::odata::errors::{ODATA_JSON, PLAIN_JSON, entity_exception, unauthorized};

const HTML_PAGE: &str = "<!DOCTYPE html><html><head><title>Sign in to your account</title></head><body><p>We are working on it.</p></body></html>";

/// The answer of the first fault that replaces the page, if one does.
pub(crate) fn refuse(faults: &[Fault], now: UtcMillis) -> Option<Answer> {
    let mut answer = faults.iter().find_map(|fault| replacement(fault, now))?;
    spoil_answer(faults, &mut answer);
    Some(answer)
}

fn replacement(fault: &Fault, now: UtcMillis) -> Option<Answer> {
    let answer = match &fault.action {
        Action::Throttle { retry_after, body } => {
            let retry_after = match *retry_after {
                RetryAfter::Growing(first) => {
                    let doublings = u32::try_from(fault.fired_before.min(20)).unwrap_or(20);
                    RetryAfter::Seconds(first << doublings)
                }
                other => other,
            };
            throttled(retry_after, *body, now)
        }
        Action::Unauthorized => unauthorized(),
        Action::Forbidden => Answer::empty(403),
        Action::ServerError => entity_exception(),
        Action::Unavailable { retry_after } => {
            let answer = Answer::text(
                503,
                "text/html",
                "<html><body><h1>Service Unavailable</h1></body></html>",
            );
            match retry_after {
                Some(seconds) => answer.header("Retry-After", seconds.to_string()),
                None => answer,
            }
        }
        Action::BlackHole => {
            let mut answer = Answer::empty(200);
            answer.delivery = Delivery::Never;
            answer
        }
        Action::Html { content_type } => Answer::text(200, content_type, HTML_PAGE),
        Action::Redirect { location } => {
            Answer::text(302, "text/html", HTML_PAGE).header("Location", location.clone())
        }
        _ => return None,
    };
    Some(answer)
}

/// 429 as resource-based throttling says it.
fn throttled(retry_after: RetryAfter, body: ThrottleBody, now: UtcMillis) -> Answer {
    let (header, seconds) = match retry_after {
        RetryAfter::Seconds(seconds) | RetryAfter::Growing(seconds) => {
            (Some(seconds.to_string()), seconds)
        }
        RetryAfter::DateIn(seconds) => (Some(http_date(now, seconds)), seconds),
        RetryAfter::None => (None, 30),
    };
    let sentence = format!(
        "This request could not be processed at this time due to system experiencing high resource utilization. Retry the request after {seconds} seconds"
    );
    let answer = match body {
        ThrottleBody::WebApi => Answer::json(429, PLAIN_JSON, &json!({"Message": sentence})),
        ThrottleBody::Odata => Answer::bytes(
            429,
            ODATA_JSON,
            format!(r#"{{"error":{{"code":"","message":{}}}}}"#, json!(sentence)),
        ),
        ThrottleBody::Text => Answer::text(429, "text/plain", &sentence),
        ThrottleBody::Empty => Answer::empty(429),
    };
    match header {
        Some(value) => answer.header("Retry-After", value),
        None => answer,
    }
}

fn http_date(now: UtcMillis, ahead: u64) -> String {
    let ahead = i64::try_from(ahead).unwrap_or(i64::MAX / 2000);
    // Rounded up: a date that is cut to the second would end the wait too early.
    let seconds =
        UtcMillis::from_unix_millis((now.unix_millis() + 999) / 1000 * 1000 + ahead * 1000);
    seconds
        .timestamp()
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_comes_in_every_form() {
        let now = UtcMillis::parse("2026-11-23T04:53:56Z").unwrap();
        for (retry_after, fired_before, expected) in [
            (RetryAfter::Seconds(37), 0, Some("37")),
            (
                RetryAfter::DateIn(4),
                0,
                Some("Mon, 23 Nov 2026 04:54:00 GMT"),
            ),
            (RetryAfter::None, 0, None),
            (RetryAfter::Growing(2), 0, Some("2")),
            (RetryAfter::Growing(2), 3, Some("16")),
        ] {
            let fault = Fault {
                action: Action::Throttle {
                    retry_after,
                    body: ThrottleBody::Empty,
                },
                fired_before,
            };
            let headers = refuse(&[fault], now).unwrap().headers;
            let wait = headers.iter().find(|(name, _)| *name == "Retry-After");
            assert_eq!(wait.map(|(_, value)| value.as_str()), expected);
        }
    }
}

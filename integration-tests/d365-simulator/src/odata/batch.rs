//! `$batch`: several GETs in one multipart request, each answered as if it had come alone.

use std::fmt::Write as _;
use std::sync::Arc;

use super::errors::ODataError;
use super::service::{self, DataRequest};
use crate::answer::Answer;
use crate::simulator::Simulator;

/// Operations in one batch at most.
const MOST_PARTS: usize = 5_000;

/// Answers a batch. Parts are worked off one after the other.
pub(crate) async fn answer(
    simulator: &Arc<Simulator>,
    origin: &str,
    token: Option<&str>,
    content_type: &str,
    body: &[u8],
) -> Answer {
    let parts = match parts(content_type, body) {
        Ok(parts) => parts,
        Err(error) => return error.answer(),
    };
    let boundary = format!("batchresponse_{}", uuid::Uuid::new_v4());
    let mut out = String::new();
    let mut rows = 0;
    for part in parts {
        let answered = match part {
            Part::Get { path, query } => {
                let mut record = simulator.open_record("GET", &path, &query);
                let request = DataRequest {
                    origin: origin.to_owned(),
                    path,
                    query,
                    token: token.map(str::to_owned),
                    preferred: None,
                };
                let answered = service::answer(simulator, request, &mut record).await;
                record.close(&answered, answered.body.len() as u64);
                answered
            }
            Part::Other => ODataError::MethodNotAllowed.answer(),
        };
        rows += answered.rows;
        write_part(&mut out, &boundary, &answered);
    }
    out.push_str("--");
    out.push_str(&boundary);
    out.push_str("--\r\n");
    let mut answer = Answer::bytes(200, &format!("multipart/mixed; boundary={boundary}"), out);
    answer.rows = rows;
    answer.header("OData-Version", "4.0")
}

enum Part {
    Get { path: String, query: String },
    Other,
}

fn parts(content_type: &str, body: &[u8]) -> Result<Vec<Part>, ODataError> {
    let invalid = |text: &str| ODataError::InvalidQuery(text.to_owned());
    let boundary = content_type
        .split(';')
        .filter_map(|piece| piece.trim().strip_prefix("boundary="))
        .map(|boundary| boundary.trim_matches('"'))
        .find(|boundary| !boundary.is_empty());
    let Some(boundary) = boundary.filter(|_| content_type.starts_with("multipart/mixed")) else {
        return Err(invalid(
            "The batch request must be multipart/mixed with a boundary.",
        ));
    };
    let body = std::str::from_utf8(body)
        .map_err(|_source| invalid("The batch request is not valid UTF-8."))?;
    let delimiter = format!("--{boundary}");
    let mut pieces = body.split(delimiter.as_str());
    pieces.next();
    let mut parts = Vec::new();
    let mut closed = false;
    for piece in pieces {
        if piece.starts_with("--") {
            closed = true;
            break;
        }
        parts.push(part(piece));
        if parts.len() > MOST_PARTS {
            return Err(invalid("The batch request has more than 5000 operations."));
        }
    }
    if closed {
        Ok(parts)
    } else {
        Err(invalid("The batch request has no closing boundary."))
    }
}

/// Headers of the part, a blank line, then the request line of the operation.
fn part(piece: &str) -> Part {
    let piece = piece.replace("\r\n", "\n");
    let Some((headers, operation)) = piece.trim_start_matches('\n').split_once("\n\n") else {
        return Part::Other;
    };
    if !headers
        .to_ascii_lowercase()
        .contains("content-type: application/http")
    {
        return Part::Other;
    }
    let line = operation.trim_start().lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let (Some("GET"), Some(target)) = (words.next(), words.next()) else {
        return Part::Other;
    };
    let target = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // An address without a leading slash is relative to the service root.
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/data/{path}")
    };
    Part::Get {
        path,
        query: query.to_owned(),
    }
}

fn write_part(out: &mut String, boundary: &str, answer: &Answer) {
    let reason = actix_web::http::StatusCode::from_u16(answer.status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Unknown");
    let written = write!(
        out,
        "--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nHTTP/1.1 {} {reason}\r\n",
        answer.status
    );
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
    for (name, value) in &answer.headers {
        out.push_str(name);
        out.push_str(": ");
        out.push_str(value);
        out.push_str("\r\n");
    }
    out.push_str("\r\n");
    out.push_str(&String::from_utf8_lossy(&answer.body));
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/mixed; boundary=batch_1";

    fn body(line: &str) -> String {
        format!(
            "--batch_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n{line}\r\nAccept: application/json\r\n\r\n\r\n--batch_1--\r\n"
        )
    }

    #[test]
    fn every_form_of_address_is_understood() {
        for line in [
            "GET Warehouses?$top=1 HTTP/1.1",
            "GET /data/Warehouses?$top=1 HTTP/1.1",
            "GET http://127.0.0.1:1/data/Warehouses?$top=1 HTTP/1.1",
        ] {
            let parts = parts(TYPE, body(line).as_bytes()).unwrap();
            match parts.as_slice() {
                [Part::Get { path, query }] => {
                    assert_eq!(
                        (path.as_str(), query.as_str()),
                        ("/data/Warehouses", "$top=1")
                    );
                }
                _ => panic!("{line} is one GET"),
            }
        }
    }

    #[test]
    fn writes_are_not_taken() {
        let parts = parts(TYPE, body("POST Warehouses HTTP/1.1").as_bytes()).unwrap();
        assert!(matches!(parts.as_slice(), [Part::Other]));
    }

    #[test]
    fn a_broken_batch_is_refused() {
        assert!(parts("application/json", b"{}").is_err());
        assert!(parts("multipart/mixed", b"").is_err());
        assert!(parts(TYPE, b"--batch_1\r\n\r\nGET x HTTP/1.1").is_err());
    }
}

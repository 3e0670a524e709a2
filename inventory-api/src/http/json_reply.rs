//! A JSON body on its way out: written once into one buffer, compressed if that is asked for and
//! worth it.

mod pieces;

use crate::error::ApiError;
use actix_web::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use flate2::Compression;
use flate2::write::GzEncoder;
use pieces::Pieces;
use serde::Serialize;
use shared::http::shares::Share;
use std::io::Write;

/// Bodies below this are not compressed: they fit one packet anyway.
const WORTH_COMPRESSING: usize = 1_024;

/// Writes a value as JSON into one buffer of about this size.
pub(crate) fn written(value: &impl Serialize, expected_bytes: usize) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::with_capacity(expected_bytes);
    serde_json::to_writer(&mut body, value).map_err(ApiError::Unwritable)?;
    Ok(body)
}

/// Whether a body of this length goes out compressed to this caller.
pub(crate) fn is_compressed_for(headers: &HeaderMap, body_bytes: usize) -> bool {
    body_bytes >= WORTH_COMPRESSING && accepts_gzip(headers)
}

/// Sends a JSON body.
pub(crate) fn send(
    reply: HttpResponseBuilder,
    headers: &HeaderMap,
    body: impl Into<Bytes>,
) -> HttpResponse {
    send_holding(reply, headers, body, None)
}

/// As [`send`]; the room the reply takes is given back when it was sent.
pub(crate) fn send_holding(
    mut reply: HttpResponseBuilder,
    headers: &HeaderMap,
    body: impl Into<Bytes>,
    room: Option<Share>,
) -> HttpResponse {
    let body = body.into();
    reply.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    reply.insert_header((VARY, HeaderValue::from_static("accept-encoding")));
    if is_compressed_for(headers, body.len()) {
        // Stock replies repeat their field names; the fastest level already gives a tenth.
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        if let Ok(compressed) = encoder.write_all(&body).and_then(|()| encoder.finish()) {
            reply.insert_header((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
            return with_body(reply, compressed.into(), room);
        }
    }
    with_body(reply, body, room)
}

fn with_body(mut reply: HttpResponseBuilder, body: Bytes, room: Option<Share>) -> HttpResponse {
    if Pieces::suit(body.len()) {
        reply.body(Pieces::of(body, room))
    } else {
        reply.body(body)
    }
}

/// Whether `Accept-Encoding` lists gzip, or anything, with a weight above zero.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let listed = headers
        .get_all(ACCEPT_ENCODING)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let mut any = false;
    for entry in listed {
        let mut parts = entry.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let is_refused = parts.any(|parameter| {
            parameter
                .strip_prefix("q=")
                .and_then(|weight| weight.trim().parse::<f32>().ok())
                .is_some_and(|weight| weight <= 0.0)
        });
        if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") {
            return !is_refused;
        }
        any |= coding == "*" && !is_refused;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_when_it_is_accepted() {
        for (value, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("br, *", true),
            ("*;q=0, gzip", true),
            ("*, gzip;q=0", false),
            ("gzip; q=0", false),
            ("br", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), expected, "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}

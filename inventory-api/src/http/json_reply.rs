//! A JSON body on its way out: written once into one buffer, compressed if that is asked for and
//! worth it.

use crate::error::ApiError;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY,
};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use shared::http::shares::Share;
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

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

/// As [`send`]; the share the reply takes is given back when it was sent.
pub(crate) fn send_holding(
    mut reply: HttpResponseBuilder,
    headers: &HeaderMap,
    body: impl Into<Bytes>,
    share: Option<Share>,
) -> HttpResponse {
    let body = body.into();
    reply.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    reply.insert_header((VARY, HeaderValue::from_static("accept-encoding")));
    if is_compressed_for(headers, body.len()) {
        // Stock replies repeat their field names; the fastest level already gives a tenth.
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        if let Ok(compressed) = encoder.write_all(&body).and_then(|()| encoder.finish()) {
            reply.insert_header((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
            return with_body(reply, compressed.into(), share);
        }
    }
    with_body(reply, body, share)
}

fn with_body(mut reply: HttpResponseBuilder, body: Bytes, share: Option<Share>) -> HttpResponse {
    if Pieces::suit(body.len()) {
        reply.body(Pieces::of(body, share))
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

/// Bytes of a piece; as many as the library gathers before it writes.
const PIECE: usize = 32 * 1024;

/// What is left of a large body, handed to the connection piece by piece.
///
/// The HTTP library copies what it is given into the connection's write buffer, however slowly the
/// other side reads, and the buffer keeps the size it once had.
#[derive(Debug)]
struct Pieces {
    rest: Bytes,
    /// Given back when the body was sent.
    _share: Option<Share>,
}

impl Pieces {
    /// Whether a body of this length is better sent so.
    fn suit(length: usize) -> bool {
        length > 2 * PIECE
    }

    /// All of it is to be sent.
    fn of(body: Bytes, share: Option<Share>) -> Self {
        Self {
            rest: body,
            _share: share,
        }
    }
}

impl MessageBody for Pieces {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.rest.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = PIECE.min(self.rest.len());
        Poll::Ready((length > 0).then(|| Ok(self.rest.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use std::task::Waker;

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

    #[tokio::test]
    async fn the_pieces_are_the_body() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let body: Vec<u8> = (0..length)
                .map(|at| u8::try_from(at % 251).unwrap())
                .collect();
            let mut pieces = Pieces::of(body.clone().into(), None);
            assert_eq!(pieces.size(), BodySize::Sized(length as u64));
            let first = Pin::new(&mut pieces).poll_next(&mut Context::from_waker(Waker::noop()));
            let expected =
                (length > 0).then(|| Ok(Bytes::copy_from_slice(&body[..length.min(PIECE)])));
            assert_eq!(first, Poll::Ready(expected));
            let rest = to_bytes(pieces).await.unwrap();
            assert_eq!(rest, body[length.min(PIECE)..]);
        }
    }
}

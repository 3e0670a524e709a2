//! Sends an answer the way it is to be sent: whole, slowly, cut off, padded, or not at all.

use std::io::Write as _;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, Stream};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, Delivery};
use crate::request_log::OpenRecord;

/// Longest time a request is left without an answer.
const LONGEST_SILENCE: Duration = Duration::from_mins(10);
/// Time for what was written before a cut to reach the wire.
const BEFORE_CUT: Duration = Duration::from_millis(20);
/// A fault ends the connection here.
#[derive(Debug, Error)]
#[error("the connection is cut by a fault")]
struct Cut;

/// Whether the caller takes gzip and the environment offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Gzip,
}

/// Turns an answer into a response; the record is closed when the last byte has been handed over.
pub(crate) async fn deliver(
    mut answer: Answer,
    mut record: OpenRecord,
    encoding: Encoding,
    stopping: &CancellationToken,
) -> HttpResponse {
    if answer.delivery == Delivery::Never {
        silence(LONGEST_SILENCE, stopping).await;
        return HttpResponse::GatewayTimeout().finish();
    }
    record.sending(&answer);
    if !answer.hold.is_zero() {
        silence(answer.hold, stopping).await;
    }
    compress(&mut answer, encoding);
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::from_str(value)) {
            response.insert_header((name, value));
        }
    }
    if answer.delivery == Delivery::Whole {
        record.finish(answer.body.len() as u64);
        return response.body(answer.body);
    }
    let length = (answer.body.len() as u64).max(1);
    let pieces = pieces(&answer.delivery, &answer.body);
    response.body(SizedStream::new(length, sent(pieces, record)))
}

async fn silence(length: Duration, stopping: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(length) => {}
        () = stopping.cancelled() => {}
    }
}

fn compress(answer: &mut Answer, encoding: Encoding) {
    let broken = answer.delivery == Delivery::TruncatedGzip;
    if !broken && (encoding == Encoding::Plain || answer.delivery != Delivery::Whole) {
        return;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder
        .write_all(&answer.body)
        .and_then(|()| encoder.finish());
    let Ok(mut packed) = packed else { return };
    if broken {
        packed.truncate(packed.len() / 2);
        answer.delivery = Delivery::Whole;
    }
    answer.headers.push(("Content-Encoding", "gzip".to_owned()));
    answer.body = packed.into();
}

/// What is sent next, after which pause.
#[derive(Debug)]
enum Piece {
    Bytes(Bytes, Duration),
    Cut,
}

/// The pieces of a body. An answer without a body still announces one byte, so that its end is seen as
/// missing.
fn pieces(delivery: &Delivery, body: &Bytes) -> Vec<Piece> {
    let whole = |bytes: Bytes| Piece::Bytes(bytes, Duration::ZERO);
    match *delivery {
        Delivery::CutAfter(bytes) => {
            let bytes = bytes.min(body.len().saturating_sub(1));
            vec![whole(body.slice(..bytes)), Piece::Cut]
        }
        Delivery::Trickle { chunk, pause } => {
            let starts = (0..body.len()).step_by(chunk.max(1));
            starts
                .map(|start| {
                    let end = (start + chunk).min(body.len());
                    Piece::Bytes(body.slice(start..end), pause)
                })
                .collect()
        }
        Delivery::Whole | Delivery::TruncatedGzip | Delivery::Never => {
            vec![whole(body.clone())]
        }
    }
}

struct Sending {
    pieces: std::vec::IntoIter<Piece>,
    sent: u64,
    record: OpenRecord,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.record.finish(self.sent);
    }
}

fn sent(pieces: Vec<Piece>, record: OpenRecord) -> impl Stream<Item = Result<Bytes, Cut>> {
    let start = Sending {
        pieces: pieces.into_iter(),
        sent: 0,
        record,
    };
    stream::unfold(start, |mut sending| async move {
        loop {
            match sending.pieces.next()? {
                Piece::Cut => {
                    tokio::time::sleep(BEFORE_CUT).await;
                    return Some((Err(Cut), sending));
                }
                Piece::Bytes(bytes, _) if bytes.is_empty() => {}
                Piece::Bytes(bytes, pause) => {
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    sending.sent += bytes.len() as u64;
                    return Some((Ok(bytes), sending));
                }
            }
        }
    })
}

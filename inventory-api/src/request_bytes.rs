//! A request's body: JSON, bounded in size and in time.
//!
//! Small bodies are read as they come. A large one needs a turn, of which there are few: so what callers
//! can have the process keep for them is bounded, however many send at once.

use crate::error::ApiError;
use crate::json_depth::is_deeper_than;
use crate::metrics;
use crate::state::AppState;
use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

/// Bytes from which a body is a large one: more than a thousand SKUs of forty characters take.
pub(crate) const LARGE: usize = 64 * 1024;
/// Large bodies in work at once.
pub(crate) const LARGE_AT_ONCE: usize = 4;

/// A body that was read. Keep it no longer than the request: a large one keeps others waiting.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Bytes,
    _turn: Option<Turn>,
}

/// A large body's turn.
#[derive(Debug)]
struct Turn(#[expect(dead_code, reason = "given back when it is dropped")] OwnedSemaphorePermit);

impl Turn {
    fn begin(permit: OwnedSemaphorePermit) -> Self {
        metrics::large_body(true);
        Self(permit)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        metrics::large_body(false);
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the body.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: Payload,
    state: &AppState,
) -> Result<Body, ApiError> {
    let limits = &state.settings.limits;
    let is_encoded = request
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_encoded || !is_json(request) {
        return Err(ApiError::UnsupportedMediaType);
    }
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes) {
        return Err(too_large(limits.body_bytes));
    }
    let reading = Reading {
        most: limits.body_bytes,
        announced,
        time: limits.body_timeout,
        time_is_up: pin!(sleep(limits.body_timeout)),
        large: &state.large_bodies,
    };
    let body = reading.read(payload).await?;
    if is_deeper_than(limits.json_depth, &body) {
        return Err(ApiError::TooLarge {
            path: "$".to_owned(),
            name: "jsonDepth",
            limit: limits.json_depth,
        });
    }
    Ok(body)
}

fn too_large(limit: usize) -> ApiError {
    ApiError::TooLarge {
        path: "$".to_owned(),
        name: "bodyBytes",
        limit,
    }
}

/// What a body may take.
struct Reading<'a> {
    most: usize,
    announced: Option<usize>,
    time: Duration,
    time_is_up: Pin<&'a mut Sleep>,
    large: &'a Arc<Semaphore>,
}

impl Reading<'_> {
    async fn read(mut self, mut payload: Payload) -> Result<Body, ApiError> {
        let (mut bytes, mut turn) = (Bytes::new(), None);
        while let Some(piece) = self.next(&mut payload).await? {
            let length = bytes.len() + piece.len();
            if length > self.most {
                return Err(too_large(self.most));
            }
            // Room for a large one is taken once: growing step by step leaves holes in the heap.
            let mut room = length;
            if length > LARGE && turn.is_none() {
                turn = Some(self.turn().await?);
                room = self.announced.unwrap_or(self.most);
            }
            // Most bodies come in one piece, which need not be copied.
            bytes = if bytes.is_empty() {
                piece
            } else {
                joined(bytes, &piece, room)
            };
        }
        Ok(Body { bytes, _turn: turn })
    }

    async fn next(&mut self, payload: &mut Payload) -> Result<Option<Bytes>, ApiError> {
        tokio::select! {
            biased;
            piece = payload.next() => piece.transpose().map_err(|_broken| ApiError::BodyBroken),
            () = &mut self.time_is_up => Err(ApiError::BodyTooSlow { limit: self.time }),
        }
    }

    async fn turn(&mut self) -> Result<Turn, ApiError> {
        let permit = tokio::select! {
            biased;
            permit = Arc::clone(self.large).acquire_owned() => permit.ok(),
            () = &mut self.time_is_up => None,
        };
        permit.map(Turn::begin).ok_or(ApiError::LargeBodiesContend {
            limit: LARGE_AT_ONCE,
        })
    }
}

/// One after the other; with room for so many bytes, if it is not there already.
fn joined(bytes: Bytes, piece: &[u8], room: usize) -> Bytes {
    let mut joined = match bytes.try_into_mut() {
        Ok(bytes) if bytes.capacity() >= room => bytes,
        Ok(bytes) => with_room(&bytes, room),
        Err(bytes) => with_room(&bytes, room),
    };
    joined.extend_from_slice(piece);
    joined.freeze()
}

fn with_room(bytes: &[u8], room: usize) -> BytesMut {
    let mut roomy = BytesMut::with_capacity(room);
    roomy.extend_from_slice(bytes);
    roomy
}

/// `application/json`, also with parameters, or ICM's own JSON media type.
fn is_json(request: &HttpRequest) -> bool {
    let Some(value) = request.headers().get(CONTENT_TYPE) else {
        return false;
    };
    let essence = value.as_bytes().split(|byte| *byte == b';').next();
    let essence = essence.unwrap_or_default().trim_ascii();
    essence.eq_ignore_ascii_case(b"application/json")
        || essence.eq_ignore_ascii_case(b"application/vnd.intershop.inventory.v1+json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    /// What becomes of a body of this length while so many turns are free.
    async fn read(length: usize, turns: usize) -> Result<usize, ApiError> {
        let request = TestRequest::default().set_payload(vec![b' '; length]);
        let (request, mut payload) = request.to_http_parts();
        let payload = Payload::from_request(&request, &mut payload);
        let time = Duration::from_millis(30);
        let reading = Reading {
            most: 2 * LARGE,
            announced: None,
            time,
            time_is_up: pin!(sleep(time)),
            large: &Arc::new(Semaphore::new(turns)),
        };
        let body = reading.read(payload.await.unwrap()).await?;
        Ok(body.len())
    }

    #[tokio::test]
    async fn a_large_body_without_a_turn_is_refused_when_its_time_is_over() {
        assert!(matches!(read(LARGE, 0).await, Ok(LARGE)));
        let refused = read(LARGE + 1, 0).await;
        assert!(matches!(refused, Err(ApiError::LargeBodiesContend { .. })));
        assert_eq!(read(LARGE + 1, 1).await.unwrap(), LARGE + 1);
        let refused = read(2 * LARGE + 1, 1).await;
        assert!(matches!(refused, Err(ApiError::TooLarge { .. })));
    }

    #[test]
    fn pieces_come_together_in_their_order() {
        let first = Bytes::from_static(b"{\"a\":");
        let joined = joined(joined(first, b"1", 7), b"}", 100);
        assert_eq!(joined, "{\"a\":1}");
    }
}

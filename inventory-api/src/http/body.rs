//! A request's body: JSON, bounded in size and in time.
//!
//! Small bodies are read as they come. A large one needs a turn, of which there are few: so what callers
//! can have the process keep for them is bounded, however many send at once.

use crate::error::ApiError;
use crate::http::json_depth::is_deeper_than;
use crate::http::large_bodies::{LARGE, LargeBodies, OF_ONE_CALLER, SLOW_AFTER, Turn};
use crate::state::AppState;
use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use shared::http::caller_key::CallerKey;
use shared::http::shares::Share;
use std::ops::Deref;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::time::{Sleep, sleep, timeout};

/// A body that was read. Keep it no longer than the request: a large one keeps others waiting.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Bytes,
    _turn: Option<Turn>,
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
        time_is_up: pin!(sleep(SLOW_AFTER.min(limits.body_timeout))),
        slow: None,
        large: &state.large_bodies,
        request,
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
    /// When the body becomes a slow one, then when its time is over.
    time_is_up: Pin<&'a mut Sleep>,
    slow: Option<Share>,
    large: &'a LargeBodies,
    request: &'a HttpRequest,
}

impl Reading<'_> {
    async fn read(mut self, mut payload: Payload) -> Result<Body, ApiError> {
        // Most bodies come in one piece, which need not be copied.
        let (mut first, mut whole, mut turn) = (Bytes::new(), BytesMut::new(), None);
        while let Some(piece) = self.next(&mut payload).await? {
            let length = first.len().max(whole.len()) + piece.len();
            if length > self.most {
                return Err(too_large(self.most));
            }
            if length > LARGE && turn.is_none() {
                turn = Some(self.turn().await?);
                // Taken once: growing step by step leaves holes in the heap.
                whole.reserve(self.announced.unwrap_or(self.most) - whole.len());
            }
            if first.is_empty() {
                first = piece;
                continue;
            }
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&piece);
        }
        let bytes = if whole.is_empty() {
            first
        } else {
            whole.freeze()
        };
        Ok(Body { bytes, _turn: turn })
    }

    async fn next(&mut self, payload: &mut Payload) -> Result<Option<Bytes>, ApiError> {
        loop {
            tokio::select! {
                biased;
                piece = payload.next() => {
                    return piece.transpose().map_err(|_broken| ApiError::BodyBroken);
                }
                () = &mut self.time_is_up => {}
            }
            let rest = self.time.saturating_sub(SLOW_AFTER);
            if self.slow.is_some() || rest.is_zero() {
                return Err(ApiError::BodyTooSlow { limit: self.time });
            }
            self.slow = Some(self.large.slow(CallerKey::of(self.request)).await?);
            self.time_is_up.set(sleep(rest));
        }
    }

    /// Waits for a turn as long as a body may take. The body has its whole time again afterwards: it is
    /// not its caller's fault that it had to wait.
    async fn turn(&mut self) -> Result<Turn, ApiError> {
        let turn = self.large.turn(CallerKey::of(self.request));
        let turn = timeout(self.time, turn).await;
        let again = match self.slow {
            Some(_) => self.time.saturating_sub(SLOW_AFTER),
            None => SLOW_AFTER.min(self.time),
        };
        self.time_is_up.set(sleep(again));
        turn.unwrap_or(Err(ApiError::LargeBodiesContend {
            limit: OF_ONE_CALLER,
        }))
    }
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
    use actix_web::error::PayloadError;
    use actix_web::{FromRequest, dev, test::TestRequest};
    use futures_util::stream;

    /// What is read of these pieces.
    async fn read(pieces: Vec<Bytes>, large: &LargeBodies) -> Result<Body, ApiError> {
        let request = TestRequest::default().to_http_request();
        let pieces = pieces.into_iter().map(Ok::<_, PayloadError>);
        let mut payload: dev::Payload = dev::Payload::Stream {
            payload: Box::pin(stream::iter(pieces)),
        };
        let payload = Payload::from_request(&request, &mut payload);
        let time = Duration::from_millis(30);
        let reading = Reading {
            most: 2 * LARGE,
            announced: None,
            time,
            time_is_up: pin!(sleep(time)),
            slow: None,
            large,
            request: &request,
        };
        reading.read(payload.await.unwrap()).await
    }

    #[tokio::test]
    async fn however_it_is_cut_a_body_is_read_whole() {
        let body: Vec<u8> = (0..=250).cycle().take(2 * LARGE).collect();
        for length in [0, 1, 500, LARGE, LARGE + 1, 2 * LARGE] {
            for piece in [1, 7, LARGE - 1, LARGE + 1, 2 * LARGE] {
                let pieces = body[..length].chunks(piece).map(Bytes::copy_from_slice);
                let large = LargeBodies::default();
                let read = read(pieces.collect(), &large).await.unwrap();
                assert!(*read == body[..length], "{length} in pieces of {piece}");
            }
        }
    }

    #[tokio::test]
    async fn a_large_body_without_a_turn_is_refused_when_its_time_is_over() {
        let pieces = |length| vec![Bytes::from(vec![b' '; length])];
        let large = LargeBodies::default();
        let taken = [
            large.turn(CallerKey::Nobody).await.unwrap(),
            large.turn(CallerKey::Nobody).await.unwrap(),
        ];
        assert_eq!(read(pieces(LARGE), &large).await.unwrap().len(), LARGE);
        let refused = read(pieces(LARGE + 1), &large).await;
        assert!(matches!(refused, Err(ApiError::LargeBodiesContend { .. })));
        drop(taken);
        assert!(read(pieces(LARGE + 1), &large).await.is_ok());
        let refused = read(pieces(2 * LARGE + 1), &large).await;
        assert!(matches!(refused, Err(ApiError::TooLarge { .. })));
    }
}

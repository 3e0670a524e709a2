//! A request's body: JSON, bounded in size and in time.
//!
//! Small bodies are read as they come. A large one needs a share, of which there are few: so what callers
//! can have the process keep for them is bounded, however many send at once.

use crate::error::ApiError;
use crate::http::admission::{Admission, LARGE_BODY, LargeBody, SLOW_AFTER};
use crate::state::AppState;
use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use shared::http::caller_key::CallerKey;
use shared::settings::LimitSettings;
use std::ops::Deref;
use std::pin::pin;
use tokio::time::sleep;

/// How deep JSON may be nested.
pub(crate) const MOST_DEPTH: usize = 32;

/// A body that was read. Keep it no longer than the request: a large one keeps others waiting.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Bytes,
    _large: Option<LargeBody>,
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
    mut payload: Payload,
    state: &AppState,
) -> Result<Body, ApiError> {
    let limits = &state.settings.limits;
    let headers = request.headers();
    let is_encoded = headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_encoded || !is_json(request) {
        return Err(ApiError::UnsupportedMediaType);
    }
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes) {
        return Err(too_large(limits.body_bytes));
    }
    let caller = CallerKey::of(request);
    let body = whole(&mut payload, announced, limits, &state.admission, caller).await?;
    if is_deeper_than(MOST_DEPTH, &body) {
        return Err(ApiError::TooLarge {
            path: "$".to_owned(),
            name: "jsonDepth",
            limit: MOST_DEPTH,
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

/// Reads until the end. What is on its way for long needs a slow body's share, what is long a large one's.
/// A body that waited for its share has its whole time again afterwards: it is not its caller's fault.
async fn whole(
    payload: &mut Payload,
    announced: Option<usize>,
    limits: &LimitSettings,
    admission: &Admission,
    caller: CallerKey,
) -> Result<Body, ApiError> {
    let time = limits.body_timeout;
    let at_first = SLOW_AFTER.min(time);
    let later = time.saturating_sub(SLOW_AFTER);
    let mut pieces = Pieces::default();
    let (mut large, mut slow) = (None, None);
    let mut time_is_up = pin!(sleep(at_first));
    loop {
        let piece = tokio::select! {
            biased;
            piece = payload.next() => piece,
            () = &mut time_is_up => {
                if slow.is_some() || later.is_zero() {
                    return Err(ApiError::BodyTooSlow { limit: time });
                }
                slow = Some(admission.slow_body(caller.clone()).await?);
                time_is_up.set(sleep(later));
                continue;
            }
        };
        let Some(piece) = piece.transpose().map_err(|_broken| ApiError::BodyBroken)? else {
            let bytes = pieces.into_bytes();
            return Ok(Body {
                bytes,
                _large: large,
            });
        };
        let length = pieces.len() + piece.len();
        if length > limits.body_bytes {
            return Err(too_large(limits.body_bytes));
        }
        if length > LARGE_BODY && large.is_none() {
            large = Some(admission.large_body(caller.clone(), time).await?);
            time_is_up.set(sleep(if slow.is_some() { later } else { at_first }));
            // Taken once: growing step by step leaves holes in the heap.
            pieces.reserve(announced.unwrap_or(limits.body_bytes));
        }
        pieces.push(piece);
    }
}

/// What was read. Most bodies come in one piece, which need not be copied.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    whole: BytesMut,
}

impl Pieces {
    fn len(&self) -> usize {
        self.first.len().max(self.whole.len())
    }

    fn reserve(&mut self, length: usize) {
        self.whole.reserve(length - self.whole.len());
    }

    fn push(&mut self, piece: Bytes) {
        if self.first.is_empty() {
            self.first = piece;
            return;
        }
        if self.whole.is_empty() {
            self.whole.extend_from_slice(&self.first);
        }
        self.whole.extend_from_slice(&piece);
    }

    fn into_bytes(self) -> Bytes {
        if self.whole.is_empty() {
            self.first
        } else {
            self.whole.freeze()
        }
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

/// Whether this text opens more than `limit` objects and lists within each other. Needs no valid
/// JSON: what is none is refused by the parser.
pub(crate) fn is_deeper_than(limit: usize, body: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => skip_text(&mut bytes),
            _ => {}
        }
    }
    false
}

fn skip_text(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'"' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Scarce;
    use actix_web::error::PayloadError;
    use actix_web::{FromRequest, dev, test::TestRequest};
    use futures_util::stream;
    use shared::process::clock::ManualClock;
    use shared::settings::Layers;
    use shared::stock::AsOf;
    use std::sync::Arc;
    use std::time::Duration;

    fn limits() -> LimitSettings {
        let mut limits = Layers::default().load().unwrap().api.limits;
        limits.body_bytes = 2 * LARGE_BODY;
        limits.body_timeout = Duration::from_millis(30);
        limits
    }

    fn admission() -> Admission {
        Admission::new(&limits(), Arc::new(ManualClock::at(AsOf::EPOCH)))
    }

    /// What is read of these pieces.
    async fn read(pieces: Vec<Bytes>, admission: &Admission) -> Result<Body, ApiError> {
        let request = TestRequest::default().to_http_request();
        let pieces = pieces.into_iter().map(Ok::<_, PayloadError>);
        let mut payload: dev::Payload = dev::Payload::Stream {
            payload: Box::pin(stream::iter(pieces)),
        };
        let mut payload = Payload::from_request(&request, &mut payload).await.unwrap();
        whole(&mut payload, None, &limits(), admission, CallerKey::Nobody).await
    }

    #[tokio::test]
    async fn however_it_is_cut_a_body_is_read_whole() {
        let body: Vec<u8> = (0..=250).cycle().take(2 * LARGE_BODY).collect();
        for length in [0, 1, 500, LARGE_BODY, LARGE_BODY + 1, 2 * LARGE_BODY] {
            for piece in [1, 7, LARGE_BODY - 1, LARGE_BODY + 1, 2 * LARGE_BODY] {
                let pieces = body[..length].chunks(piece).map(Bytes::copy_from_slice);
                let admission = admission();
                let read = read(pieces.collect(), &admission).await.unwrap();
                assert!(*read == body[..length], "{length} in pieces of {piece}");
            }
        }
    }

    #[tokio::test]
    async fn a_large_body_without_a_share_is_refused_when_its_time_is_over() {
        let pieces = |length| vec![Bytes::from(vec![b' '; length])];
        let admission = admission();
        let take = || admission.large_body(CallerKey::Nobody, Duration::from_secs(1));
        let taken = [take().await.unwrap(), take().await.unwrap()];
        let small = read(pieces(LARGE_BODY), &admission).await.unwrap();
        assert_eq!(small.len(), LARGE_BODY);
        let refused = read(pieces(LARGE_BODY + 1), &admission).await;
        let what = Scarce::LargeBodies;
        assert!(matches!(refused, Err(ApiError::Full { what: found, .. }) if found == what));
        drop(taken);
        assert!(read(pieces(LARGE_BODY + 1), &admission).await.is_ok());
        let refused = read(pieces(2 * LARGE_BODY + 1), &admission).await;
        assert!(matches!(refused, Err(ApiError::TooLarge { .. })));
    }

    #[test]
    fn what_is_open_at_once_counts_and_texts_do_not() {
        assert!(!is_deeper_than(2, br#"[{},{},[1],{"a":"[[[["}]"#));
        assert!(is_deeper_than(2, b"[[[1]]]"));
        assert!(is_deeper_than(2, br#"{"a":[{"#));
        // An escaped quotation mark does not end a text, an escaped backslash before one does.
        assert!(!is_deeper_than(1, br#"["\"[[["]"#));
        assert!(is_deeper_than(1, br#"["\\",["a"]]"#));
        assert!(!is_deeper_than(1, b"]]]]["));
        assert!(!is_deeper_than(0, b"\"open [["));
        assert!(is_deeper_than(32, &vec![b'['; 1_000_000]));
    }
}

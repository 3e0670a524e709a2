//! A request's body: JSON, bounded in size and in time. Handlers read it themselves, after they know
//! that they want it.

use super::refusal::Refusal;
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::web::{Json, Payload};
use actix_web::{Error, FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use shared::http::caller_key::CallerKey;
use shared::http::shares::{NoShare, Shares, Sizes};
use std::sync::LazyLock;
use std::time::Duration;

/// Longest time a body may take; senders are machines.
const LONGEST: Duration = Duration::from_secs(10);

/// Bodies that are read at once, each of at most [`super::refusal::BODY_LIMIT`] bytes.
static BODIES: LazyLock<Shares> = LazyLock::new(|| {
    Shares::new(Sizes {
        all: 8,
        of_one_caller: 4,
        waiting: 64,
    })
});

/// Reads the body. A compressed one is refused: a few kilobytes of it can become any number of
/// megabytes before a limit is looked at.
pub(crate) async fn read<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
) -> Result<T, Error> {
    read_within(LONGEST, request, payload).await
}

async fn read_within<T: DeserializeOwned>(
    longest: Duration,
    request: &HttpRequest,
    payload: Payload,
) -> Result<T, Error> {
    let is_encoded = request
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_encoded {
        return Err(Refusal::Compressed.into());
    }
    let mut payload = payload.into_inner();
    let reading = async {
        let share = BODIES.take(CallerKey::of(request), 1).await;
        let _share = share.map_err(|NoShare| Refusal::QueueFull)?;
        Json::<T>::from_request(request, &mut payload).await
    };
    match tokio::time::timeout(longest, reading).await {
        Ok(body) => Ok(body?.into_inner()),
        Err(_elapsed) => Err(Refusal::TooSlow { limit: longest }.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::error::PayloadError;
    use actix_web::test::TestRequest;
    use actix_web::web::Bytes;
    use futures_util::StreamExt;
    use futures_util::stream;
    use serde_json::Value;

    #[actix_web::test]
    async fn a_body_that_never_ends_is_not_waited_for() {
        let request = TestRequest::post()
            .insert_header(("content-type", "application/json"))
            .to_http_request();
        let begun = stream::iter([Ok::<_, PayloadError>(Bytes::from("[1"))]);
        let mut endless = actix_web::dev::Payload::Stream {
            payload: begun.chain(stream::pending()).boxed_local(),
        };
        let endless = Payload::from_request(&request, &mut endless).await.unwrap();
        let read = read_within::<Value>(Duration::from_millis(20), &request, endless).await;
        let refused = read.unwrap_err().as_response_error().status_code();
        assert_eq!(refused.as_u16(), 408);
    }
}

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
    use actix_web::http::header::CONTENT_TYPE;
    use actix_web::test::TestRequest;
    use actix_web::web::Bytes;
    use futures_util::StreamExt;
    use futures_util::stream::{self, LocalBoxStream};
    use serde_json::Value;

    fn request(encoding: &str) -> HttpRequest {
        TestRequest::post()
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header((CONTENT_ENCODING, encoding))
            .to_http_request()
    }

    /// A body of these pieces; one that does not end stays silent after them.
    async fn payload(pieces: Vec<&'static str>, ends: bool) -> Payload {
        let pieces = pieces.into_iter().map(|piece| Ok(Bytes::from(piece)));
        let rest: LocalBoxStream<'static, Result<Bytes, PayloadError>> = if ends {
            stream::empty().boxed_local()
        } else {
            stream::pending().boxed_local()
        };
        let mut body: actix_web::dev::Payload = actix_web::dev::Payload::Stream {
            payload: stream::iter(pieces).chain(rest).boxed_local(),
        };
        let request = request("identity");
        Payload::from_request(&request, &mut body).await.unwrap()
    }

    fn status(read: Result<Value, Error>) -> u16 {
        read.unwrap_err().as_response_error().status_code().as_u16()
    }

    #[actix_web::test]
    async fn a_plain_body_is_read() {
        let whole = payload(vec!["[1", ",2]"], true).await;
        let read = read::<Value>(&request("identity"), whole).await.unwrap();
        assert_eq!(read, serde_json::json!([1, 2]));
    }

    #[actix_web::test]
    async fn a_compressed_one_is_refused_before_it_is_looked_at() {
        for encoding in ["gzip", "br", "deflate", "zstd", "x"] {
            let body = payload(vec!["[]"], true).await;
            assert_eq!(
                status(read(&request(encoding), body).await),
                415,
                "{encoding}"
            );
        }
    }

    #[actix_web::test]
    async fn one_that_never_ends_is_not_waited_for() {
        let endless = payload(vec!["[1"], false).await;
        let request = request("identity");
        let read = read_within(Duration::from_millis(20), &request, endless).await;
        assert_eq!(status(read), 408);
    }
}

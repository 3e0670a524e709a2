//! `X-Request-ID` and `traceparent`: taken from the caller, echoed, and put into the log span.

use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use tracing::Instrument;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const LONGEST_REQUEST_ID: usize = 128;

/// The id of the request, for handlers that log it.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Middleware (`wrap(from_fn(request_id::echo))`): gives each request an id.
///
/// A caller's id is kept if it is 1 to 128 visible ASCII characters, so that it can neither break a
/// log line nor fill it; otherwise a new one is made.
pub async fn echo<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let id = callers_id(request.headers()).unwrap_or_else(new_id);
    let traceparent = valid_traceparent(request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!(
        "request",
        request.id = id.to_str().unwrap_or_default(),
        trace.parent = traceparent.as_ref().and_then(|value| value.to_str().ok()),
    );
    let mut response = next.call(request).instrument(span).await?;
    response.headers_mut().insert(REQUEST_ID, id);
    if let Some(traceparent) = traceparent {
        response.headers_mut().insert(TRACEPARENT, traceparent);
    }
    Ok(response)
}

fn callers_id(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get(REQUEST_ID)
        .filter(|value| {
            (1..=LONGEST_REQUEST_ID).contains(&value.len())
                && value.as_bytes().iter().all(u8::is_ascii_graphic)
        })
        .cloned()
}

fn new_id() -> HeaderValue {
    HeaderValue::from_str(&Uuid::new_v4().to_string())
        .unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

/// W3C Trace Context: `00-<32 hex>-<16 hex>-<2 hex>`, neither id all zeros.
fn valid_traceparent(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(TRACEPARENT)?;
    let mut parts = value.to_str().ok()?.split('-');
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, length: usize| is_hex(part, length) && part.bytes().any(|b| b != b'0');
    let is_valid = parts
        .next()
        .is_some_and(|version| is_hex(version, 2) && version != "ff")
        && parts.next().is_some_and(|trace| is_id(trace, 32))
        && parts.next().is_some_and(|parent| is_id(parent, 16))
        && parts.next().is_some_and(|flags| is_hex(flags, 2))
        && parts.next().is_none();
    is_valid.then(|| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse, web};

    async fn echoed(name: &str, value: &[u8]) -> Option<String> {
        let app = init_service(
            App::new()
                .wrap(from_fn(echo))
                .route("/", web::get().to(async || HttpResponse::Ok().finish())),
        )
        .await;
        let value = HeaderValue::from_bytes(value).unwrap();
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let request = TestRequest::get()
            .insert_header((name.clone(), value))
            .to_request();
        let response = call_service(&app, request).await;
        response
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    }

    #[actix_web::test]
    async fn what_could_not_harm_a_log_is_echoed() {
        let id = echoed("x-request-id", b"abc-123").await;
        assert_eq!(id.as_deref(), Some("abc-123"));
        for harmful in [b"a b".as_slice(), b"", &[b'x'; 129], "\u{e4}".as_bytes()] {
            let id = echoed("x-request-id", harmful).await.unwrap();
            assert!(Uuid::parse_str(&id).is_ok(), "{id}");
        }
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let shown = echoed("traceparent", valid.as_bytes()).await;
        assert_eq!(shown.as_deref(), Some(valid));
        for wrong in [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "zz",
        ] {
            assert_eq!(echoed("traceparent", wrong.as_bytes()).await, None);
        }
    }
}

//! A request's body: JSON, bounded in size and in time.

use crate::error::ApiError;
use crate::json_depth::is_deeper_than;
use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::{Bytes, Payload};
use shared::settings::LimitSettings;

/// Reads the body.
pub(crate) async fn read(
    request: &HttpRequest,
    payload: Payload,
    limits: &LimitSettings,
) -> Result<Bytes, ApiError> {
    let is_encoded = request
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_encoded || !is_json(request) {
        return Err(ApiError::UnsupportedMediaType);
    }
    let too_large = || ApiError::TooLarge {
        path: "$".to_owned(),
        name: "bodyBytes",
        limit: limits.body_bytes,
    };
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes) {
        return Err(too_large());
    }
    let whole = payload.to_bytes_limited(limits.body_bytes);
    match tokio::time::timeout(limits.body_timeout, whole).await {
        Ok(Ok(Ok(body))) if is_deeper_than(limits.json_depth, &body) => Err(ApiError::TooLarge {
            path: "$".to_owned(),
            name: "jsonDepth",
            limit: limits.json_depth,
        }),
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_broken))) => Err(ApiError::BodyBroken),
        Ok(Err(_beyond_limit)) => Err(too_large()),
        Err(_elapsed) => Err(ApiError::BodyTooSlow {
            limit: limits.body_timeout,
        }),
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

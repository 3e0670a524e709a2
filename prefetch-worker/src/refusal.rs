//! Requests that are not done, and what the caller is told: one table of codes.

use crate::routes::BODY_LIMIT;
use actix_web::error::{JsonPayloadError, PayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpResponse, ResponseError};
use shared::http::feedback::{Feedback, Problem};
use std::fmt;
use std::time::Duration;

/// A request that is not done, and what the caller is told.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    problem: Box<Problem>,
    retry_after_seconds: Option<u64>,
}

impl Refusal {
    fn of(status: StatusCode, code: &'static str, message: &str) -> Self {
        Self {
            status,
            problem: Box::new(Problem::new(status, code, message)),
            retry_after_seconds: None,
        }
    }

    fn with(mut self, more: impl FnOnce(Problem) -> Problem) -> Self {
        self.problem = Box::new(more(*self.problem));
        self
    }

    pub(crate) fn invalid(path: &str, message: &str) -> Self {
        Self::of(
            StatusCode::UNPROCESSABLE_ENTITY,
            "inventory.request.invalid.error",
            message,
        )
        .with(|problem| problem.path(path))
    }

    pub(crate) fn too_many(path: &str, limit: usize) -> Self {
        Self::of(
            StatusCode::PAYLOAD_TOO_LARGE,
            "inventory.request.too_large.error",
            "more than one request may carry",
        )
        .with(|problem| problem.path(path).parameter("limit", &limit))
    }

    pub(crate) fn not_allowed() -> Self {
        Self::of(
            StatusCode::FORBIDDEN,
            "inventory.authorization.error",
            "this caller may not operate this tenant",
        )
        .with(|problem| problem.path("$.tenant"))
    }

    pub(crate) fn unknown_tenant() -> Self {
        Self::of(
            StatusCode::NOT_FOUND,
            "inventory.organization.not_found.error",
            "this tenant is not configured here",
        )
        .with(|problem| problem.path("$.tenant"))
    }

    pub(crate) fn unknown_warehouse(path: &str) -> Self {
        Self::of(
            StatusCode::NOT_FOUND,
            "inventory.warehouse.not_found.error",
            "this warehouse is not configured for the tenant",
        )
        .with(|problem| problem.path(path))
    }

    pub(crate) fn queue_full() -> Self {
        let mut refusal = Self::of(
            StatusCode::TOO_MANY_REQUESTS,
            "inventory.throttled.error",
            "too many refreshes are waiting",
        );
        refusal.retry_after_seconds = Some(5);
        refusal
    }

    pub(crate) fn no_events() -> Self {
        Self::of(
            StatusCode::NOT_FOUND,
            "inventory.events.off.error",
            "no events are taken here: worker.events.secret is not set",
        )
    }

    pub(crate) fn wrong_key() -> Self {
        Self::of(
            StatusCode::UNAUTHORIZED,
            "inventory.authentication.error",
            "show the key of worker.events as X-Connector-Key or as code in the address",
        )
    }

    pub(crate) fn away() -> Self {
        let mut refusal = Self::of(
            StatusCode::SERVICE_UNAVAILABLE,
            "inventory.cache.unavailable.error",
            "the cache cannot be reached right now",
        );
        refusal.retry_after_seconds = Some(1);
        refusal
    }

    pub(crate) fn encoded() -> Self {
        Self::of(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "inventory.request.media_type.error",
            "send the body as it is, not compressed",
        )
    }

    pub(crate) fn too_slow(limit: Duration) -> Self {
        Self::of(
            StatusCode::REQUEST_TIMEOUT,
            "inventory.request.timeout.error",
            "the body did not come in time",
        )
        .with(|problem| {
            let problem = problem.parameter("name", "bodyTimeoutMs");
            problem.parameter("limit", &limit.as_millis())
        })
    }

    pub(crate) fn of_json(error: &JsonPayloadError) -> Self {
        match error {
            JsonPayloadError::ContentType => Self::of(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "inventory.request.media_type.error",
                "send application/json",
            ),
            JsonPayloadError::Overflow { limit }
            | JsonPayloadError::OverflowKnownLength { limit, .. } => Self::too_many("$", *limit),
            JsonPayloadError::Payload(PayloadError::Overflow) => Self::too_many("$", BODY_LIMIT),
            other => Self::of(
                StatusCode::BAD_REQUEST,
                "inventory.request.malformed.error",
                "the body is not the JSON that was expected",
            )
            .with(|problem| problem.parameter("cause", &other.to_string())),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut reply = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_seconds {
            reply.insert_header((RETRY_AFTER, seconds));
        }
        reply.json(Feedback::from(Problem::clone(&self.problem)))
    }
}

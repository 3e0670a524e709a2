//! Requests that are not done, and what the caller reads.

use actix_web::body::BoxBody;
use actix_web::error::{JsonPayloadError, PayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use shared::http::feedback::{Feedback, Problem};
use shared::http::refusals;
use std::time::Duration;

pub(crate) const BODY_LIMIT: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{message}")]
    Invalid { path: String, message: String },
    #[error("more than one request may carry")]
    TooMany { path: String, limit: usize },
    #[error("this caller may not operate this tenant")]
    NotAllowed,
    #[error("this tenant is not configured here")]
    UnknownTenant,
    #[error("this warehouse is not configured for the tenant")]
    UnknownWarehouse { path: String },
    #[error("too many refreshes are waiting")]
    QueueFull,
    #[error("no events are taken here: worker.events.secret is not set")]
    NoEvents,
    #[error("show the key of worker.events as X-Connector-Key or as code in the address")]
    WrongKey,
    #[error("the cache cannot be reached right now")]
    CacheUnavailable,
    #[error("send the body as it is, not compressed")]
    Compressed,
    #[error("send application/json")]
    NotJson,
    #[error("the body did not come in time")]
    TooSlow { limit: Duration },
    #[error("the body is not the JSON that was expected")]
    Malformed { cause: String },
    #[error("This address knows {allowed} only.")]
    MethodNotAllowed { allowed: &'static str },
    #[error("There is nothing at this address; see /inventoryPrefetcher/api.")]
    RouteNotFound,
}

impl Refusal {
    pub(crate) fn invalid(path: &str, message: &str) -> Self {
        Self::Invalid {
            path: path.to_owned(),
            message: message.to_owned(),
        }
    }

    pub(crate) fn too_many(path: &str, limit: usize) -> Self {
        let path = path.to_owned();
        Self::TooMany { path, limit }
    }

    pub(crate) fn of_json(error: &JsonPayloadError) -> Self {
        match error {
            JsonPayloadError::ContentType => Self::NotJson,
            JsonPayloadError::Overflow { limit }
            | JsonPayloadError::OverflowKnownLength { limit, .. } => Self::too_many("$", *limit),
            JsonPayloadError::Payload(PayloadError::Overflow) => Self::too_many("$", BODY_LIMIT),
            other => Self::Malformed {
                cause: other.to_string(),
            },
        }
    }

    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Invalid { .. } => refusals::INVALID,
            Self::TooMany { .. } => refusals::TOO_LARGE,
            Self::NotAllowed => refusals::NOT_ALLOWED,
            Self::UnknownTenant => refusals::ORGANIZATION_NOT_FOUND,
            Self::UnknownWarehouse { .. } => refusals::WAREHOUSE_NOT_FOUND,
            Self::QueueFull => refusals::THROTTLED,
            Self::NoEvents => (StatusCode::NOT_FOUND, "inventory.events.off.error"),
            Self::WrongKey => refusals::NOT_AUTHENTICATED,
            Self::CacheUnavailable => refusals::CACHE_UNAVAILABLE,
            Self::Compressed | Self::NotJson => refusals::UNSUPPORTED_MEDIA_TYPE,
            Self::TooSlow { .. } => refusals::BODY_TOO_SLOW,
            Self::Malformed { .. } => refusals::MALFORMED,
            Self::MethodNotAllowed { .. } => refusals::METHOD_NOT_ALLOWED,
            Self::RouteNotFound => refusals::ROUTE_NOT_FOUND,
        }
    }

    fn problem(&self) -> Problem {
        let (status, code) = self.status_and_code();
        let problem = Problem::new(status, code, self.to_string());
        match self {
            Self::Invalid { path, .. } | Self::UnknownWarehouse { path } => problem.path(path),
            Self::TooMany { path, limit } => problem.path(path).parameter("limit", limit),
            Self::NotAllowed | Self::UnknownTenant => problem.path("$.tenant"),
            Self::TooSlow { limit } => problem
                .parameter("name", "bodyTimeoutMs")
                .parameter("limit", &limit.as_millis()),
            Self::Malformed { cause } => problem.parameter("cause", cause),
            _ => problem,
        }
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status_and_code().0
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut reply = HttpResponse::build(self.status_code());
        match self {
            Self::QueueFull => reply.insert_header((RETRY_AFTER, 5)),
            Self::CacheUnavailable => reply.insert_header((RETRY_AFTER, 1)),
            Self::MethodNotAllowed { allowed } => reply.insert_header((ALLOW, *allowed)),
            _ => &mut reply,
        };
        reply.json(Feedback::from(self.problem()))
    }
}

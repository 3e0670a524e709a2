//! Every refusal of this service in one table: HTTP status, stable code, message, loudness.
//!
//! Two messages: the caller's names the offence, the limit and what to do; the log's carries the
//! cause. Nothing internal goes out.

use crate::live::failure::LiveFailure;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use shared::d365::D365Error;
use shared::http::auth::NotAllowed;
use shared::http::feedback::{Feedback, Problem};
use shared::redis_store::StoreError;
use std::time::Duration;

/// Why a request is not answered with data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The body is not JSON.
    #[error("the body is not JSON: {problem} at line {line}, column {column}")]
    NotJson {
        /// What the parser met.
        problem: &'static str,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The query string is not valid percent-encoded UTF-8.
    #[error("the query string is not percent-encoded UTF-8")]
    UnreadableQuery,
    /// JSON of another type than the field has.
    #[error("{path} must be {expected}")]
    WrongType {
        /// Where.
        path: String,
        /// The type it should have.
        expected: &'static str,
    },
    /// A value outside its rules.
    #[error("{path}: {problem}")]
    Invalid {
        /// Where.
        path: String,
        /// Which rule, and what to do.
        problem: String,
    },
    /// A number beyond a limit.
    #[error("{path}: {problem}")]
    OutOfRange {
        /// Where.
        path: String,
        /// Which rule, and what to do.
        problem: String,
        /// The limit's name as `GET /inventory/v1/limits` serves it.
        name: &'static str,
        /// The limit.
        limit: u64,
    },
    /// More than a limit allows.
    #[error("{path}: at most {limit} ({name}) in one request")]
    TooLarge {
        /// Where.
        path: String,
        /// The limit's name as `GET /inventory/v1/limits` serves it.
        name: &'static str,
        /// The limit.
        limit: usize,
    },
    /// No such tenant.
    #[error("there is no organization {asked:?}")]
    OrganizationNotFound {
        /// What was asked for.
        asked: String,
        /// Where.
        path: &'static str,
    },
    /// No such channel.
    #[error("there is no channel {asked:?}")]
    ChannelNotFound {
        /// What was asked for.
        asked: String,
        /// Where.
        path: &'static str,
    },
    /// The tenant has no such warehouse.
    #[error("organization {organization:?} has no warehouse {asked:?}")]
    WarehouseNotFound {
        /// What was asked for.
        asked: String,
        /// Whose warehouse it was meant to be.
        organization: String,
        /// Where.
        path: String,
    },
    /// No such order, or its record has lapsed.
    #[error("there is no order {id:?}")]
    OrderNotFound {
        /// Its id.
        id: String,
    },
    /// No such reservation, or it is over.
    #[error("there is no reservation {id:?}")]
    ReservationNotFound {
        /// Its id.
        id: String,
    },
    /// The order was confirmed or cancelled before.
    #[error(
        "order {id:?} was confirmed or cancelled before, and that stands: another order needs another id"
    )]
    OrderSettled {
        /// Its id.
        id: String,
    },
    /// The caller's rights do not reach that far.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// No such path.
    #[error("there is no such path")]
    RouteNotFound,
    /// The path exists, the method does not.
    #[error("this path has other methods: {allowed}")]
    MethodNotAllowed {
        /// The methods it has.
        allowed: &'static str,
    },
    /// The body is declared as something else than plain JSON.
    #[error("send the body as application/json without content encoding")]
    UnsupportedMediaType,
    /// The body did not arrive in time.
    #[error("the body did not arrive within {} ms", limit.as_millis())]
    BodyTooSlow {
        /// The time allowed.
        limit: Duration,
    },
    /// The caller went away while sending.
    #[error("the body broke off")]
    BodyBroken,
    /// Too many requests in work.
    #[error("{limit} requests are in work already")]
    Overloaded {
        /// The limit.
        limit: usize,
    },
    /// A large body's turn did not come in time.
    #[error("too many large bodies are in work already: send fewer at once, or smaller ones")]
    LargeBodiesContend {
        /// How many one caller may have.
        limit: u32,
    },
    /// Too many of the caller's bodies are slow.
    #[error("too many bodies are on their way already: send each at once, and whole")]
    SlowBodiesContend {
        /// How many one caller may have.
        limit: u32,
    },
    /// Room for a large reply did not come in time.
    #[error(
        "too many large replies are in work or unread: read them, or ask for fewer lines at once"
    )]
    LargeRepliesContend {
        /// How many one caller may have.
        limit: u32,
    },
    /// So many orders want the same products that one's turn did not come in time.
    #[error(
        "too many orders for these products at once: nothing was granted or held; send it again"
    )]
    OrdersContend,
    /// A channel holds one product as often as it may.
    #[error(
        "{sku:?} is held {limit} times by this channel, as often as may be: nothing was granted or held"
    )]
    TooManyHolds {
        /// The product.
        sku: String,
        /// The limit's name.
        name: &'static str,
        /// The limit.
        limit: usize,
    },
    /// One caller asks too often.
    #[error("at most {limit} requests a second of one caller")]
    TooOften {
        /// The limit.
        limit: u32,
        /// How long until the next one passes.
        wait: Duration,
    },
    /// Nothing is known yet about what was asked for.
    #[error("no stock was read yet for what was asked")]
    CacheCold,
    /// Redis does not answer.
    #[error("the stock cache does not answer")]
    CacheUnavailable {
        /// What happened; none if it was found out earlier, by another task.
        #[source]
        cause: Option<StoreError>,
    },
    /// D365 did not give a live answer and nothing else may be used.
    #[error("no live answer: {failure}")]
    Live {
        /// What happened.
        #[source]
        failure: LiveFailure,
        /// The policy that forbids using anything else.
        policy: &'static str,
    },
    /// A reply could not be written.
    #[error("the reply cannot be written")]
    Unwritable(#[source] serde_json::Error),
}

/// Seconds after which a refused caller may come back.
const COME_BACK_SOON: u64 = 1;
const COME_BACK_AFTER_FEED: u64 = 10;

impl ApiError {
    /// A value outside its rules.
    pub(crate) fn invalid(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            path: path.into(),
            problem: problem.into(),
        }
    }

    /// The table: status and code.
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotJson { .. }
            | Self::UnreadableQuery
            | Self::WrongType { .. }
            | Self::BodyBroken => (StatusCode::BAD_REQUEST, "inventory.request.malformed.error"),
            Self::Invalid { .. } | Self::OutOfRange { .. } => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "inventory.request.invalid.error",
            ),
            Self::TooLarge { .. } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "inventory.request.too_large.error",
            ),
            Self::OrganizationNotFound { .. } => (
                StatusCode::NOT_FOUND,
                "inventory.organization.not_found.error",
            ),
            Self::ChannelNotFound { .. } => {
                (StatusCode::NOT_FOUND, "inventory.channel.not_found.error")
            }
            Self::WarehouseNotFound { .. } => {
                (StatusCode::NOT_FOUND, "inventory.warehouse.not_found.error")
            }
            Self::OrderNotFound { .. } => {
                (StatusCode::NOT_FOUND, "inventory.order.not_found.error")
            }
            Self::ReservationNotFound { .. } => (
                StatusCode::NOT_FOUND,
                "inventory.reservation.not_found.error",
            ),
            Self::OrderSettled { .. } => (StatusCode::CONFLICT, "inventory.order.settled.error"),
            Self::NotAllowed(_) => (StatusCode::FORBIDDEN, "inventory.authorization.error"),
            Self::RouteNotFound => (StatusCode::NOT_FOUND, "inventory.route.not_found.error"),
            Self::MethodNotAllowed { .. } => (
                StatusCode::METHOD_NOT_ALLOWED,
                "inventory.method.not_allowed.error",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "inventory.media_type.unsupported.error",
            ),
            Self::BodyTooSlow { .. } => (
                StatusCode::REQUEST_TIMEOUT,
                "inventory.request.timeout.error",
            ),
            Self::Overloaded { .. }
            | Self::LargeBodiesContend { .. }
            | Self::SlowBodiesContend { .. }
            | Self::LargeRepliesContend { .. }
            | Self::OrdersContend
            | Self::TooManyHolds { .. }
            | Self::TooOften { .. } => (StatusCode::TOO_MANY_REQUESTS, "inventory.throttled.error"),
            Self::CacheCold => (
                StatusCode::SERVICE_UNAVAILABLE,
                "inventory.cache.cold.error",
            ),
            Self::CacheUnavailable { .. } => (
                StatusCode::SERVICE_UNAVAILABLE,
                "inventory.cache.unavailable.error",
            ),
            Self::Live { failure, .. } => live_status_and_code(failure),
            Self::Unwritable(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "inventory.internal.error",
            ),
        }
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    /// What the caller reads. Differs from the log's text where that would tell internals.
    fn message(&self) -> String {
        match self {
            Self::Live { failure, .. } => failure.outside().to_owned(),
            Self::Invalid { problem, .. } | Self::OutOfRange { problem, .. } => problem.clone(),
            _ => self.to_string(),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Overloaded { .. }
            | Self::LargeBodiesContend { .. }
            | Self::SlowBodiesContend { .. }
            | Self::LargeRepliesContend { .. }
            | Self::OrdersContend
            | Self::TooManyHolds { .. }
            | Self::CacheUnavailable { .. } => Some(COME_BACK_SOON),
            Self::TooOften { wait, .. } => Some(wait.as_secs() + COME_BACK_SOON),
            Self::CacheCold => Some(COME_BACK_AFTER_FEED),
            Self::Live { failure, .. } => match failure {
                LiveFailure::Erp(D365Error::Throttled { retry_after }) => {
                    Some(retry_after.as_secs().max(COME_BACK_SOON))
                }
                LiveFailure::Resting { wait } => Some(wait.as_secs().max(COME_BACK_SOON)),
                _ if self.status_code() == StatusCode::SERVICE_UNAVAILABLE => {
                    Some(COME_BACK_AFTER_FEED)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The error in ICM's shape.
    fn problem(&self) -> Problem {
        let (status, code) = self.status_and_code();
        let problem = Problem::new(status, code, self.message());
        match self {
            Self::NotJson { line, column, .. } => problem
                .path("$")
                .parameter("line", line)
                .parameter("column", column),
            Self::WrongType { path, expected } => {
                problem.path(path.as_str()).parameter("expected", expected)
            }
            Self::Invalid { path, .. } => problem.path(path.as_str()),
            Self::OutOfRange {
                path, name, limit, ..
            } => problem
                .path(path.as_str())
                .parameter("name", name)
                .parameter("limit", limit),
            Self::TooLarge { path, name, limit } => problem
                .path(path.as_str())
                .parameter("name", name)
                .parameter("limit", limit),
            Self::OrganizationNotFound { asked, path } => {
                problem.path(*path).parameter("organization", asked)
            }
            Self::ChannelNotFound { asked, path } => {
                problem.path(*path).parameter("channel", asked)
            }
            Self::WarehouseNotFound {
                asked,
                organization,
                path,
            } => problem
                .path(path.as_str())
                .parameter("warehouseId", asked)
                .parameter("organization", organization),
            Self::OrderNotFound { id } | Self::OrderSettled { id } => {
                problem.parameter("orderId", id)
            }
            Self::ReservationNotFound { id } => problem.parameter("reservationId", id),
            Self::MethodNotAllowed { allowed } => problem.parameter("allowed", allowed),
            Self::Overloaded { limit } => problem
                .parameter("name", "requestsInFlight")
                .parameter("limit", limit),
            Self::LargeBodiesContend { limit } => problem
                .parameter("name", "largeBodiesPerCaller")
                .parameter("limit", limit),
            Self::SlowBodiesContend { limit } => problem
                .parameter("name", "slowBodiesPerCaller")
                .parameter("limit", limit),
            Self::LargeRepliesContend { limit } => problem
                .parameter("name", "linesPerCaller")
                .parameter("limit", limit),
            Self::TooManyHolds { sku, name, limit } => problem
                .parameter("name", name)
                .parameter("limit", limit)
                .parameter("sku", sku),
            Self::TooOften { limit, .. } => problem
                .parameter("name", "requestsPerSecondPerCaller")
                .parameter("limit", limit),
            Self::BodyTooSlow { limit } => problem
                .parameter("name", "bodyTimeoutMs")
                .parameter("limit", &limit.as_millis()),
            Self::Live { policy, .. } => problem.parameter("policy", policy),
            _ => problem,
        }
    }

    /// Tells the log once, as loud as it deserves.
    fn log(&self) {
        let code = self.code();
        match self {
            Self::Unwritable(cause) => {
                tracing::error!(code, cause = %cause, "a reply could not be written");
            }
            Self::CacheUnavailable { cause: Some(cause) } => {
                tracing::warn!(code, cause = %cause, "a question could not be answered from Redis");
            }
            Self::Live { failure, policy } => {
                tracing::warn!(code, policy, cause = %failure, "a live look-up failed");
            }
            _ => tracing::debug!(code, "a request was refused: {self}"),
        }
    }
}

fn live_status_and_code(failure: &LiveFailure) -> (StatusCode, &'static str) {
    const ERROR: (StatusCode, &str) = (StatusCode::BAD_GATEWAY, "inventory.backend.error");
    const UNAVAILABLE: (StatusCode, &str) = (
        StatusCode::SERVICE_UNAVAILABLE,
        "inventory.backend.unavailable.error",
    );
    const TIMEOUT: (StatusCode, &str) = (
        StatusCode::GATEWAY_TIMEOUT,
        "inventory.backend.timeout.error",
    );
    match failure {
        LiveFailure::NoCredentials | LiveFailure::Resting { .. } => UNAVAILABLE,
        LiveFailure::DeadlinePassed => TIMEOUT,
        LiveFailure::Erp(cause) => match cause {
            D365Error::Throttled { .. } | D365Error::Crowded | D365Error::Connection { .. } => {
                UNAVAILABLE
            }
            D365Error::TimedOut { .. } => TIMEOUT,
            D365Error::Token {
                is_configuration, ..
            } => {
                if *is_configuration {
                    ERROR
                } else {
                    UNAVAILABLE
                }
            }
            D365Error::Status { .. }
            | D365Error::BadAnswer { .. }
            | D365Error::Setup { .. }
            | D365Error::Unaskable { .. } => ERROR,
        },
    }
}

impl LiveFailure {
    /// The code this failure has as an error, also told where it was survived.
    pub(crate) fn code(&self) -> &'static str {
        live_status_and_code(self).1
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status_and_code().0
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        self.log();
        let mut reply = HttpResponse::build(self.status_code());
        if let Some(seconds) = self.retry_after() {
            reply.insert_header((RETRY_AFTER, seconds));
        }
        if let Self::MethodNotAllowed { allowed } = self {
            reply.insert_header(("allow", *allowed));
        }
        if matches!(
            self,
            Self::TooLarge {
                name: "bodyBytes",
                ..
            } | Self::BodyTooSlow { .. }
                | Self::LargeBodiesContend { .. }
                | Self::SlowBodiesContend { .. }
                | Self::BodyBroken
        ) {
            // What is left of the body is not read, so the connection cannot carry another request.
            reply.force_close();
        }
        reply.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        reply.json(Feedback::from(self.problem()))
    }
}

#[cfg(test)]
mod tests;

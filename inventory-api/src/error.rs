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
use shared::http::refusals;
use shared::redis_store::StoreError;
use std::time::Duration;

/// Why a request is not answered with data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The body is not JSON.
    #[error("the body is not JSON: {problem} at line {line}, column {column}")]
    NotJson {
        problem: &'static str,
        line: usize,
        column: usize,
    },
    /// The query string is not valid percent-encoded UTF-8.
    #[error("the query string is not percent-encoded UTF-8")]
    UnreadableQuery,
    /// JSON of another type than the field has.
    #[error("{path}: {problem}")]
    WrongType { path: String, problem: String },
    /// A value outside its rules.
    #[error("{path}: {problem}")]
    Invalid { path: String, problem: String },
    /// A number beyond a limit.
    #[error("{path}: {problem}")]
    OutOfRange {
        path: String,
        problem: String,
        /// The limit's name as `GET /inventory/v1/limits` serves it.
        name: &'static str,
        limit: u64,
    },
    /// More than a limit allows.
    #[error("{path}: at most {limit} ({name}) in one request")]
    TooLarge {
        path: String,
        /// The limit's name as `GET /inventory/v1/limits` serves it.
        name: &'static str,
        limit: usize,
    },
    /// No such tenant.
    #[error("there is no organization {asked:?}")]
    OrganizationNotFound { asked: String, path: &'static str },
    /// No such channel.
    #[error("there is no channel {asked:?}")]
    ChannelNotFound { asked: String, path: &'static str },
    /// The tenant has no such warehouse.
    #[error("organization {organization:?} has no warehouse {asked:?}")]
    WarehouseNotFound {
        asked: String,
        organization: String,
        path: String,
    },
    /// No such order, or its record has lapsed.
    #[error("there is no order {id:?}")]
    OrderNotFound { id: String },
    /// No such reservation, or it is over.
    #[error("there is no reservation {id:?}")]
    ReservationNotFound { id: String },
    /// The order was confirmed or cancelled before.
    #[error(
        "order {id:?} was confirmed or cancelled before, and that stands: another order needs another id"
    )]
    OrderSettled { id: String },
    /// The caller's rights do not reach that far.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// No such path.
    #[error("there is no such path")]
    RouteNotFound,
    /// The path exists, the method does not.
    #[error("this path has other methods: {allowed}")]
    MethodNotAllowed { allowed: &'static str },
    /// The body is declared as something else than plain JSON.
    #[error("send the body as application/json without content encoding")]
    UnsupportedMediaType,
    /// The body did not arrive in time.
    #[error("the body did not arrive within {} ms", limit.as_millis())]
    BodyTooSlow { limit: Duration },
    /// The caller went away while sending.
    #[error("the body broke off")]
    BodyBroken,
    /// So much of something is in work that no more is let in.
    #[error("{}", what.problem(*limit))]
    Full {
        what: Scarce,
        /// What may be in work; what one caller may have of it, but for requests.
        limit: usize,
    },
    /// So many orders want the same products that one was not served in time.
    #[error(
        "too many orders for these products at once: nothing was granted or held; send it again"
    )]
    OrdersContend,
    /// A channel holds one product as often as it may.
    #[error(
        "{sku:?} is held {limit} times by this channel, as often as may be: nothing was granted or held"
    )]
    TooManyHolds {
        sku: String,
        name: &'static str,
        limit: usize,
    },
    /// One caller asks too often.
    #[error("at most {limit} requests a second of one caller")]
    TooOften {
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
        #[source]
        failure: LiveFailure,
        /// The policy that forbids using anything else.
        policy: &'static str,
    },
    /// A reply could not be written.
    #[error("the reply cannot be written")]
    Unwritable(#[source] serde_json::Error),
}

/// What there is only so much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scarce {
    Requests,
    LargeBodies,
    SlowBodies,
    LargeReplies,
}

impl Scarce {
    fn problem(self, limit: usize) -> String {
        match self {
            Self::Requests => return format!("{limit} requests are in work already"),
            Self::LargeBodies => {
                "too many large bodies are in work already: send fewer at once, or smaller ones"
            }
            Self::SlowBodies => {
                "too many bodies are on their way already: send each at once, and whole"
            }
            Self::LargeReplies => {
                "too many large replies are in work or unread: read them, or ask for fewer lines at once"
            }
        }
        .to_owned()
    }

    /// The limit's name as `GET /inventory/v1/limits` serves it.
    fn limit_name(self) -> &'static str {
        match self {
            Self::Requests => "requestsInFlight",
            Self::LargeBodies => "largeBodiesPerCaller",
            Self::SlowBodies => "slowBodiesPerCaller",
            Self::LargeReplies => "linesPerCaller",
        }
    }
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
        use StatusCode as S;
        match self {
            Self::NotJson { .. }
            | Self::UnreadableQuery
            | Self::WrongType { .. }
            | Self::BodyBroken => refusals::MALFORMED,
            Self::Invalid { .. } | Self::OutOfRange { .. } => refusals::INVALID,
            Self::TooLarge { .. } => refusals::TOO_LARGE,
            Self::OrganizationNotFound { .. } => refusals::ORGANIZATION_NOT_FOUND,
            Self::ChannelNotFound { .. } => (S::NOT_FOUND, "inventory.channel.not_found.error"),
            Self::WarehouseNotFound { .. } => refusals::WAREHOUSE_NOT_FOUND,
            Self::OrderNotFound { .. } => (S::NOT_FOUND, "inventory.order.not_found.error"),
            Self::ReservationNotFound { .. } => {
                (S::NOT_FOUND, "inventory.reservation.not_found.error")
            }
            Self::OrderSettled { .. } => (S::CONFLICT, "inventory.order.settled.error"),
            Self::NotAllowed(_) => refusals::NOT_ALLOWED,
            Self::RouteNotFound => refusals::ROUTE_NOT_FOUND,
            Self::MethodNotAllowed { .. } => refusals::METHOD_NOT_ALLOWED,
            Self::UnsupportedMediaType => refusals::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooSlow { .. } => refusals::BODY_TOO_SLOW,
            Self::Full { .. }
            | Self::OrdersContend
            | Self::TooManyHolds { .. }
            | Self::TooOften { .. } => refusals::THROTTLED,
            Self::CacheCold => (S::SERVICE_UNAVAILABLE, "inventory.cache.cold.error"),
            Self::CacheUnavailable { .. } => refusals::CACHE_UNAVAILABLE,
            Self::Live { failure, .. } => live_status_and_code(failure),
            Self::Unwritable(_) => (S::INTERNAL_SERVER_ERROR, "inventory.internal.error"),
        }
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.status_and_code().1
    }

    /// What the caller reads. Differs from the log's text where that would name internals.
    fn message(&self) -> String {
        match self {
            Self::Live { failure, .. } => failure.outside().to_owned(),
            Self::Invalid { problem, .. } | Self::OutOfRange { problem, .. } => problem.clone(),
            _ => self.to_string(),
        }
    }

    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Full { .. }
            | Self::OrdersContend
            | Self::TooManyHolds { .. }
            | Self::CacheUnavailable { .. } => Some(COME_BACK_SOON),
            Self::TooOften { wait, .. } => Some(wait.as_secs() + COME_BACK_SOON),
            Self::CacheCold => Some(COME_BACK_AFTER_FEED),
            Self::Live { failure, .. } => match failure {
                LiveFailure::Erp(D365Error::Throttled { retry_after }) => {
                    Some(retry_after.as_secs().max(COME_BACK_SOON))
                }
                LiveFailure::BreakerOpen { wait } => Some(wait.as_secs().max(COME_BACK_SOON)),
                _ if self.status_code() == StatusCode::SERVICE_UNAVAILABLE => {
                    Some(COME_BACK_AFTER_FEED)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Where in the request.
    fn path(&self) -> Option<&str> {
        match self {
            Self::NotJson { .. } => Some("$"),
            Self::WrongType { path, .. }
            | Self::Invalid { path, .. }
            | Self::OutOfRange { path, .. }
            | Self::TooLarge { path, .. }
            | Self::WarehouseNotFound { path, .. } => Some(path),
            Self::OrganizationNotFound { path, .. } | Self::ChannelNotFound { path, .. } => {
                Some(path)
            }
            _ => None,
        }
    }

    /// The limit that was passed: its name as `GET /inventory/v1/limits` serves it, and its value.
    fn limit(&self) -> Option<(&'static str, String)> {
        Some(match self {
            Self::OutOfRange { name, limit, .. } => (name, limit.to_string()),
            Self::TooLarge { name, limit, .. } | Self::TooManyHolds { name, limit, .. } => {
                (name, limit.to_string())
            }
            Self::Full { what, limit } => (what.limit_name(), limit.to_string()),
            Self::TooOften { limit, .. } => ("requestsPerSecondPerCaller", limit.to_string()),
            Self::BodyTooSlow { limit } => ("bodyTimeoutMs", limit.as_millis().to_string()),
            _ => return None,
        })
    }

    /// The error in ICM's shape.
    fn problem(&self) -> Problem {
        let (status, code) = self.status_and_code();
        let mut problem = Problem::new(status, code, self.message());
        if let Some(path) = self.path() {
            problem = problem.path(path);
        }
        if let Some((name, limit)) = self.limit() {
            problem = problem.parameter("name", name).parameter("limit", &limit);
        }
        match self {
            Self::NotJson { line, column, .. } => {
                problem.parameter("line", line).parameter("column", column)
            }
            Self::OrganizationNotFound { asked, .. } => problem.parameter("organization", asked),
            Self::ChannelNotFound { asked, .. } => problem.parameter("channel", asked),
            Self::WarehouseNotFound {
                asked,
                organization,
                ..
            } => problem
                .parameter("warehouseId", asked)
                .parameter("organization", organization),
            Self::OrderNotFound { id } | Self::OrderSettled { id } => {
                problem.parameter("orderId", id)
            }
            Self::ReservationNotFound { id } => problem.parameter("reservationId", id),
            Self::MethodNotAllowed { allowed } => problem.parameter("allowed", allowed),
            Self::TooManyHolds { sku, .. } => problem.parameter("sku", sku),
            Self::Live { policy, .. } => problem.parameter("policy", policy),
            _ => problem,
        }
    }

    /// Logs it once, as loud as it deserves.
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
        LiveFailure::NoCredentials | LiveFailure::BreakerOpen { .. } => UNAVAILABLE,
        LiveFailure::DeadlinePassed => TIMEOUT,
        LiveFailure::Erp(cause) => match cause {
            D365Error::Throttled { .. } | D365Error::NoCallSlot | D365Error::Connection { .. } => {
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
    /// The code this failure has as an error, also named where it was survived.
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
                | Self::Full {
                    what: Scarce::LargeBodies | Scarce::SlowBodies,
                    ..
                }
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
impl ApiError {
    /// For tables of refusals.
    pub(crate) fn status_and_path(&self) -> String {
        let status = self.status_code().as_u16();
        format!("{status} {}", self.path().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;

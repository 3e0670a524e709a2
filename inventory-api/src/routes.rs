//! The only place with paths.

use crate::error::ApiError;
use crate::orders::handlers;
use crate::{availability_check, drift, openapi, service_limits, stock_query};
use actix_web::web::{ServiceConfig, delete, post, put, resource, to};
use actix_web::{HttpRequest, HttpResponse};
use shared::http::auth::door::Need;
use shared::http::read_route::{get, options};
use shared::settings::RoleName;
use std::future::{Ready, ready};

/// Stock questions.
pub(crate) const INVENTORIES: &str = "/inventory/v1/inventories";
/// Order checks.
pub(crate) const AVAILABILITY_CHECKS: &str = "/inventory/v1/availability-checks";
/// One order.
pub(crate) const ORDER: &str = "/inventory/v1/orders/{orderId}";
/// The ERP's confirmation of an order.
pub(crate) const ORDER_CONFIRMED: &str = "/inventory/v1/orders/{orderId}/confirmed";
/// Reservations.
pub(crate) const RESERVATIONS: &str = "/inventory/v1/reservations";
/// One reservation.
pub(crate) const RESERVATION: &str = "/inventory/v1/reservations/{reservationId}";
/// Giving reserved stock back.
pub(crate) const REJECTIONS: &str = "/inventory/v1/rejections";
/// What the cache would have got wrong.
pub(crate) const DRIFT: &str = "/inventory/v1/drift";
/// Limits.
pub(crate) const LIMITS: &str = "/inventory/v1/limits";
/// The OpenAPI document, or its page.
pub(crate) const API: &str = "/inventory/api";
/// The page's own files.
pub(crate) const API_PAGE: &str = "/inventory/api/page/{file}";

/// Every path; anything else is told about in the same form as other refusals.
pub(crate) fn configure(app: &mut ServiceConfig) {
    app.service(
        resource(INVENTORIES)
            .route(post().to(stock_query::handler::post))
            .route(get().to(stock_query::handler::get))
            .default_service(to(|request: HttpRequest| {
                other_method(&request, "GET, HEAD, POST")
            })),
    )
    .service(
        resource(AVAILABILITY_CHECKS)
            .route(post().to(availability_check::handler::post))
            .default_service(to(|request: HttpRequest| other_method(&request, "POST"))),
    )
    .service(
        resource(ORDER)
            .route(get().to(handlers::get_order))
            .route(delete().to(handlers::delete_order))
            .default_service(to(|request: HttpRequest| {
                other_method(&request, "GET, HEAD, DELETE")
            })),
    )
    .service(
        resource(ORDER_CONFIRMED)
            .route(post().to(handlers::confirm_order))
            .default_service(to(|request: HttpRequest| other_method(&request, "POST"))),
    )
    .service(
        resource(RESERVATIONS)
            .route(post().to(handlers::post_reservation))
            .default_service(to(|request: HttpRequest| other_method(&request, "POST"))),
    )
    .service(
        resource(RESERVATION)
            .route(get().to(handlers::get_reservation))
            .route(put().to(handlers::put_reservation))
            .route(delete().to(handlers::delete_reservation))
            .default_service(to(|request: HttpRequest| {
                other_method(&request, "GET, HEAD, PUT, DELETE")
            })),
    )
    .service(
        resource(REJECTIONS)
            .route(post().to(handlers::post_rejection))
            .default_service(to(|request: HttpRequest| other_method(&request, "POST"))),
    )
    .service(
        resource(DRIFT)
            .route(get().to(drift::handler::get))
            .default_service(to(|request: HttpRequest| {
                other_method(&request, "GET, HEAD")
            })),
    )
    .service(
        resource(LIMITS)
            .route(get().to(service_limits::get))
            .default_service(to(|request: HttpRequest| {
                other_method(&request, "GET, HEAD")
            })),
    )
    .service(
        resource(API)
            .route(get().to(openapi::document_or_page))
            .default_service(to(|request: HttpRequest| {
                other_method(&request, "GET, HEAD")
            })),
    )
    .service(
        resource(API_PAGE)
            .route(get().to(openapi::page_file))
            .default_service(to(|request: HttpRequest| {
                other_method(&request, "GET, HEAD")
            })),
    )
    .default_service(to(refuse_path));
}

fn other_method(
    request: &HttpRequest,
    allowed: &'static str,
) -> Ready<Result<HttpResponse, ApiError>> {
    let told = options(request, allowed);
    ready(told.ok_or(ApiError::MethodNotAllowed { allowed }))
}

fn refuse_path() -> Ready<Result<HttpResponse, ApiError>> {
    ready(Err(ApiError::RouteNotFound))
}

/// What a path asks of its caller. One that is not named here is for operators.
pub(crate) fn need(pattern: Option<&str>) -> Need {
    match pattern {
        Some(INVENTORIES) => Need::Role(RoleName::Browse),
        Some(
            AVAILABILITY_CHECKS | ORDER | ORDER_CONFIRMED | RESERVATIONS | RESERVATION | REJECTIONS,
        ) => Need::Role(RoleName::Order),
        // Who knows what is behind the door may know how to ask for it; a path that does not exist
        // is told about to known callers only.
        Some(LIMITS | API | API_PAGE) | None => Need::Caller,
        Some(_) => Need::Role(RoleName::Operate),
    }
}

/// The label of a path in metrics: a route's pattern, or one word for everything else.
pub(crate) fn label(pattern: Option<&str>) -> &'static str {
    let routes = [
        INVENTORIES,
        AVAILABILITY_CHECKS,
        ORDER,
        ORDER_CONFIRMED,
        RESERVATIONS,
        RESERVATION,
        REJECTIONS,
        DRIFT,
        LIMITS,
        API,
        API_PAGE,
    ];
    routes
        .into_iter()
        .find(|route| pattern == Some(route))
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_nobody_thought_of_is_for_operators() {
        for (pattern, expected) in [
            (Some(INVENTORIES), Need::Role(RoleName::Browse)),
            (Some(AVAILABILITY_CHECKS), Need::Role(RoleName::Order)),
            (Some(LIMITS), Need::Caller),
            (Some(API_PAGE), Need::Caller),
            (
                Some("/inventory/v1/something-new"),
                Need::Role(RoleName::Operate),
            ),
            (None, Need::Caller),
        ] {
            assert_eq!(need(pattern), expected, "{pattern:?}");
        }
    }
}

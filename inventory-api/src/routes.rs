//! Which path leads to which handler, and what it asks of its caller.

use crate::error::ApiError;
use crate::http::paths::{
    API, API_PAGE, AVAILABILITY_CHECKS, DRIFT, INVENTORIES, LIMITS, ORDER, ORDER_CONFIRMED,
    REJECTIONS, RESERVATION, RESERVATIONS,
};
use crate::http::{limits, openapi};
use crate::orders::handlers;
use crate::{availability_check, drift, inventories};
use actix_web::web::{ServiceConfig, delete, post, put, resource, to};
use actix_web::{HttpRequest, HttpResponse};
use shared::http::auth::door::Need;
use shared::http::read_route::{get, options};
use shared::settings::RoleName;
use std::future::{Ready, ready};

/// Every path; anything else is told about in the same form as other refusals.
pub(crate) fn configure(app: &mut ServiceConfig) {
    app.service(
        resource(INVENTORIES)
            .route(post().to(inventories::handler::post))
            .route(get().to(inventories::handler::get))
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
            .route(get().to(limits::get))
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

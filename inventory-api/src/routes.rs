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
use shared::http::auth::guard::Access;
use shared::http::read_route::{get, options};
use shared::settings::RoleName;
use std::future::{Ready, ready};

/// Every path; anything else is refused in the same form as other refusals.
pub(crate) fn configure(app: &mut ServiceConfig) {
    let inventories = resource(INVENTORIES)
        .route(post().to(inventories::handler::post))
        .route(get().to(inventories::handler::get));
    let checks = resource(AVAILABILITY_CHECKS).route(post().to(availability_check::handler::post));
    let order = resource(ORDER)
        .route(get().to(handlers::get_order))
        .route(delete().to(handlers::delete_order));
    let confirmed = resource(ORDER_CONFIRMED).route(post().to(handlers::confirm_order));
    let reservations = resource(RESERVATIONS).route(post().to(handlers::post_reservation));
    let reservation = resource(RESERVATION)
        .route(get().to(handlers::get_reservation))
        .route(put().to(handlers::put_reservation))
        .route(delete().to(handlers::delete_reservation));
    let rejections = resource(REJECTIONS).route(post().to(handlers::post_rejection));
    for (resource, allowed) in [
        (inventories, "GET, HEAD, POST"),
        (checks, "POST"),
        (order, "GET, HEAD, DELETE"),
        (confirmed, "POST"),
        (reservations, "POST"),
        (reservation, "GET, HEAD, PUT, DELETE"),
        (rejections, "POST"),
        (
            resource(DRIFT).route(get().to(drift::handler::get)),
            "GET, HEAD",
        ),
        (resource(LIMITS).route(get().to(limits::get)), "GET, HEAD"),
        (
            resource(API).route(get().to(openapi::document_or_page)),
            "GET, HEAD",
        ),
        (
            resource(API_PAGE).route(get().to(openapi::page_file)),
            "GET, HEAD",
        ),
    ] {
        let other_method = move |request: HttpRequest| {
            let answer = options(&request, allowed);
            ready(answer.ok_or(ApiError::MethodNotAllowed { allowed }))
        };
        app.service(resource.default_service(to(other_method)));
    }
    app.default_service(to(refuse_path));
}

fn refuse_path() -> Ready<Result<HttpResponse, ApiError>> {
    ready(Err(ApiError::RouteNotFound))
}

/// What a path asks of its caller. One that is not named here is for operators.
pub(crate) fn access(pattern: Option<&str>) -> Access {
    match pattern {
        Some(INVENTORIES) => Access::Role(RoleName::Browse),
        Some(
            AVAILABILITY_CHECKS | ORDER | ORDER_CONFIRMED | RESERVATIONS | RESERVATION | REJECTIONS,
        ) => Access::Role(RoleName::Order),
        // A path that does not exist is called so to known callers only.
        Some(LIMITS | API | API_PAGE) | None => Access::Caller,
        Some(_) => Access::Role(RoleName::Operate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_nobody_thought_of_is_for_operators() {
        for (pattern, expected) in [
            (Some(INVENTORIES), Access::Role(RoleName::Browse)),
            (Some(AVAILABILITY_CHECKS), Access::Role(RoleName::Order)),
            (Some(LIMITS), Access::Caller),
            (Some(API_PAGE), Access::Caller),
            (
                Some("/inventory/v1/something-new"),
                Access::Role(RoleName::Operate),
            ),
            (None, Access::Caller),
        ] {
            assert_eq!(access(pattern), expected, "{pattern:?}");
        }
    }
}

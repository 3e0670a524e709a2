//! The only place with paths.

use crate::error::ApiError;
use crate::{availability_check, openapi, service_limits, stock_query};
use actix_web::HttpResponse;
use actix_web::web::{ServiceConfig, get, post, resource, to};
use std::future::{Ready, ready};

/// Stock questions.
pub(crate) const INVENTORIES: &str = "/inventory/v1/inventories";
/// Order checks.
pub(crate) const AVAILABILITY_CHECKS: &str = "/inventory/v1/availability-checks";
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
            .default_service(to(|| refuse_method("GET, POST"))),
    )
    .service(
        resource(AVAILABILITY_CHECKS)
            .route(post().to(availability_check::handler::post))
            .default_service(to(|| refuse_method("POST"))),
    )
    .service(
        resource(LIMITS)
            .route(get().to(service_limits::get))
            .default_service(to(|| refuse_method("GET"))),
    )
    .service(
        resource(API)
            .route(get().to(openapi::document_or_page))
            .default_service(to(|| refuse_method("GET"))),
    )
    .service(
        resource(API_PAGE)
            .route(get().to(openapi::page_file))
            .default_service(to(|| refuse_method("GET"))),
    )
    .default_service(to(refuse_path));
}

fn refuse_method(allowed: &'static str) -> Ready<Result<HttpResponse, ApiError>> {
    ready(Err(ApiError::MethodNotAllowed { allowed }))
}

fn refuse_path() -> Ready<Result<HttpResponse, ApiError>> {
    ready(Err(ApiError::RouteNotFound))
}

/// The label of a path in metrics: a route's pattern, or one word for everything else.
pub(crate) fn label(pattern: Option<&str>) -> &'static str {
    let routes = [INVENTORIES, AVAILABILITY_CHECKS, LIMITS, API, API_PAGE];
    routes
        .into_iter()
        .find(|route| pattern == Some(route))
        .unwrap_or("other")
}

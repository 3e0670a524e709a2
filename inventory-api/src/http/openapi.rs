//! The OpenAPI document and its page. `GET /inventory/api`
//!
//! The document is `openapi.json`. Served with it are the schemas of replies as the types that write
//! them have them, and the limits in force. The page needs no network: its files are compiled in.

use crate::availability_check::reply::CheckReply;
use crate::availability_check::request::LARGEST_QUANTITY;
use crate::drift::handler::{DriftReply, MOST_DAYS};
use crate::error::ApiError;
use crate::http::json_reply;
use crate::http::limits::ServiceLimits;
use crate::http::question_fields::{
    LONGEST_MAX_AGE_SECONDS, SHORTEST_TIMEOUT_MS, address_skus, body_skus, whole_ms,
};
use crate::inventories::reply::StockReply;
use crate::orders::view::{OrderView, RejectionReply};
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderValue, VARY};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;
use shared::http::api_page::ApiPage;
use shared::http::feedback::Feedback;
use shared::settings::ApiSettings;
use shared::stock::Sku;
use std::fmt;
use utoipa::OpenApi;

const DOCUMENT: &str = include_str!("../../openapi.json");

#[derive(OpenApi)]
#[openapi(components(schemas(
    StockReply<'static>,
    CheckReply<'static>,
    DriftReply,
    OrderView,
    RejectionReply,
    ServiceLimits,
    Feedback
)))]
struct ReplySchemas;

/// What is served, made once.
pub(crate) struct Served {
    document: Bytes,
    page: ApiPage,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

impl Served {
    /// With the limits of these settings.
    pub(crate) fn of(settings: &ApiSettings) -> Self {
        Self {
            document: document(settings).into(),
            page: ApiPage::of(crate::http::paths::API),
        }
    }
}

/// The document as JSON, indented.
pub fn document(settings: &ApiSettings) -> String {
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    let schemas = serde_json::to_value(ReplySchemas::openapi().components).unwrap_or_default();
    if let Value::Object(schemas) = &schemas["schemas"] {
        for (name, schema) in schemas {
            document["components"]["schemas"][name] = schema.clone();
        }
    }
    for (place, limit) in limits(settings) {
        if let Some(value) = document.pointer_mut(&format!("/components/{place}")) {
            *value = limit;
        }
    }
    // Indented JSON of a value that was just read cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// Where the document names a limit, below its components.
fn limits(settings: &ApiSettings) -> Vec<(&'static str, Value)> {
    let limits = &settings.limits;
    let smallest: Option<f64> = settings.orders.smallest_quantity.to_string().parse().ok();
    let order_skus = limits.live_skus.min(body_skus(limits));
    vec![
        (
            "parameters/sku/schema/maxItems",
            address_skus(limits).into(),
        ),
        (
            "parameters/sku/schema/items/maxLength",
            Sku::MAX_CHARS.into(),
        ),
        (
            "parameters/warehouseId/schema/maxItems",
            limits.warehouses.into(),
        ),
        (
            "parameters/stockWarehouseId/schema/maxItems",
            limits.warehouses.into(),
        ),
        (
            "parameters/maxAgeSeconds/schema/maximum",
            LONGEST_MAX_AGE_SECONDS.into(),
        ),
        ("parameters/days/schema/maximum", MOST_DAYS.into()),
        ("schemas/WarehouseIds/maxItems", limits.warehouses.into()),
        ("schemas/TimeoutMs/minimum", SHORTEST_TIMEOUT_MS.into()),
        (
            "schemas/TimeoutMs/maximum",
            whole_ms(settings.live.longest_deadline).into(),
        ),
        (
            "schemas/TimeoutMs/default",
            whole_ms(settings.live.default_deadline).into(),
        ),
        (
            "schemas/StockQuestion/properties/maxAgeSeconds/maximum",
            LONGEST_MAX_AGE_SECONDS.into(),
        ),
        (
            "schemas/StockQuestion/properties/products/maxItems",
            body_skus(limits).into(),
        ),
        (
            "schemas/StockQuestion/properties/skus/maxItems",
            body_skus(limits).into(),
        ),
        (
            "schemas/OrderQuestion/properties/products/maxItems",
            order_skus.into(),
        ),
        (
            "schemas/OrderQuestion/properties/products/items/properties/quantity/minimum",
            smallest.into(),
        ),
        (
            "schemas/OrderQuestion/properties/products/items/properties/quantity/maximum",
            LARGEST_QUANTITY.into(),
        ),
        (
            "schemas/OrderQuestion/properties/ttlSeconds/maximum",
            settings.orders.longest_reservation.as_secs().max(1).into(),
        ),
    ]
}

/// `GET /inventory/api`: the document, or its page if the caller prefers HTML.
pub(crate) async fn document_or_page(
    request: HttpRequest,
    served: Data<Served>,
) -> Result<HttpResponse, ApiError> {
    let mut reply = HttpResponse::Ok();
    reply.insert_header((CACHE_CONTROL, "max-age=60"));
    if prefers_html(request.headers()) {
        let page = served.page.index("api/page/");
        let mut page = page.ok_or(ApiError::RouteNotFound)?;
        let by_accept = HeaderValue::from_static("accept");
        page.headers_mut().insert(VARY, by_accept);
        return Ok(page);
    }
    let document = served.document.clone();
    let mut reply = json_reply::send(reply, request.headers(), document);
    reply
        .headers_mut()
        .append(VARY, HeaderValue::from_static("accept"));
    Ok(reply)
}

/// `GET /inventory/api/page/{file}`: a script, style or picture of the page.
pub(crate) async fn page_file(
    name: Path<String>,
    served: Data<Served>,
) -> Result<HttpResponse, ApiError> {
    served.page.file(&name).ok_or(ApiError::RouteNotFound)
}

/// Whether HTML stands in `Accept` before any JSON, as browsers write it.
fn prefers_html(headers: &HeaderMap) -> bool {
    let listed = headers
        .get_all(ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|entry| entry.split(';').next().unwrap_or_default().trim());
    for kind in listed {
        if kind.eq_ignore_ascii_case("text/html") {
            return true;
        }
        if kind.ends_with("json") {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests;

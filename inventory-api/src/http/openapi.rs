//! The OpenAPI document and its page. `GET /inventory/api`
//!
//! Schemas of replies come from the types that write them; requests are described by hand beside
//! their limits, because they are read without a type of their own. The page needs no network: its
//! files are compiled in.

mod paths;
mod questions;

use crate::availability_check::reply::CheckReply;
use crate::drift::handler::DriftReply;
use crate::error::ApiError;
use crate::http::json_reply;
use crate::http::limits::ServiceLimits;
use crate::inventories::reply::StockReply;
use crate::orders::view::{OrderView, RejectionReply};
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderValue, VARY};
use actix_web::web::{Bytes, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};
use shared::http::api_page::ApiPage;
use shared::http::feedback::Feedback;
use shared::settings::ApiSettings;
use std::fmt;
use utoipa::OpenApi;

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
    let mut schemas = reply_schemas();
    questions::insert_into(&mut schemas, settings);
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Inventory API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": concat!(
                "Stock of Dynamics 365 Finance & Operations for Intershop Commerce Management.\n\n",
                "FAST questions are answered from the cache and do not depend on D365; EXACT ",
                "questions and availability checks are answered by D365, live, inside a deadline. ",
                "Every line tells its state, its source and its age. Readers ignore fields they do ",
                "not know: new ones may be added within v1."
            ),
            "license": { "name": "MIT", "identifier": "MIT" }
        },
        "servers": [ { "url": "/" } ],
        "paths": paths::all(settings),
        "security": [ { "basic": [] }, { "bearer": [] } ],
        "components": { "schemas": schemas, "securitySchemes": {
            "basic": { "type": "http", "scheme": "basic" },
            "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" }
        } }
    });
    // Indented JSON of a value that was just built cannot fail.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

fn reply_schemas() -> Map<String, Value> {
    let components = ReplySchemas::openapi().components;
    let mut document = serde_json::to_value(components).unwrap_or_default();
    match document.get_mut("schemas").map(Value::take) {
        Some(Value::Object(schemas)) => schemas,
        _ => Map::new(),
    }
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

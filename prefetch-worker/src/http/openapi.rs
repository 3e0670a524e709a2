//! The OpenAPI document and its page, which works without the internet.

use super::{events, refreshes, status};
use actix_web::http::header::{ACCEPT, ContentType, LOCATION};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse};
use shared::http::api_page::ApiPage;
use shared::http::feedback::Feedback;
use std::sync::LazyLock;
use utoipa::openapi::security::{Http, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Prefetch worker",
        description = "How fresh the stock in the cache is, and how to have it read again now.",
    ),
    servers((url = "/")),
    paths(
        status::read_status,
        refreshes::ask_refresh,
        events::take_events,
        read_document,
        read_page_file,
    ),
    components(schemas(Feedback)),
    security(("basic" = []), ("bearer" = [])),
    modifiers(&Credentials),
)]
struct Document;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let basic = Http::new(HttpAuthScheme::Basic);
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .build();
        components.add_security_scheme("basic", SecurityScheme::Http(basic));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

pub(crate) fn text() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| document().to_pretty_json().unwrap_or_default());
    &TEXT
}

/// This document.
///
/// JSON; a browser that asks for HTML is sent to the interactive page.
#[utoipa::path(
    get, path = "/inventoryPrefetcher/api", operation_id = "readDocument", tag = "documentation",
    responses(
        (status = 200, description = "The document.", content_type = "application/json", body = Object),
        (status = 303, description = "The interactive page, for a browser."),
        (status = 401, description = "No credentials, or credentials that are not accepted.", body = Feedback),
        (status = 429, description = "Too many passwords are being checked.", body = Feedback),
        (status = 503, description = "The token issuer cannot be reached.", body = Feedback),
    )
)]
pub(crate) async fn read_document(request: HttpRequest) -> HttpResponse {
    let wants_page = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page {
        return HttpResponse::SeeOther()
            .insert_header((LOCATION, "/inventoryPrefetcher/api/page/"))
            .finish();
    }
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(text())
}

/// A file of this document's page.
#[utoipa::path(
    get, path = "/inventoryPrefetcher/api/page/{file}", operation_id = "readPageFile", tag = "documentation",
    params(("file" = String, Path, description = "Its name.", example = "swagger-ui.css")),
    responses(
        (status = 200, description = "A script, style or picture.", content_type = "*/*", body = String),
        (status = 401, description = "No credentials, or credentials that are not accepted.", body = Feedback),
        (status = 404, description = "No such file."),
        (status = 429, description = "Too many passwords are being checked.", body = Feedback),
        (status = 503, description = "The token issuer cannot be reached.", body = Feedback),
    )
)]
pub(crate) async fn read_page_file(name: Path<String>) -> HttpResponse {
    static PAGE: LazyLock<ApiPage> = LazyLock::new(|| ApiPage::of("/inventoryPrefetcher/api"));
    let found = match name.as_str() {
        "" | "index.html" => PAGE.index("./"),
        name => PAGE.file(name),
    };
    found.unwrap_or_else(|| HttpResponse::NotFound().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_fresh() {
        let committed = include_str!("../../openapi.json");
        assert_eq!(
            committed.trim_end(),
            text(),
            "run `prefetch-worker openapi > prefetch-worker/openapi.json`"
        );
    }
}

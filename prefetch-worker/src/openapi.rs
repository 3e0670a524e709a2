//! The OpenAPI document and its page, which works without the internet.

use crate::events::EventsReply;
use crate::routes::{RefreshReply, RefreshRequest};
use crate::status::Status;
use actix_web::HttpResponse;
use actix_web::web::Path;
use shared::http::api_page::ApiPage;
use shared::http::feedback::Feedback;
use std::sync::LazyLock;
use utoipa::openapi::security::{Http, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// Where the page lies.
pub(crate) const PAGE_ADDRESS: &str = "/inventoryPrefetcher/api/page/";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Prefetch worker",
        description = "How fresh the stock in the cache is, and how to have it read again now.",
    ),
    servers((url = "/")),
    paths(status, refreshes, take_events, document_route, page_file_route),
    components(schemas(Feedback)),
    security(("basic" = []), ("bearer" = [])),
    modifiers(&Credentials),
)]
struct Document;

/// How callers show who they are.
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

/// The document as JSON.
pub(crate) fn text() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| document().to_pretty_json().unwrap_or_default());
    &TEXT
}

/// A file of the interactive page; without a name the page itself.
pub(crate) async fn page_file(name: Path<String>) -> HttpResponse {
    static PAGE: LazyLock<ApiPage> = LazyLock::new(|| ApiPage::of("/inventoryPrefetcher/api"));
    let found = match name.as_str() {
        "" | "index.html" => PAGE.index("./"),
        name => PAGE.file(name),
    };
    found.unwrap_or_else(|| HttpResponse::NotFound().finish())
}

/// Feeds and workers.
///
/// For each tenant and warehouse: the last complete snapshot, its age, the latest cycle and why it
/// was not complete, who reads it right now, when it is due.
#[utoipa::path(
    get, path = "/inventoryPrefetcher/v1/status", operation_id = "readStatus", tag = "prefetch",
    responses(
        (status = 200, description = "The status.", body = Status),
        (status = 401, description = "No credentials, or credentials that are not accepted.", body = Feedback),
        (status = 403, description = "This caller may not do this.", body = Feedback),
        (status = 429, description = "Too many passwords are being checked.", body = Feedback),
        (status = 503, description = "Redis or the token issuer cannot be reached.", body = Feedback),
    )
)]
#[expect(
    dead_code,
    reason = "the attribute describes the route; the handler is in routes.rs"
)]
fn status() {}

/// Ask for a refresh.
///
/// A whole warehouse is made due at once; a list of SKUs is looked up within seconds. Either way the
/// numbers carry the as-of of the read, so that nothing newer is undone.
#[utoipa::path(
    post, path = "/inventoryPrefetcher/v1/refreshes", operation_id = "askRefresh", tag = "prefetch",
    request_body = RefreshRequest,
    responses(
        (status = 202, description = "Taken; it happens in the background.", body = RefreshReply),
        (status = 400, description = "Not the JSON that was expected.", body = Feedback),
        (status = 401, description = "No credentials, or credentials that are not accepted.", body = Feedback),
        (status = 403, description = "This caller may not do this.", body = Feedback),
        (status = 404, description = "Tenant or warehouse not configured.", body = Feedback),
        (status = 413, description = "Too large; the limit is in the parameters.", body = Feedback),
        (status = 415, description = "Not application/json.", body = Feedback),
        (status = 422, description = "A value that may not be.", body = Feedback),
        (status = 429, description = "Too many refreshes wait.", body = Feedback),
        (status = 503, description = "Redis or the token issuer cannot be reached.", body = Feedback),
    )
)]
#[expect(
    dead_code,
    reason = "the attribute describes the route; the handler is in routes.rs"
)]
fn refreshes() {}

/// Take events of D365.
///
/// Business and data events, as Event Grid or D365's own HTTPS endpoint sends them: hints that an item
/// or a warehouse has changed. What they name is read again within seconds; no number is taken from
/// them. Senders show the configured key in `X-Connector-Key` or as `code` in the address.
#[utoipa::path(
    post, path = "/inventoryPrefetcher/v1/events", operation_id = "takeEvents", tag = "prefetch",
    params(
        ("X-Connector-Key" = Option<String>, Header, description = "The key of `worker.events`."),
        ("code" = Option<String>, Query, description = "The same key, for senders without headers."),
    ),
    request_body(content = Object, description = "One event, or a list of at most 100."),
    security(()),
    responses(
        (status = 200, description = "What became of them.", body = EventsReply),
        (status = 400, description = "Not the JSON that was expected.", body = Feedback),
        (status = 401, description = "Not the configured key.", body = Feedback),
        (status = 404, description = "No key is configured: no events are taken.", body = Feedback),
        (status = 413, description = "Too large; the limit is in the parameters.", body = Feedback),
        (status = 415, description = "Not application/json.", body = Feedback),
        (status = 422, description = "Something in it is no event.", body = Feedback),
        (status = 429, description = "Too many hints wait; deliver again.", body = Feedback),
        (status = 503, description = "Redis cannot be reached; deliver again.", body = Feedback),
    )
)]
#[expect(
    dead_code,
    reason = "the attribute describes the route; the handler is in events.rs"
)]
fn take_events() {}

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
#[expect(
    dead_code,
    reason = "the attribute describes the route; the handler is in routes.rs"
)]
fn document_route() {}

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
#[expect(
    dead_code,
    reason = "the attribute describes the route; the page serves itself"
)]
fn page_file_route() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_fresh() {
        let committed = include_str!("../openapi.json");
        assert_eq!(
            committed.trim_end(),
            text(),
            "run `prefetch-worker openapi > prefetch-worker/openapi.json`"
        );
    }
}

//! Every route with every status it answers.

use super::questions;
use crate::routes;
use crate::stock_query::request::address_skus;
use serde_json::{Map, Value, json};
use shared::settings::ApiSettings;

/// What may go wrong on any route.
const ANYWHERE: [u16; 1] = [429];
const WITH_BODY: [u16; 5] = [400, 408, 413, 415, 422];

/// The paths object.
pub(super) fn all(settings: &ApiSettings) -> Value {
    json!({
        routes::INVENTORIES: {
            "post": post_inventories(),
            "get": get_inventories(settings),
        },
        routes::AVAILABILITY_CHECKS: { "post": post_availability_checks() },
        routes::LIMITS: { "get": get_limits() },
        routes::API: { "get": get_api() },
        routes::API_PAGE: { "get": get_page_file() },
    })
}

fn post_inventories() -> Value {
    let mut responses = refusals(&[&WITH_BODY[..], &[404, 502, 503, 504]].concat());
    responses.insert(
        "200".to_owned(),
        json_reply("What is known about each SKU.", "StockReply"),
    );
    json!({
        "operationId": "queryInventories",
        "summary": "What can I show?",
        "description": "Stock of up to a thousand SKUs. FAST answers from the cache in one step; EXACT asks D365.",
        "parameters": tracing_headers(),
        "requestBody": json_question("StockQuestion"),
        "responses": responses
    })
}

fn get_inventories(settings: &ApiSettings) -> Value {
    let mut parameters = tracing_headers();
    let one_or_more = |name: &str, most: usize, schema: Value, required: bool| {
        json!({
            "name": name, "in": "query", "required": required, "style": "form", "explode": true,
            "schema": { "type": "array", "minItems": 1, "maxItems": most, "items": schema }
        })
    };
    let optional = |name: &str, schema: Value| json!({ "name": name, "in": "query", "required": false, "schema": schema });
    parameters.extend([
        one_or_more(
            "sku",
            address_skus(&settings.limits),
            questions::sku(),
            true,
        ),
        one_or_more(
            "warehouseId",
            settings.limits.warehouses,
            questions::warehouse(),
            false,
        ),
        optional("organization", questions::organization()),
        optional("channel", questions::channel()),
        optional("maxAgeSeconds", questions::max_age()),
        json!({
            "name": "If-None-Match", "in": "header", "required": false,
            "schema": { "type": "string" },
            "description": "The ETag of an earlier reply."
        }),
    ]);
    let mut responses = refusals(&[400, 404, 413, 422, 503]);
    let mut good = json_reply(
        "What is known about each SKU, from the cache.",
        "StockReply",
    );
    good["headers"] = json!({
        "ETag": header("Changes with the stock told, not with its age."),
        "Last-Modified": header("When the newest number in it was read."),
        "Age": header("Seconds since the oldest number in it was read."),
        "Cache-Control": header("How long it may be kept, its age included."),
        "X-Request-ID": header("The caller's, or a new one.")
    });
    responses.insert("200".to_owned(), good);
    responses.insert(
        "304".to_owned(),
        json!({ "description": "Nothing has changed since the reply with this ETag." }),
    );
    json!({
        "operationId": "getInventories",
        "summary": "The FAST question for caches in between",
        "parameters": parameters,
        "responses": responses
    })
}

fn post_availability_checks() -> Value {
    let mut responses = refusals(&[&WITH_BODY[..], &[404, 502, 503, 504]].concat());
    responses.insert(
        "200".to_owned(),
        json_reply("What may be sold of each line.", "CheckReply"),
    );
    json!({
        "operationId": "checkAvailability",
        "summary": "May I accept this order?",
        "description": "Asked of D365, live. A short line is no HTTP error: see orderable and errors.",
        "parameters": tracing_headers(),
        "requestBody": json_question("OrderQuestion"),
        "responses": responses
    })
}

fn get_limits() -> Value {
    let mut responses = refusals(&[]);
    responses.insert(
        "200".to_owned(),
        json_reply("The limits in force.", "ServiceLimits"),
    );
    json!({
        "operationId": "getLimits",
        "summary": "What one request may ask for",
        "parameters": tracing_headers(),
        "responses": responses
    })
}

fn get_api() -> Value {
    let mut responses = refusals(&[]);
    responses.insert(
        "200".to_owned(),
        json!({
            "description": "This document, or a page to try it if HTML is preferred.",
            "headers": reply_headers(),
            "content": {
                "application/json": { "schema": { "type": "object" } },
                "text/html": { "schema": { "type": "string" } }
            }
        }),
    );
    json!({
        "operationId": "getApi",
        "summary": "This document",
        "parameters": tracing_headers(),
        "responses": responses
    })
}

fn get_page_file() -> Value {
    let mut responses = refusals(&[404]);
    responses.insert(
        "200".to_owned(),
        json!({
            "description": "A script, style or picture of the page.",
            "headers": reply_headers(),
            "content": { "*/*": { "schema": { "type": "string" } } }
        }),
    );
    let mut parameters = tracing_headers();
    parameters.push(json!({
        "name": "file", "in": "path", "required": true,
        "schema": { "type": "string", "pattern": "^[a-z0-9.-]+$", "minLength": 1, "maxLength": 64 },
        "example": "swagger-ui.css"
    }));
    json!({
        "operationId": "getApiPageFile",
        "summary": "A file of this document's page",
        "parameters": parameters,
        "responses": responses
    })
}

fn tracing_headers() -> Vec<Value> {
    let optional = |name: &str, description: &str| {
        json!({
            "name": name, "in": "header", "required": false,
            "schema": { "type": "string" },
            "description": description
        })
    };
    vec![
        optional(
            "X-Request-ID",
            "Echoed if it is 1 to 128 visible ASCII characters; otherwise a new one is made.",
        ),
        optional("traceparent", "W3C Trace Context; echoed if valid."),
    ]
}

fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn reply_headers() -> Value {
    json!({ "X-Request-ID": header("The caller's, or a new one.") })
}

fn json_question(schema: &str) -> Value {
    json!({
        "required": true,
        "content": { "application/json": { "schema": reference(schema) } }
    })
}

fn json_reply(description: &str, schema: &str) -> Value {
    json!({
        "description": description,
        "headers": reply_headers(),
        "content": { "application/json": { "schema": reference(schema) } }
    })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn refusals(statuses: &[u16]) -> Map<String, Value> {
    ANYWHERE
        .iter()
        .chain(statuses)
        .map(|status| {
            let mut reply = json_reply(meaning(*status), "Feedback");
            if matches!(status, 429 | 503) {
                reply["headers"]["Retry-After"] = header("Seconds to wait.");
            }
            (status.to_string(), reply)
        })
        .collect()
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "Not JSON, or JSON of the wrong types.",
        404 => "No such organization, channel, warehouse or file.",
        408 => "The body did not arrive in time.",
        413 => "More than a limit allows; the limit is in parameters.",
        415 => "The body is not declared as plain application/json.",
        422 => "A value outside its rules; its path is in paths.",
        429 => "Too many requests in work.",
        502 => "D365 answered with an error.",
        503 => "Nothing is known yet, or cache or D365 cannot be reached.",
        504 => "D365 did not answer in time.",
        _ => "Refused.",
    }
}

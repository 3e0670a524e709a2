//! Every route with every status it answers.

use super::questions;
use crate::drift::handler::MOST_DAYS;
use crate::http::paths;
use crate::inventories::request::address_skus;
use serde_json::{Map, Value, json};
use shared::settings::ApiSettings;

/// What may go wrong on any route.
const ANYWHERE: [u16; 4] = [401, 403, 429, 503];
const WITH_BODY: [u16; 5] = [400, 408, 413, 415, 422];

/// The paths object.
pub(super) fn all(settings: &ApiSettings) -> Value {
    json!({
        paths::INVENTORIES: {
            "post": post_inventories(),
            "get": get_inventories(settings),
        },
        paths::AVAILABILITY_CHECKS: { "post": post_availability_checks() },
        paths::ORDER: { "get": get_order(), "delete": delete_order() },
        paths::ORDER_CONFIRMED: { "post": confirm_order() },
        paths::RESERVATIONS: { "post": post_reservation() },
        paths::RESERVATION: {
            "get": get_reservation(),
            "put": put_reservation(),
            "delete": delete_reservation(),
        },
        paths::REJECTIONS: { "post": post_rejection() },
        paths::DRIFT: { "get": get_drift(settings) },
        paths::LIMITS: { "get": get_limits() },
        paths::API: { "get": get_api() },
        paths::API_PAGE: { "get": get_page_file() },
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
    let mut responses = refusals(&[&WITH_BODY[..], &[404, 409, 502, 503, 504]].concat());
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

/// The headers, the id in the path, and the organization.
fn about_one(id: &str) -> Vec<Value> {
    let mut parameters = tracing_headers();
    parameters.push(json!({
        "name": id, "in": "path", "required": true,
        "schema": questions::hold_id(),
        "description": "As the shop named it."
    }));
    parameters.push(json!({
        "name": "organization", "in": "query", "required": false,
        "schema": questions::organization()
    }));
    parameters.push(json!({
        "name": "channel", "in": "query", "required": false,
        "schema": questions::channel(),
        "description": "Then an order of another channel is not there."
    }));
    parameters
}

/// An operation on one order or reservation.
fn one_held(operation: &str, summary: &str, id: &str, refused: &[u16]) -> Value {
    let statuses = [&[400, 404, 422, 503], refused].concat();
    let mut responses = refusals(&statuses);
    responses.insert(
        "200".to_owned(),
        json_reply("How it stands now.", "OrderView"),
    );
    json!({
        "operationId": operation,
        "summary": summary,
        "parameters": about_one(id),
        "responses": responses
    })
}

fn get_order() -> Value {
    one_held("getOrder", "What is held for an order?", "orderId", &[])
}

fn delete_order() -> Value {
    one_held("cancelOrder", "The order was cancelled", "orderId", &[409])
}

fn confirm_order() -> Value {
    one_held(
        "confirmOrder",
        "The ERP has booked the order",
        "orderId",
        &[409],
    )
}

fn get_reservation() -> Value {
    one_held("getReservation", "What is reserved?", "reservationId", &[])
}

fn delete_reservation() -> Value {
    one_held(
        "deleteReservation",
        "The reservation is given up",
        "reservationId",
        &[409],
    )
}

fn reservation(operation: &str, summary: &str, mut parameters: Vec<Value>, is_new: bool) -> Value {
    let mut responses = refusals(&[&WITH_BODY[..], &[404, 409, 502, 503, 504]].concat());
    responses.insert(
        "200".to_owned(),
        json_reply(
            "What may be sold of each line; reserved only if all may.",
            "CheckReply",
        ),
    );
    if is_new {
        let mut created = json_reply("All lines are reserved.", "CheckReply");
        created["headers"]["Location"] = header("Where the reservation is.");
        responses.insert("201".to_owned(), created);
        parameters = tracing_headers();
    }
    json!({
        "operationId": operation,
        "summary": summary,
        "description": "Checked like an order, live; held like one, for a while.",
        "parameters": parameters,
        "requestBody": json_question("OrderQuestion"),
        "responses": responses
    })
}

fn post_reservation() -> Value {
    reservation("reserve", "Hold stock for a cart", Vec::new(), true)
}

fn put_reservation() -> Value {
    let parameters = about_one("reservationId");
    let parameters = parameters
        .into_iter()
        .filter(|known| known["in"] != "query");
    reservation(
        "changeReservation",
        "Other lines, or more time",
        parameters.collect(),
        false,
    )
}

fn post_rejection() -> Value {
    let mut responses = refusals(&[&WITH_BODY[..], &[404, 503]].concat());
    responses.insert(
        "200".to_owned(),
        json_reply("What was given back.", "RejectionReply"),
    );
    json!({
        "operationId": "reject",
        "summary": "Give reserved stock back by product",
        "description": "The oldest reservations give first; orders never do.",
        "parameters": tracing_headers(),
        "requestBody": json_question("OrderQuestion"),
        "responses": responses
    })
}

fn get_drift(settings: &ApiSettings) -> Value {
    let mut parameters = tracing_headers();
    parameters.extend([
        json!({
            "name": "organization", "in": "query", "required": false,
            "schema": questions::organization()
        }),
        json!({
            "name": "warehouseId", "in": "query", "required": false,
            "style": "form", "explode": true,
            "schema": {
                "type": "array", "minItems": 1, "maxItems": settings.limits.warehouses,
                "items": questions::warehouse()
            },
            "description": "All of the organization's unless named."
        }),
        json!({
            "name": "days", "in": "query", "required": false,
            "schema": { "type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": 1 },
            "description": "Days that count, today included (UTC)."
        }),
    ]);
    let mut responses = refusals(&[400, 404, 413, 422, 503]);
    responses.insert(
        "200".to_owned(),
        json_reply(
            "How far the cache was from what D365 answered live.",
            "DriftReply",
        ),
    );
    json!({
        "operationId": "getDrift",
        "summary": "What would the cache have got wrong?",
        "parameters": parameters,
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
            if *status == 401 {
                reply["headers"]["WWW-Authenticate"] = header("What is taken here.");
            }
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
        401 => "No credentials, or credentials that are not accepted.",
        403 => "This caller may not do this, or not for this organization or channel.",
        404 => "No such organization, channel, warehouse or file.",
        408 => "The body did not arrive in time.",
        413 => "More than a limit allows; the limit is in parameters.",
        415 => "The body is not declared as plain application/json.",
        422 => "A value outside its rules; its path is in paths.",
        429 => "Too many requests in work.",
        502 => "D365 answered with an error.",
        503 => "Nothing is known yet, or cache, D365 or the token issuer cannot be reached.",
        504 => "D365 did not answer in time.",
        _ => "Refused.",
    }
}

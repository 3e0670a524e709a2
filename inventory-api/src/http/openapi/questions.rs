//! Schemas of what may be asked, with the limits in force.

use crate::availability_check::request::LARGEST_QUANTITY;
use crate::http::question_fields::{LONGEST_MAX_AGE_SECONDS, SHORTEST_TIMEOUT_MS, whole_ms};
use serde_json::{Map, Value, json};
use shared::settings::ApiSettings;
use shared::stock::HoldId;
use shared::stock::{ChannelId, Sku, WarehouseId};

/// No control characters, and not blanks alone; everything else is allowed.
const OPAQUE: &str = r"^ *[^ \u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

/// Adds the schemas of questions.
pub(super) fn insert_into(schemas: &mut Map<String, Value>, settings: &ApiSettings) {
    schemas.insert("StockQuestion".to_owned(), stock_question(settings));
    schemas.insert("OrderQuestion".to_owned(), order_question(settings));
}

/// A SKU.
pub(super) fn sku() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": Sku::MAX_CHARS,
        "pattern": OPAQUE,
        "description": "Answered as it is spelled; letter case and trailing blanks do not tell SKUs apart.",
        "example": "D0001"
    })
}

/// A warehouse id.
pub(super) fn warehouse() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": WarehouseId::MAX_CHARS,
        "pattern": OPAQUE,
        "description": "Letter case and trailing blanks do not count. Required unless the channel or the organization leaves no choice.",
        "example": "24"
    })
}

/// An organization.
pub(super) fn organization() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 32,
        "pattern": "^[A-Za-z0-9_-]+$",
        "description": "A configured tenant's id, or its legal entity. Required if there are several.",
        "example": "contoso"
    })
}

/// A channel.
pub(super) fn channel() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": ChannelId::MAX_CHARS,
        "pattern": OPAQUE,
        "description": "A configured sales channel: whose stock, which warehouses, by which rules.",
        "example": "inSPIRED-inTRONICS-Site"
    })
}

/// A greatest age.
pub(super) fn max_age() -> Value {
    json!({
        "type": "integer",
        "minimum": 0,
        "maximum": LONGEST_MAX_AGE_SECONDS,
        "description": "A cached number older than this is read from D365 if there is room, else marked stale.",
        "example": 1800
    })
}

fn timeout(settings: &ApiSettings) -> Value {
    json!({
        "type": "integer",
        "minimum": SHORTEST_TIMEOUT_MS,
        "maximum": whole_ms(settings.live.longest_deadline),
        "default": whole_ms(settings.live.default_deadline),
        "description": "How long a live answer may take.",
        "example": 2500
    })
}

fn scope(settings: &ApiSettings) -> Map<String, Value> {
    let mut properties = Map::new();
    properties.insert("organization".to_owned(), organization());
    properties.insert("channel".to_owned(), channel());
    properties.insert("warehouseId".to_owned(), warehouse());
    properties.insert(
        "warehouseIds".to_owned(),
        json!({
            "type": "array",
            "minItems": 1,
            "maxItems": settings.limits.warehouses,
            "items": warehouse(),
            "description": "Several warehouses instead of one; their stock is added up."
        }),
    );
    properties
}

fn stock_question(settings: &ApiSettings) -> Value {
    let mut properties = scope(settings);
    properties.insert(
        "severity".to_owned(),
        json!({
            "type": "string",
            "pattern": "^([Ff][Aa][Ss][Tt]|[Ee][Xx][Aa][Cc][Tt])$",
            "default": "FAST",
            "description": "FAST: from the cache. EXACT: from D365, live.",
            "example": "FAST"
        }),
    );
    properties.insert("maxAgeSeconds".to_owned(), max_age());
    properties.insert("timeoutMs".to_owned(), timeout(settings));
    properties.insert(
        "onLiveFailure".to_owned(),
        on_live_failure("EXACT without a live answer fails, unless CACHE is asked for."),
    );
    properties.insert(
        "products".to_owned(),
        json!({
            "type": "array",
            "minItems": 1,
            "maxItems": settings.limits.skus,
            "items": {
                "type": "object",
                "required": ["sku"],
                "properties": { "sku": sku() }
            }
        }),
    );
    properties.insert(
        "skus".to_owned(),
        json!({
            "type": "array",
            "minItems": 1,
            "maxItems": settings.limits.skus,
            "items": sku(),
            "description": "Instead of products."
        }),
    );
    json!({
        "type": "object",
        "properties": properties,
        "allOf": [
            {
                "oneOf": [
                    { "required": ["products"] },
                    { "required": ["skus"] }
                ]
            },
            { "not": { "required": ["warehouseId", "warehouseIds"] } }
        ],
        "example": {
            "organization": "contoso",
            "warehouseId": "24",
            "severity": "FAST",
            "products": [ { "sku": "D0001" }, { "sku": "1000" } ]
        }
    })
}

fn order_question(settings: &ApiSettings) -> Value {
    let mut properties = scope(settings);
    properties.insert("timeoutMs".to_owned(), timeout(settings));
    properties.insert(
        "onLiveFailure".to_owned(),
        on_live_failure("Goes before the channel's own policy."),
    );
    properties.insert("orderId".to_owned(), hold_id());
    properties.insert(
        "commit".to_owned(),
        json!({
            "type": "boolean",
            "default": false,
            "description": "Hold what is granted for the order, if all of it is; needs orderId."
        }),
    );
    properties.insert("reservationId".to_owned(), hold_id());
    properties.insert("requestId".to_owned(), request_id());
    properties.insert(
        "ttlSeconds".to_owned(),
        json!({
            "type": "integer",
            "minimum": 1,
            "maximum": settings.orders.longest_reservation.as_secs().max(1),
            "description": "How long a reservation is held."
        }),
    );
    let smallest: Option<f64> = settings.orders.smallest_quantity.to_string().parse().ok();
    properties.insert(
        "products".to_owned(),
        json!({
            "type": "array",
            "minItems": 1,
            "maxItems": settings.limits.live_skus.min(settings.limits.skus),
            "items": {
                "type": "object",
                "required": ["sku", "quantity"],
                "properties": {
                    "sku": sku_of_order(),
                    "quantity": {
                        "type": "number",
                        "minimum": smallest,
                        "maximum": LARGEST_QUANTITY,
                        "description": "In the item's inventory unit; read exactly. Mentions of one SKU are added up.",
                        "example": 2
                    }
                }
            }
        }),
    );
    json!({
        "type": "object",
        "required": ["products"],
        "properties": properties,
        "not": { "required": ["warehouseId", "warehouseIds"] },
        "example": {
            "organization": "contoso",
            "warehouseId": "24",
            "products": [ { "sku": "D0001", "quantity": 2 } ]
        }
    })
}

/// The id of an order or reservation.
pub(super) fn hold_id() -> Value {
    json!({
        "type": "string",
        "minLength": 1,
        "maxLength": HoldId::MAX_CHARS,
        "pattern": "^[!-{}~]+$",
        "example": "INTRON-00001234"
    })
}

fn request_id() -> Value {
    let mut id = hold_id();
    id["description"] = json!(
        "Unique, e.g. a UUID: a reservation asked for again with it, after a reply that got lost, is the same one."
    );
    id["example"] = json!("7f0c2c1e-5b1d-4c57-9a56-1a2f4a7f4a10");
    id
}

/// D365 cannot be asked exactly for a SKU with `*`.
fn sku_of_order() -> Value {
    let mut sku = sku();
    sku["pattern"] = json!(r"^[^\u0000-\u001f\u007f-\u009f*]+$");
    sku
}

fn on_live_failure(description: &str) -> Value {
    json!({
        "type": "string",
        "pattern": "^([Ff][Aa][Ii][Ll]|[Cc][Aa][Cc][Hh][Ee])$",
        "description": description,
        "example": "FAIL"
    })
}

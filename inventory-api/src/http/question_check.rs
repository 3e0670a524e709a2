//! What the service would make of a body, without asking anybody.

use crate::availability_check::request::OrderQuestion;
use crate::http::body::is_deeper_than;
use crate::inventories::request::StockQuestion;
use shared::settings::ApiSettings;

/// Whether `POST /inventory/v1/inventories` would take this body as a question.
pub fn is_stock_question(body: &[u8], settings: &ApiSettings) -> bool {
    !is_deeper_than(settings.limits.json_depth, body)
        && StockQuestion::of_body(body, settings).is_ok()
}

/// Whether `POST /inventory/v1/availability-checks` would take this body as a question.
pub fn is_availability_check(body: &[u8], settings: &ApiSettings) -> bool {
    !is_deeper_than(settings.limits.json_depth, body)
        && OrderQuestion::of_body(body, settings).is_ok()
}

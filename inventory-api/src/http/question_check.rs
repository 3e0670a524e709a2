//! What the service would make of a body, without asking anybody.

use crate::availability_check::request::OrderQuestion;
use crate::http::body::{MOST_DEPTH, is_deeper_than};
use crate::inventories::request::StockQuestion;
use shared::settings::ApiSettings;

/// Whether `POST /inventory/v1/inventories` would take this body as a question.
pub fn is_stock_question(body: &[u8], settings: &ApiSettings) -> bool {
    !is_deeper_than(MOST_DEPTH, body) && StockQuestion::of_body(body, settings).is_ok()
}

/// Whether `POST /inventory/v1/availability-checks` would take this body as a question.
pub fn is_availability_check(body: &[u8], settings: &ApiSettings) -> bool {
    !is_deeper_than(MOST_DEPTH, body) && OrderQuestion::of_body(body, settings).is_ok()
}

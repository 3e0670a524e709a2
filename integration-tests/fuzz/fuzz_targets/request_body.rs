//! A body of a stock question or of an order check: taken or refused, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::settings::{ApiSettings, Layers};
use std::sync::LazyLock;

static SETTINGS: LazyLock<ApiSettings> =
    LazyLock::new(|| Layers::default().load().expect("the defaults are whole").api);

fuzz_target!(|body: &[u8]| {
    inventory_api::is_stock_question(body, &SETTINGS);
    inventory_api::is_availability_check(body, &SETTINGS);
});

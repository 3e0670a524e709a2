//! Every series of this service. Labels come from closed sets; never a SKU, never free text.
//!
//! | series | type | labels | meaning |
//! |---|---|---|---|
//! | `inventory_api_requests_total` | counter | route, status | requests answered |
//! | `inventory_api_request_seconds` | histogram | route | time from the head of a request to its reply |
//! | `inventory_api_requests_in_flight` | gauge | | requests in work |
//! | `inventory_api_large_bodies` | gauge | | requests in work whose body is a large one |
//! | `inventory_api_lines_total` | counter | source, state | SKUs answered, by where the number came from |
//! | `inventory_api_live_requests_total` | counter | outcome | chunks asked of D365 |
//! | `inventory_api_live_request_seconds` | histogram | outcome | how long they took, waiting for a permit included |
//! | `inventory_api_write_through_lines_total` | counter | outcome | live lines stored, refused as older, or not stored |
//! | `inventory_api_live_breaker_closed` | gauge | environment | 1 while live calls pass, 0 while D365 is left alone |
//! | `inventory_api_live_breaker_opened_total` | counter | | times D365 kept failing |
//! | `inventory_api_holds_total` | counter | outcome | orders and reservations: placed, repeated, short, not_stored, confirmed, released, rejected, overtaken |
//! | `inventory_api_drift_lines_total` | counter | tenant, warehouse, outcome | live lines compared with the cache: same, oversold, undersold, unknown |
//! | `inventory_api_feed_age_seconds` | gauge | tenant, warehouse | age of the last complete snapshot; before the first, how long it has been wanted |
//! | `inventory_api_feed_overdue` | gauge | tenant, warehouse | 1 if it is older than it may be |
//! | `inventory_api_asked_skus_dropped_total` | counter | | counts of asked SKUs that Redis did not take |
//! | `inventory_api_published_tenants_refused` | gauge | | tenants in Redis that are not usable |

use crate::live::failure::LiveFailure;
use crate::stock::evidence::Source;
use crate::stock::feed::Feed;
use ::metrics::{counter, gauge, histogram};
use shared::stock::{StockState, TenantId, WarehouseId};
use std::collections::HashMap;
use std::time::Duration;

pub(crate) fn request(route: &'static str, status: u16, took: Duration) {
    counter!("inventory_api_requests_total", "route" => route, "status" => status_label(status))
        .increment(1);
    histogram!("inventory_api_request_seconds", "route" => route).record(took);
}

/// Statuses this service answers with, so that the label's values stay a closed set.
fn status_label(status: u16) -> &'static str {
    match status {
        200 => "200",
        201 => "201",
        304 => "304",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        409 => "409",
        413 => "413",
        415 => "415",
        422 => "422",
        429 => "429",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => "other",
    }
}

pub(crate) fn in_flight(requests: usize) {
    // A gauge is a float; up to 2^53 that is exact.
    gauge!("inventory_api_requests_in_flight")
        .set(f64::from(u32::try_from(requests).unwrap_or(u32::MAX)));
}

/// A large body has its share, or gives it back.
pub(crate) fn large_body(is_begin: bool) {
    let bodies = gauge!("inventory_api_large_bodies");
    if is_begin {
        bodies.increment(1.0);
    } else {
        bodies.decrement(1.0);
    }
}

/// SKUs were answered. Counted first, since a request names hundreds.
pub(crate) fn lines(lines: impl Iterator<Item = (Source, StockState)>) {
    let mut counts: HashMap<(Source, StockState), u64> = HashMap::new();
    for line in lines {
        *counts.entry(line).or_default() += 1;
    }
    for ((source, state), count) in counts {
        counter!(
            "inventory_api_lines_total",
            "source" => source.as_str(),
            "state" => state.as_str(),
        )
        .increment(count);
    }
}

/// A request to D365 was answered or failed.
pub(crate) fn live_answer(answer: Result<(), &LiveFailure>, took: Duration) {
    let outcome = answer.err().map_or("answered", LiveFailure::outcome);
    counter!("inventory_api_live_requests_total", "outcome" => outcome).increment(1);
    histogram!("inventory_api_live_request_seconds", "outcome" => outcome).record(took);
}

/// Live lines met the store.
pub(crate) fn written_through(stored: usize, refused: usize) {
    write_through("stored", stored);
    write_through("refused", refused);
}

/// Live lines were not stored.
pub(crate) fn write_through_failed(lines: usize) {
    write_through("failed", lines);
}

fn write_through(outcome: &'static str, lines: usize) {
    counter!("inventory_api_write_through_lines_total", "outcome" => outcome)
        .increment(lines as u64);
}

pub(crate) fn breaker_opened() {
    counter!("inventory_api_live_breaker_opened_total").increment(1);
}

/// Whether live calls to an environment pass.
pub(crate) fn breaker(environment: &str, is_closed: bool) {
    gauge!("inventory_api_live_breaker_closed", "environment" => environment.to_owned())
        .set(if is_closed { 1.0 } else { 0.0 });
}

/// A live line was compared with the cache.
pub(crate) fn drift(tenant: &TenantId, warehouse: &WarehouseId, outcome: &'static str) {
    counter!(
        "inventory_api_drift_lines_total",
        "tenant" => tenant.to_string(),
        "warehouse" => warehouse.to_string(),
        "outcome" => outcome,
    )
    .increment(1);
}

pub(crate) fn hold(outcome: &'static str) {
    counter!("inventory_api_holds_total", "outcome" => outcome).increment(1);
}

/// Counts of asked SKUs were dropped.
pub(crate) fn asked_not_told(skus: usize) {
    counter!("inventory_api_asked_skus_dropped_total").increment(skus as u64);
}

pub(crate) fn feed(tenant: &TenantId, warehouse: &WarehouseId, feed: &Feed) {
    let labels = [
        ("tenant", tenant.to_string()),
        ("warehouse", warehouse.to_string()),
    ];
    if let Some(age) = feed.age {
        gauge!("inventory_api_feed_age_seconds", &labels).set(age.as_secs_f64());
    }
    gauge!("inventory_api_feed_overdue", &labels).set(if feed.is_overdue { 1.0 } else { 0.0 });
}

/// Published tenants that are not usable.
pub(crate) fn refused_published_tenants(count: usize) {
    gauge!("inventory_api_published_tenants_refused")
        .set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

//! Series of the worker, one function each.

use metrics::{counter, gauge, histogram};
use shared::stock::{SnapshotState, TenantId, WarehouseId};
use std::time::Duration;

/// `prefetch_cycles_total{tenant, warehouse, outcome}`: cycles by what they turned out to be.
pub(crate) fn cycle_ended(tenant: &TenantId, warehouse: &WarehouseId, state: SnapshotState) {
    counter!("prefetch_cycles_total", "tenant" => tenant.to_string(),
        "warehouse" => warehouse.to_string(), "outcome" => state.as_str())
    .increment(1);
}

/// `prefetch_cycle_seconds{tenant, warehouse}`: how long cycles take.
pub(crate) fn cycle_took(tenant: &TenantId, warehouse: &WarehouseId, time: Duration) {
    histogram!("prefetch_cycle_seconds", "tenant" => tenant.to_string(),
        "warehouse" => warehouse.to_string())
    .record(time.as_secs_f64());
}

/// `prefetch_rows_total{tenant}`: rows read from D365.
pub(crate) fn rows_read(tenant: &TenantId, rows: u64) {
    counter!("prefetch_rows_total", "tenant" => tenant.to_string()).increment(rows);
}

/// `prefetch_unmapped_rows_total{tenant, warehouse}`: rows that belong to no SKU.
pub(crate) fn unmapped(tenant: &TenantId, warehouse: &WarehouseId, rows: u64) {
    if rows > 0 {
        counter!("prefetch_unmapped_rows_total", "tenant" => tenant.to_string(),
            "warehouse" => warehouse.to_string())
        .increment(rows);
    }
}

/// `prefetch_page_failures_total{tenant}`: pages that had to be read again or were given up.
pub(crate) fn page_failed(tenant: &TenantId) {
    counter!("prefetch_page_failures_total", "tenant" => tenant.to_string()).increment(1);
}

/// `prefetch_parts_resumed_total{tenant}`: parts read on from where another reading had come to.
pub(crate) fn part_resumed(tenant: &TenantId) {
    counter!("prefetch_parts_resumed_total", "tenant" => tenant.to_string()).increment(1);
}

/// `prefetch_leases_lost_total{tenant}`: parts given up because another worker has them.
pub(crate) fn lease_lost(tenant: &TenantId) {
    counter!("prefetch_leases_lost_total", "tenant" => tenant.to_string()).increment(1);
}

/// `prefetch_demand_calls_total{tenant}`, `prefetch_demand_skus{tenant, what}`: what the last pass
/// found old, and what the budget left out of it.
pub(crate) fn demand_pass(tenant: &TenantId, due: usize, read: usize, calls: u32) {
    let tenant = || tenant.to_string();
    counter!("prefetch_demand_calls_total", "tenant" => tenant()).increment(calls.into());
    let skus = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    gauge!("prefetch_demand_skus", "tenant" => tenant(), "what" => "old").set(skus(due));
    let left_out = due.saturating_sub(read);
    gauge!("prefetch_demand_skus", "tenant" => tenant(), "what" => "left_out").set(skus(left_out));
}

/// `prefetch_asked_age_seconds{tenant, quantile}`: how old what is asked for most was when a pass
/// looked at it.
pub(crate) fn asked_ages(tenant: &TenantId, mut ages: Vec<Duration>) {
    ages.sort_unstable();
    for (quantile, of_hundred) in [("0.5", 50), ("0.99", 99)] {
        if let Some(age) = ages.get(ages.len() * of_hundred / 100) {
            gauge!("prefetch_asked_age_seconds", "tenant" => tenant.to_string(),
                "quantile" => quantile)
            .set(age.as_secs_f64());
        }
    }
}

/// `prefetch_snapshot_age_seconds{tenant, warehouse}`: age of the last complete snapshot; before the
/// first, how long it has been wanted.
pub(crate) fn snapshot_age(tenant: &TenantId, warehouse: &WarehouseId, age: Duration) {
    gauge!("prefetch_snapshot_age_seconds", "tenant" => tenant.to_string(),
        "warehouse" => warehouse.to_string())
    .set(age.as_secs_f64());
}

/// `prefetch_events_total{outcome}`: events of D365, by what became of them.
pub(crate) fn event(outcome: &'static str) {
    counter!("prefetch_events_total", "outcome" => outcome).increment(1);
}

/// `prefetch_refreshes_total{kind, outcome}`: refreshes asked for.
pub(crate) fn refresh(kind: &'static str, outcome: &'static str) {
    counter!("prefetch_refreshes_total", "kind" => kind, "outcome" => outcome).increment(1);
}

//! How far the cache would have been off: every live answer is compared with what stood in the cache
//! before it.
//!
//! Compared is what can be sold: negative stock counts as none, so does proved absence. Where the
//! cache had no proof, or something newer, nothing is compared. Counts are kept in the process for
//! five seconds and then added to the day's hash in Redis, where all replicas meet.

pub(crate) mod bands;
pub(crate) mod handler;

use crate::live::live_result::{LiveLine, LiveResult};
use crate::metrics;
use crate::stock::evidence;
use bands::{AGES, QUANTITIES, band_of, names};
use shared::redis_store::{DriftCounts, Reading, StockStore};
use shared::stock::{
    AsOf, LineContent, LineValue, Quantity, Sku, StockState, TenantId, WarehouseId,
    clamp_to_sellable,
};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long counts stay in the process.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// Days and warehouses a process holds between two flushes.
const MOST_TALLIES: usize = 10_000;

/// Whose counts, of which day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    tenant: TenantId,
    warehouse: WarehouseId,
    day: String,
}

/// Compares and counts.
#[derive(Debug, Default)]
pub(crate) struct DriftMeter {
    tallies: Mutex<HashMap<Place, DriftCounts>>,
}

/// The day of an instant, UTC.
pub(crate) fn day_of(instant: AsOf) -> String {
    let mut text = instant.to_string();
    text.truncate("2026-11-23".len());
    text
}

impl DriftMeter {
    /// Compares live answers with what the cache held beside them: SKU by SKU, each with all
    /// warehouses.
    pub(crate) fn compare(
        &self,
        tenant: &TenantId,
        skus: &[Sku],
        warehouses: &[WarehouseId],
        found: &LiveResult,
        cached: &Reading,
        line_ttl: Duration,
    ) {
        let Some(now) = found.lines.iter().find_map(as_of) else {
            return;
        };
        let cached = evidence::of_reading(cached, skus, now, line_ttl);
        let mut tallies = self.tallies();
        for (at, (line, cached)) in found.lines.iter().zip(&cached).enumerate() {
            let LiveLine::Line(live) = line else {
                continue;
            };
            let Some(warehouse) = warehouses.get(at % warehouses.len().max(1)) else {
                continue;
            };
            let place = Place {
                tenant: tenant.clone(),
                warehouse: warehouse.clone(),
                day: day_of(live.as_of),
            };
            if tallies.len() >= MOST_TALLIES && !tallies.contains_key(&place) {
                continue;
            }
            let tally = tallies.entry(place).or_default();
            let outcome = match (cached.judged.state, cached.judged.as_of) {
                (StockState::Unknown, _) | (_, None) => {
                    add(tally, names::UNKNOWN, 1);
                    "unknown"
                }
                (_, Some(cached_as_of)) if cached_as_of >= live.as_of => continue,
                (_, Some(cached_as_of)) => {
                    let quantities = cached.judged.quantities;
                    let promised =
                        quantities.map_or(Quantity::ZERO, |quantities| quantities.available);
                    let age = cached_as_of.age_at(live.as_of);
                    note(tally, clamp_to_sellable(promised), sellable(live), age)
                }
            };
            metrics::drift(tenant, warehouse, outcome);
        }
    }

    /// Adds what was counted to Redis now and then, until cancelled, and once more then.
    pub(crate) async fn keep_flushing(&self, store: &StockStore, stop: CancellationToken) {
        loop {
            let stopped = tokio::time::timeout(FLUSH_EVERY, stop.cancelled())
                .await
                .is_ok();
            let tallies = std::mem::take(&mut *self.tallies());
            for (place, counts) in tallies {
                let Place {
                    tenant,
                    warehouse,
                    day,
                } = &place;
                if let Err(error) = store.add_drift(tenant, day, warehouse, &counts).await {
                    tracing::debug!(tenant.id = %tenant, %error, "drift could not be noted");
                }
            }
            if stopped {
                return;
            }
        }
    }

    fn tallies(&self) -> MutexGuard<'_, HashMap<Place, DriftCounts>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn as_of(line: &LiveLine) -> Option<AsOf> {
    match line {
        LiveLine::Line(line) => Some(line.as_of),
        LiveLine::Unproved | LiveLine::Failed => None,
    }
}

fn sellable(line: &LineValue) -> Quantity {
    match line.content {
        LineContent::Quantities(quantities) => clamp_to_sellable(quantities.available),
        LineContent::Absent => Quantity::ZERO,
    }
}

fn note(
    tally: &mut DriftCounts,
    promised: Quantity,
    there_was: Quantity,
    age: Duration,
) -> &'static str {
    let age = AGES.name_of(band_of(
        AGES.bounds,
        i64::try_from(age.as_secs()).unwrap_or(i64::MAX),
    ));
    add(tally, names::COMPARED, 1);
    add(tally, &format!("{age}:{}", names::COMPARED), 1);
    let Ok(difference) = promised.checked_sub(there_was) else {
        return "same";
    };
    if difference.is_positive() {
        add(tally, names::OVERSOLD, 1);
        add(tally, names::OVERSOLD_MILLIONTHS, difference.millionths());
        add(tally, &format!("{age}:{}", names::OVERSOLD), 1);
        let band = band_of(QUANTITIES.bounds, difference.whole_units_up());
        add(tally, &QUANTITIES.name_of(band), 1);
        "oversold"
    } else if difference.is_negative() {
        add(tally, names::UNDERSOLD, 1);
        let amount = difference.millionths().saturating_neg();
        add(tally, names::UNDERSOLD_MILLIONTHS, amount);
        add(tally, &format!("{age}:{}", names::UNDERSOLD), 1);
        "undersold"
    } else {
        "same"
    }
}

fn add(tally: &mut DriftCounts, name: &str, count: i64) {
    if let Some(sum) = tally.get_mut(name) {
        *sum = sum.saturating_add(count);
    } else {
        tally.insert(name.to_owned(), count);
    }
}

#[cfg(test)]
mod tests;

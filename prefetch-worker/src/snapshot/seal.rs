//! The end of a cycle: judged, recorded, logged.

use super::part_facts::PartFacts;
use super::verdict::{Rules, as_partial, end_of};
use crate::metrics;
use crate::ops::terminal::quoted;
use crate::worker::{TenantFeed, Worker};
use shared::process::clock::Clock as _;
use shared::redis_store::{CycleEnd, Doubt, OpenCycle, Sealed, StoreError};
use shared::stock::{Generation, TenantId, WarehouseId};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Judges the facts of all parts together and records the end.
pub(super) async fn seal(
    worker: &Worker,
    feed: &TenantFeed,
    warehouse: &WarehouseId,
    cycle: &OpenCycle,
    recent_rows: Vec<u64>,
    whole: PartFacts,
) -> Result<CycleEnd, StoreError> {
    metrics::unmapped(feed.id(), warehouse, whole.unmapped_rows);
    if whole.unmapped_rows > 0 {
        tracing::info!(tenant.id = %feed.id(), warehouse.id = %warehouse,
            rows = whole.unmapped_rows,
            "rows belong to no SKU: their dimensions were never released as a variant, or no SKU can be called like their item");
    }
    let now = worker.clock().now();
    let since_start = cycle.started.age_at(now);
    let chance = RandomState::new().hash_one(cycle.generation.0) % 1_000;
    let rules = Rules {
        recent_rows,
        guard_percent: worker.settings.guard_percent,
        interval: feed.settings.refresh_interval,
        part_time: worker.settings.shard_time,
        chance: u32::try_from(chance).unwrap_or(0),
    };
    let mut end = end_of(cycle, &whole, now, &rules);
    if let Err(error) = record(worker, feed, warehouse, &end).await {
        if error != StoreError::Replaced {
            return Err(error);
        }
        end.sealed = as_partial(&error);
        record(worker, feed, warehouse, &end).await?;
    }
    metrics::cycle_ended(feed.id(), warehouse, end.sealed.state());
    metrics::cycle_took(feed.id(), warehouse, since_start);
    log_end(feed, warehouse, &end, since_start);
    Ok(end)
}

async fn record(
    worker: &Worker,
    feed: &TenantFeed,
    warehouse: &WarehouseId,
    end: &CycleEnd,
) -> Result<(), StoreError> {
    let mut pause = FIRST_PAUSE;
    for attempt in 1.. {
        match worker.store.seal(feed.id(), warehouse, end).await {
            Ok(true) => return Ok(()),
            Ok(false) => {
                tracing::warn!(tenant.id = %feed.id(), warehouse.id = %warehouse,
                    cycle.generation = %end.generation, "a later cycle has begun; its end counts");
                return Ok(());
            }
            Err(error) if attempt < TRIES && error.may_be_tried_again() => {
                tracing::warn!(tenant.id = %feed.id(), warehouse.id = %warehouse, %error,
                    "the end of the cycle is recorded again");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn log_end(feed: &TenantFeed, warehouse: &WarehouseId, end: &CycleEnd, took: Duration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match &end.sealed {
        Sealed::Complete { .. } => {
            tracing::info!(tenant.id = %feed.id(), warehouse.id = %warehouse,
            cycle.generation = %end.generation, rows = end.rows, pages = end.pages, duration_ms,
            "the snapshot is complete");
        }
        Sealed::Partial { reason } => tracing::warn!(tenant.id = %feed.id(),
            warehouse.id = %warehouse, cycle.generation = %end.generation, rows = end.rows,
            pages = end.pages, duration_ms, reason,
            "the cycle broke off; what it read is kept, nothing becomes absent by it"),
        Sealed::Quarantined { reason, doubt } => {
            let accept = accepting(feed.id(), warehouse, end.generation, *doubt);
            tracing::error!(tenant.id = %feed.id(),
            warehouse.id = %warehouse, cycle.generation = %end.generation, rows = end.rows,
            pages = end.pages, duration_ms, reason, accept,
            "the cycle ended and is not believed; what it read is kept, nothing becomes absent by it");
        }
    }
}

/// The command that takes the cycle for a snapshot, to be given with the worker's own settings; none
/// for what must not be believed.
fn accepting(
    tenant: &TenantId,
    warehouse: &WarehouseId,
    generation: Generation,
    doubt: Doubt,
) -> Option<String> {
    let even_if_empty = match doubt {
        Doubt::ForeignRows => return None,
        Doubt::Empty => " --even-if-empty",
        Doubt::BelowUsual => "",
    };
    Some(format!(
        "prefetch-worker accept {} --tenant {tenant} --generation {generation} --by \"$USER\"{even_if_empty}",
        quoted(warehouse.as_str()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_accepts_a_cycle_is_logged_where_it_may_be_believed() {
        let command_for = |doubt| {
            let tenant = TenantId::parse("contoso").unwrap();
            let warehouse = WarehouseId::parse("O'24").unwrap();
            accepting(&tenant, &warehouse, Generation(482), doubt)
        };
        let command =
            r#"prefetch-worker accept 'O'\''24' --tenant contoso --generation 482 --by "$USER""#;
        assert_eq!(command_for(Doubt::BelowUsual).as_deref(), Some(command));
        let empty = format!("{command} --even-if-empty");
        assert_eq!(command_for(Doubt::Empty), Some(empty));
        assert_eq!(command_for(Doubt::ForeignRows), None);
    }
}

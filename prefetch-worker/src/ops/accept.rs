//! `accept` and `history`: what an operator does about a quarantined snapshot.

use crate::error::WorkerError;
use crate::ops::terminal::shown;
use crate::worker::{TenantFeed, Worker};
use shared::process::clock::Clock as _;
use shared::process::shutdown::Shutdown;
use shared::redis_store::Acceptance;
use shared::settings::Settings;
use shared::stock::WarehouseId;
use std::io::Write as _;
use std::process::ExitCode;

/// Takes an operator's word that a quarantined cycle is right.
pub(crate) async fn accept(
    settings: &Settings,
    tenant: Option<&str>,
    warehouse: &str,
    acceptance: Acceptance,
) -> Result<ExitCode, WorkerError> {
    let worker = Worker::build(settings, Shutdown::new())?;
    worker.clock().sample().await?;
    let (feed, warehouse) = place(&worker, tenant, warehouse)?;
    let now = worker.clock().now();
    let own = std::slice::from_ref(warehouse);
    for record in worker.store.snapshots(feed.id(), own).await? {
        if record
            .standing
            .is_of_other_settings(Some(feed.fingerprint()))
        {
            let why = "warehouse was read with other settings than these";
            writeln!(
                std::io::stderr(),
                "prefetch-worker: not accepted: the {why}"
            )?;
            return Ok(ExitCode::FAILURE);
        }
    }
    let accepted = worker
        .store
        .accept(feed.id(), warehouse, &acceptance, now)
        .await?;
    match accepted {
        Ok(generation) => {
            writeln!(
                std::io::stdout(),
                "cycle {generation} of warehouse {warehouse} is accepted as a snapshot; lines it did not show are absent once another one has missed them too"
            )?;
            Ok(ExitCode::SUCCESS)
        }
        Err(why) => {
            let why = shown(&why.to_string());
            writeln!(std::io::stderr(), "prefetch-worker: not accepted: {why}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Prints a warehouse's last cycles, newest first, one JSON document a line.
pub(crate) async fn history(
    settings: &Settings,
    tenant: Option<&str>,
    warehouse: &str,
) -> Result<ExitCode, WorkerError> {
    let worker = Worker::build(settings, Shutdown::new())?;
    let (feed, warehouse) = place(&worker, tenant, warehouse)?;
    let mut out = std::io::stdout().lock();
    for entry in worker.store.history(feed.id(), warehouse).await? {
        writeln!(out, "{}", shown(&entry))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn place<'w>(
    worker: &'w Worker,
    tenant: Option<&str>,
    warehouse: &str,
) -> Result<(&'w TenantFeed, &'w WarehouseId), WorkerError> {
    let feed = worker.chosen_feed(tenant)?;
    let known = &feed.settings.warehouses;
    let warehouse = known
        .iter()
        .find(|known| known.is_named_by(warehouse))
        .ok_or_else(|| WorkerError::UnknownWarehouse {
            warehouse: warehouse.to_owned(),
            tenant: feed.id().to_string(),
        })?;
    Ok((feed, warehouse))
}

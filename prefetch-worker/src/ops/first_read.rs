//! One line a minute while a tenant is read for the first time: it may take an hour.

use crate::ops::status;
use crate::worker::Worker;
use std::time::Duration;

const EVERY: Duration = Duration::from_mins(1);

/// Tells until every warehouse of the tenant has a complete snapshot.
pub(crate) async fn keep_telling(worker: Worker, tenant: usize) {
    let stop = worker.shutdown.soft().clone();
    let feeds = worker.feeds.clone();
    let Some(feed) = feeds.get(tenant) else {
        return;
    };
    let mut rows_before = 0;
    while tokio::time::timeout(EVERY, stop.cancelled()).await.is_err() {
        let first = match status::first_read(&worker, feed).await {
            Ok(Some(first)) => first,
            Ok(None) => return,
            // The reading tasks log it.
            Err(_away) => continue,
        };
        tracing::info!(
            tenant.id = %feed.id(),
            rows = first.rows,
            rows_per_second = first.rows.saturating_sub(rows_before) / EVERY.as_secs(),
            warehouses_complete = first.complete,
            warehouses = feed.settings.warehouses.len(),
            "the tenant is being read for the first time"
        );
        rows_before = first.rows;
    }
}

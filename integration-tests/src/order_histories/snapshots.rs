//! Snapshots of the warehouse, asked of the worker whenever a history wants one.

use super::house::{House, HouseError, WAREHOUSE};
use super::tally::Tally;
use crate::eventually::eventually_within;
use d365_simulator::UtcMillis;
use serde_json::json;
use std::cell::Cell;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Longest time from the question to the end of the snapshot, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_mins(15);
/// What the worker asked too often is asked again after.
const ASK_AGAIN_MS: i64 = 5_000;

/// Where histories wait for snapshots.
#[derive(Debug)]
pub(super) struct Snapshots {
    wanted: Notify,
    /// Start of the latest complete snapshot, in ms since 1970.
    latest: watch::Sender<i64>,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            wanted: Notify::new(),
            latest: watch::Sender::new(0),
        }
    }
}

impl Snapshots {
    /// Waits for a complete snapshot that began at this instant or later.
    pub(super) async fn since(&self, instant_ms: i64) -> Result<(), HouseError> {
        let mut latest = self.latest.subscribe();
        self.wanted.notify_one();
        latest.wait_for(|started| *started >= instant_ms).await?;
        Ok(())
    }

    /// Has snapshots made as long as they are wanted, with a rest in between; never ends.
    pub(super) async fn make(
        &self,
        house: &House,
        rest: Duration,
        tally: &Tally,
    ) -> Result<(), HouseError> {
        loop {
            self.wanted.notified().await;
            let started = take(house, house.now()).await?;
            tally.snapshots.add(1);
            self.latest.send_replace(started);
            tokio::time::sleep(rest).await;
            // Whoever came while it was made waits for the next.
            if self.latest.receiver_count() > 0 {
                self.wanted.notify_one();
            }
        }
    }
}

/// Has one made that begins at this instant or later; gives back when it did.
pub(super) async fn take(house: &House, since_ms: i64) -> Result<i64, HouseError> {
    let asked = Cell::new(0);
    let wanted = json!({ "warehouseId": WAREHOUSE });
    let started = eventually_within(PATIENCE, "a complete snapshot", async || {
        let now = house.now();
        if now - asked.get() > ASK_AGAIN_MS {
            asked.set(now);
            let path = "/inventoryPrefetcher/v1/refreshes";
            house.prefetcher.post(path, &wanted).await.ok()?;
        }
        let feed = format!("inv:contoso:snapshot:{WAREHOUSE}");
        let watermark = house.hash_field(&feed, "watermark").await.ok()?;
        let started = UtcMillis::parse(&watermark)?.unix_millis();
        (started >= since_ms).then_some(started)
    });
    Ok(started.await?)
}

//! How far the cache was from live answers: counts by day and warehouse, added up by all replicas.

use super::error::StoreError;
use super::store::StockStore;
use crate::stock::{TenantId, WarehouseId};
use std::collections::HashMap;

/// A day's counts are kept this long.
const KEPT_SECONDS: u64 = 8 * 24 * 60 * 60;

/// Counts of one warehouse, by their names in Redis.
pub type DriftCounts = HashMap<String, i64>;

impl StockStore {
    /// Adds counts to a day (`2026-11-23`, UTC) of a warehouse.
    pub async fn add_drift(
        &self,
        tenant: &TenantId,
        day: &str,
        warehouse: &WarehouseId,
        counts: &DriftCounts,
    ) -> Result<(), StoreError> {
        let key = self.keys().drift(tenant, day, warehouse);
        let mut pipeline = redis::pipe();
        for (name, count) in counts {
            pipeline
                .cmd("HINCRBY")
                .arg(&key)
                .arg(name)
                .arg(*count)
                .ignore();
        }
        pipeline.cmd("EXPIRE").arg(&key).arg(KEPT_SECONDS).ignore();
        self.send_once(&pipeline).await
    }

    /// The counts of each warehouse, added up over these days.
    pub async fn drift(
        &self,
        tenant: &TenantId,
        days: &[String],
        warehouses: &[WarehouseId],
    ) -> Result<Vec<DriftCounts>, StoreError> {
        let mut pipeline = redis::pipe();
        for warehouse in warehouses {
            for day in days {
                let key = self.keys().drift(tenant, day, warehouse);
                pipeline.cmd("HGETALL").arg(key);
            }
        }
        let answers: Vec<HashMap<String, String>> = self.ask_all(&pipeline).await?;
        if answers.len() != warehouses.len() * days.len() {
            return Err(StoreError::Misbehaved { what: "drift" });
        }
        let mut answers = answers.into_iter();
        Ok(warehouses
            .iter()
            .map(|_| {
                let mut sums = DriftCounts::new();
                for (name, count) in answers.by_ref().take(days.len()).flatten() {
                    // What is no number was not written by us and counts for nothing.
                    let count: i64 = count.parse().unwrap_or(0);
                    let sum = sums.entry(name).or_default();
                    *sum = sum.saturating_add(count);
                }
                sums
            })
            .collect())
    }
}

//! Names that D365's database may take for others, noted in their feeds' records.

use super::error::StoreError;
use super::store::StockStore;
use crate::stock::{AsOf, Origin, StockLine, TenantId, WarehouseId};
use std::collections::BTreeMap;

impl StockStore {
    /// Notes which feeds have lines under such names, before the lines are written. Browsing reads the
    /// record with each question, and proves no absence beside such a name.
    pub(super) async fn note_doubtful_names(
        &self,
        tenant: &TenantId,
        lines: &[StockLine],
    ) -> Result<(), StoreError> {
        let mut latest: BTreeMap<&WarehouseId, AsOf> = BTreeMap::new();
        for line in lines {
            // What is read live stands in no snapshot yet, so no snapshot vouches for it.
            if line.sku.is_doubtful() && line.value.origin != Origin::Live {
                let as_of = latest.entry(&line.warehouse).or_insert(line.value.as_of);
                *as_of = line.value.as_of.max(*as_of);
            }
        }
        if latest.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::Pipeline::with_capacity(latest.len());
        for (warehouse, as_of) in latest {
            let key = self.keys().snapshot(tenant, warehouse);
            let set = pipeline.cmd("HSET").arg(key);
            set.arg("doubtful_names").arg(as_of.to_string()).ignore();
        }
        self.ask_all(&pipeline).await
    }
}

//! When the stored numbers of some SKUs were read: what a confirmation is held against.

use shared::redis_store::{Reading, StockStore, StoreError, StoredLine};
use shared::stock::{AsOf, Hold, Sku, TenantId, WarehouseId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The stored lines of some SKUs in the warehouses of some holds.
pub(super) struct StoredStamps {
    warehouses: Arc<[WarehouseId]>,
    reading: Reading,
}

impl StoredStamps {
    /// Reads them, in one round trip; in none if there are no holds.
    pub(super) async fn read<'a>(
        store: &StockStore,
        tenant: &TenantId,
        skus: &[Sku],
        holds: impl Iterator<Item = &'a Hold>,
    ) -> Result<Self, StoreError> {
        let places: BTreeSet<&WarehouseId> = holds.map(|hold| &hold.warehouse).collect();
        let warehouses: Arc<[WarehouseId]> = places.into_iter().cloned().collect();
        let reading = if warehouses.is_empty() {
            Reading::default()
        } else {
            let reader = store.reader();
            reader.read_many(tenant, &warehouses, skus).await?
        };
        Ok(Self {
            warehouses,
            reading,
        })
    }

    /// As-of of the stored line of the SKU at this place in the list; none without a readable line.
    pub(super) fn as_of(&self, sku: usize, warehouse: &WarehouseId) -> Option<AsOf> {
        let at = self
            .warehouses
            .iter()
            .position(|known| known == warehouse)?;
        match self.reading.of_sku(sku).get(at)? {
            StoredLine::Value(line) => Some(line.as_of),
            StoredLine::Missing | StoredLine::Unreadable => None,
        }
    }
}

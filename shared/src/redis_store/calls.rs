//! Calls about one tenant as values; each subject's file adds its own.

use super::keys::Keys;
use super::script::StoreCall;
use super::store::StockStore;
use crate::stock::TenantId;

#[derive(Debug, Clone, Copy)]
pub struct Calls<'a> {
    pub(super) keys: &'a Keys,
    pub(super) tenant: &'a TenantId,
}

impl<'a> Calls<'a> {
    pub fn new(keys: &'a Keys, tenant: &'a TenantId) -> Self {
        Self { keys, tenant }
    }

    /// A call about an entry of the schedule.
    pub(super) fn on_shard<T>(&self, call: StoreCall<T>, shard: &str) -> StoreCall<T> {
        call.key(self.keys.due(self.tenant))
            .key(self.keys.shard(self.tenant, shard))
            .argument(shard)
    }
}

impl StockStore {
    pub fn calls<'a>(&'a self, tenant: &'a TenantId) -> Calls<'a> {
        Calls::new(self.keys(), tenant)
    }
}

//! What every request may use.

use crate::http::admission::Admission;
use crate::orders::sku_locks::SkuLocks;
use crate::stock::feed::Feed;
use crate::stock::popularity::AskedRecorder;
use crate::tenants::directory::{Directory, Tenant};
use arc_swap::{ArcSwap, Guard};
use shared::process::clock::Clock;
use shared::redis_store::{StockStore, StoreError};
use shared::settings::ApiSettings;
use shared::stock::{FeedStanding, WarehouseId};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The process' handles; one, shared by all threads.
#[derive(Debug)]
pub(crate) struct AppState {
    pub settings: ApiSettings,
    /// The cache, for writing and for records. Browsing uses the thread's own reader.
    pub store: StockStore,
    pub clock: Arc<dyn Clock>,
    /// Who can be asked about; replaced as a whole when a prefetcher publishes something else.
    pub directory: ArcSwap<Directory>,
    pub asked: AskedRecorder,
    /// Orders for the same SKU go one after the other.
    pub sku_locks: SkuLocks,
    pub admission: Arc<Admission>,
    /// Cancelled once the process takes nothing new.
    pub stopping: CancellationToken,
}

impl AppState {
    pub(crate) fn directory(&self) -> Guard<Arc<Directory>> {
        self.directory.load()
    }

    /// Reads how a tenant's feeds of these warehouses stand.
    pub(crate) async fn read_feeds(
        &self,
        tenant: &Tenant,
        warehouses: &[WarehouseId],
    ) -> Result<Vec<Feed>, StoreError> {
        let records = self.store.snapshots(&tenant.id, warehouses).await?;
        Ok(self.feeds(tenant, records.iter().map(|record| record.standing)))
    }

    /// How a tenant's feeds stand, now.
    pub(crate) fn feeds(
        &self,
        tenant: &Tenant,
        feeds: impl IntoIterator<Item = FeedStanding>,
    ) -> Vec<Feed> {
        let now = self.clock.now();
        let stale_after = tenant.stale_after();
        // Where no worker ever noted that a feed is wanted, this process has wanted it since it knows
        // of it.
        let wanted = tenant.wanted.get().copied();
        let wanted = wanted.or_else(|| {
            let is_known = self.clock.is_shared();
            is_known.then(|| *tenant.wanted.get_or_init(|| now))
        });
        feeds
            .into_iter()
            .map(|standing| {
                let mut standing = standing.under(tenant.fingerprint);
                standing.wanted = standing.wanted.or(wanted);
                let is_foreign = standing.is_of_other_settings(tenant.fingerprint);
                Feed::of(&standing, now, stale_after, is_foreign)
            })
            .collect()
    }
}

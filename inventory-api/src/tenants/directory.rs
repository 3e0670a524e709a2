//! Who can be asked about: tenants and channels of the settings, and tenants a prefetcher published.
//!
//! A tenant of the settings always wins over a published one of the same id. What comes from Redis
//! is checked like what comes from a file, and is bounded.

use crate::live::coalescer::Coalescer;
use shared::settings::ChannelSettings;
use shared::stock::{
    AsOf, ChannelId, ChannelPolicy, Fingerprint, LegalEntity, TenantId, WarehouseId,
};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A feed older than this many refresh intervals is stale.
const STALE_AFTER_INTERVALS: u32 = 2;

/// One D365 environment and legal entity, as the API needs it.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub id: TenantId,
    pub legal_entity: LegalEntity,
    /// The warehouses that count.
    pub warehouses: Vec<WarehouseId>,
    /// Time from one snapshot's start to the next.
    pub refresh_interval: Duration,
    /// How D365 is asked live; none without credentials.
    pub live: Option<Coalescer>,
    /// Of the settings its lines are read with; none where nobody published them.
    pub fingerprint: Option<Fingerprint>,
    /// Since when this process wants its feeds.
    pub wanted: OnceLock<AsOf>,
}

impl Tenant {
    /// The age from which its feeds, and whatever came from them, are stale.
    pub(crate) fn stale_after(&self) -> Duration {
        self.refresh_interval.saturating_mul(STALE_AFTER_INTERVALS)
    }
}

/// One sales channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub tenant: TenantId,
    /// Warehouses of a question that names none.
    pub warehouses: Vec<WarehouseId>,
    pub policy: Arc<ChannelPolicy>,
}

/// Everybody known at one moment; replaced as a whole.
#[derive(Debug)]
pub(crate) struct Directory {
    tenants: Vec<Arc<Tenant>>,
    channels: Arc<HashMap<ChannelId, Channel>>,
    /// The rules of a question that names no channel.
    pub default_policy: Arc<ChannelPolicy>,
    /// Whether the published tenants were read at least once, so that a name that is not here is
    /// known to be nobody's.
    pub knows_published: bool,
}

impl Directory {
    /// The tenants of the settings alone.
    pub(crate) fn of_settings(tenants: Vec<Arc<Tenant>>, channels: &[ChannelSettings]) -> Self {
        let channels = channels
            .iter()
            .map(|channel| {
                let known = Channel {
                    tenant: channel.tenant.clone(),
                    warehouses: channel.warehouses.clone(),
                    policy: Arc::new(channel.policy()),
                };
                (channel.id.clone(), known)
            })
            .collect();
        Self {
            tenants,
            channels: Arc::new(channels),
            default_policy: Arc::default(),
            knows_published: false,
        }
    }

    /// The same with these tenants instead, published ones included.
    pub(crate) fn with_published(&self, tenants: Vec<Arc<Tenant>>) -> Self {
        Self {
            tenants,
            channels: Arc::clone(&self.channels),
            default_policy: Arc::clone(&self.default_policy),
            knows_published: true,
        }
    }

    pub(crate) fn tenants(&self) -> &[Arc<Tenant>] {
        &self.tenants
    }

    pub(crate) fn tenant(&self, id: &str) -> Option<&Arc<Tenant>> {
        self.tenants.iter().find(|tenant| tenant.id.as_str() == id)
    }

    /// Tenants of this legal entity, whatever its case.
    pub(crate) fn tenants_of_company(&self, company: &str) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants
            .iter()
            .filter(move |tenant| tenant.legal_entity.is_named_by(company))
    }

    /// The channels that sell a tenant's stock.
    pub(crate) fn channels_of(&self, tenant: &TenantId) -> impl Iterator<Item = &ChannelId> {
        let channels = self.channels.iter();
        let of_tenant = channels.filter(move |(_, channel)| channel.tenant == *tenant);
        of_tenant.map(|(id, _)| id)
    }

    /// The warehouses of a tenant that are asked about: its own, and those of its channels.
    pub(crate) fn warehouses_of(&self, tenant: &Tenant) -> Vec<WarehouseId> {
        let mut warehouses = tenant.warehouses.clone();
        let channels = self.channels.values();
        let more = channels
            .filter(|channel| channel.tenant == tenant.id)
            .flat_map(|channel| &channel.warehouses);
        let more: BTreeSet<&WarehouseId> =
            more.filter(|id| !tenant.warehouses.contains(id)).collect();
        warehouses.extend(more.into_iter().cloned());
        warehouses
    }

    pub(crate) fn channel(&self, id: &str) -> Option<&Channel> {
        let id = ChannelId::parse(id).ok()?;
        self.channels.get(&id)
    }
}

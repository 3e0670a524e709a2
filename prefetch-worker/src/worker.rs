//! What the parts of a worker share.

use crate::error::WorkerError;
use crate::refresh::variants::Variants;
use crate::scheduler::plan;
use crate::snapshot::progress::Progress;
use shared::d365::{D365Client, D365Error, OnHandSource, PageLimits, Purpose, ThrottleGate};
use shared::process::clock::Clock;
use shared::process::shutdown::Shutdown;
use shared::process::tasks::Tasks;
use shared::redis_store::{
    LookingThrottleGate, PartId, RedisClock, SharedThrottleGate, StockStore, StoreError,
};
use shared::settings::{Settings, TenantSettings, WorkerSettings};
use shared::stock::{Fingerprint, SkuMapper, SkuMapping, TenantId, WarehouseId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Longest time for one page.
const PAGE_TIMEOUT: Duration = Duration::from_mins(2);
/// Largest page body.
const PAGE_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Clone)]
pub struct Worker {
    /// This worker's id in Redis, unique among all that ever ran.
    pub id: Arc<str>,
    pub store: StockStore,
    pub feeds: Arc<[TenantFeed]>,
    pub settings: Arc<WorkerSettings>,
    pub tasks: Tasks,
    pub shutdown: Shutdown,
    /// Name of the machine, for people.
    pub(crate) host: Arc<str>,
    /// Parts being read right now, as `tenant/part`.
    reading: Arc<Mutex<Vec<String>>>,
    /// What this process has read, by `tenant/warehouse`.
    progress: Arc<Mutex<HashMap<String, Arc<Progress>>>>,
    pub(crate) rows: Arc<AtomicU64>,
}

/// One tenant and where its stock is read.
#[derive(Debug)]
pub struct TenantFeed {
    pub settings: TenantSettings,
    pub source: Arc<dyn OnHandSource>,
    variants: Variants,
    fingerprint: Fingerprint,
    /// Whether the tenant is read with other settings than these, by workers that started later.
    is_yielded: AtomicBool,
}

/// What a shard asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work<'a> {
    /// A warehouse whose cycle is to be opened, looked after or sealed.
    Warehouse(&'a WarehouseId),
    /// A part of a warehouse's cycle that is to be read.
    Part(&'a WarehouseId, PartId),
    /// What is asked for is to be read again.
    Demand,
}

impl TenantFeed {
    pub fn new(settings: TenantSettings, source: Arc<dyn OnHandSource>) -> Self {
        let variants = Variants::new(TenantSettings::VARIANTS_MAX_AGE);
        let fingerprint = settings.line_meaning().fingerprint();
        Self {
            settings,
            source,
            variants,
            fingerprint,
            is_yielded: AtomicBool::new(false),
        }
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether nothing of it is to be read by this worker now.
    pub(crate) fn is_yielded(&self) -> bool {
        self.is_yielded.load(Ordering::Relaxed)
    }

    /// Notes whether it is to be left to workers with other settings; says whether it was before.
    pub(crate) fn set_yielded(&self, does: bool) -> bool {
        self.is_yielded.swap(does, Ordering::Relaxed)
    }

    pub fn id(&self) -> &TenantId {
        &self.settings.id
    }

    /// What a shard asks for, if its warehouse is configured here.
    pub(crate) fn work_of(&self, shard: &str) -> Option<Work<'_>> {
        if let Some(warehouse) = self.warehouse(shard) {
            return Some(Work::Warehouse(warehouse));
        }
        if shard == plan::DEMAND_SHARD {
            return Some(Work::Demand);
        }
        let (warehouse, part) = PartId::of_shard(shard)?;
        Some(Work::Part(self.warehouse(warehouse)?, part))
    }

    pub(crate) fn warehouse(&self, id: &str) -> Option<&WarehouseId> {
        self.settings
            .warehouses
            .iter()
            .find(|warehouse| warehouse.is_named_by(id))
    }

    /// The released product variants, as far as they were read.
    pub(crate) fn variants(&self) -> &Variants {
        &self.variants
    }

    /// How this tenant's SKUs are made, with variants if that needs them.
    pub(crate) async fn mapper(&self, worker: &Worker) -> Result<SkuMapper, D365Error> {
        Ok(match &self.settings.sku_mapping {
            SkuMapping::ItemNumber => SkuMapper::ItemNumber,
            SkuMapping::Template(template) => SkuMapper::Template(template.clone()),
            SkuMapping::Variants => {
                let clock = worker.clock().as_ref();
                let index = self
                    .variants
                    .index(self.id(), self.source.as_ref(), clock)
                    .await?;
                SkuMapper::Variants(index)
            }
        })
    }
}

impl Worker {
    /// Builds a worker from settings, without talking to anybody.
    pub fn build(settings: &Settings, shutdown: Shutdown) -> Result<Self, WorkerError> {
        Self::with_gate(settings, shutdown, |gate| Arc::new(gate))
    }

    /// The same for a tool that asks D365 and changes nothing in Redis.
    pub(crate) fn build_read_only(settings: &Settings) -> Result<Self, WorkerError> {
        Self::with_gate(settings, Shutdown::new(), |gate| {
            Arc::new(LookingThrottleGate(gate))
        })
    }

    fn with_gate(
        settings: &Settings,
        shutdown: Shutdown,
        gate_of: fn(SharedThrottleGate) -> Arc<dyn ThrottleGate>,
    ) -> Result<Self, WorkerError> {
        if settings.tenants.is_empty() {
            return Err(WorkerError::NoTenant);
        }
        let store = StockStore::open(&settings.redis)?;
        let mut feeds = Vec::new();
        for tenant in &settings.tenants {
            let clock: Arc<dyn Clock> = Arc::clone(store.clock()) as Arc<dyn Clock>;
            let gate = gate_of(SharedThrottleGate::new(store.clone(), tenant.id.clone()));
            let limits = PageLimits {
                time: PAGE_TIMEOUT,
                bytes: PAGE_BYTES,
            };
            let client = D365Client::new(tenant, Purpose::Prefetch, clock, gate)
                .map_err(|cause| WorkerError::D365 {
                    tenant: tenant.id.to_string(),
                    cause,
                })?
                .with_page_limits(limits);
            feeds.push(TenantFeed::new(tenant.clone(), Arc::new(client)));
        }
        Ok(Self::with_feeds(
            settings.worker.clone(),
            store,
            feeds,
            shutdown,
        ))
    }

    pub fn with_feeds(
        settings: WorkerSettings,
        store: StockStore,
        feeds: Vec<TenantFeed>,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string().into(),
            store,
            feeds: feeds.into(),
            settings: Arc::new(settings),
            tasks: Tasks::new(),
            shutdown,
            host: std::fs::read_to_string("/proc/sys/kernel/hostname")
                .map_or_else(|_| "unknown".into(), |name| name.trim().into()),
            reading: Arc::default(),
            progress: Arc::default(),
            rows: Arc::default(),
        }
    }

    pub(crate) fn store_of(&self, feed: &TenantFeed) -> StockStore {
        self.store.under(Some(feed.fingerprint))
    }

    /// The clock all replicas share.
    pub fn clock(&self) -> &Arc<RedisClock> {
        self.store.clock()
    }

    /// The feed of the tenant of this name, or of the only one.
    pub(crate) fn chosen_feed(&self, tenant: Option<&str>) -> Result<&TenantFeed, WorkerError> {
        match (tenant, self.feeds.as_ref()) {
            (Some(id), feeds) => feeds
                .iter()
                .find(|feed| feed.id().as_str() == id)
                .ok_or_else(|| WorkerError::UnknownTenant(id.to_owned())),
            (None, [only]) => Ok(only),
            (None, _) => Err(WorkerError::WhichTenant),
        }
    }

    pub fn feed(&self, tenant: &TenantId) -> Option<&TenantFeed> {
        self.feeds.iter().find(|feed| feed.id() == tenant)
    }

    /// Renames what an earlier version named otherwise in Redis. What it cannot rename now the next
    /// call does: until then the API takes no missing line for a proof.
    pub(crate) async fn respell(&self, feed: &TenantFeed) {
        match self
            .store
            .respell(feed.id(), &feed.settings.warehouses)
            .await
        {
            Ok(0) => {}
            Ok(renamed) => tracing::info!(tenant.id = %feed.id(), renamed,
                "names of an earlier version were renamed in Redis"),
            Err(error) => tracing::warn!(tenant.id = %feed.id(), %error,
                "names of an earlier version could not be renamed in Redis; no absence is proved until they are"),
        }
    }

    /// Puts back what is missing from a tenant's schedule.
    pub(crate) async fn rebuild_schedule(&self, feed: &TenantFeed) -> Result<(), StoreError> {
        let mut shards = plan::shards_of(&feed.settings);
        if self.settings.demand_share > 0 {
            shards.push(plan::DEMAND_SHARD.to_owned());
        }
        let added = self.store.ensure_scheduled(feed.id(), &shards).await?;
        if added > 0 {
            tracing::info!(tenant.id = %feed.id(), shards = added, "shards were scheduled");
        }
        Ok(())
    }

    pub(crate) fn progress_of(&self, feed: &TenantFeed, warehouse: &WarehouseId) -> Arc<Progress> {
        let mut all = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(format!("{}/{warehouse}", feed.id())).or_default())
    }

    pub(crate) fn rows_read(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(crate) fn shards_read(&self) -> Vec<String> {
        self.reading
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn note_reading(&self, shard: &str, is_reading: bool) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if is_reading {
            reading.push(shard.to_owned());
        } else if let Some(at) = reading.iter().position(|other| other == shard) {
            reading.swap_remove(at);
        }
    }
}

//! Makes the handles by which tenants are asked live.

use crate::live_look_up::LiveLookUp;
use crate::tenant_directory::Tenant;
use shared::d365::{D365Error, OnHandSource};
use shared::settings::TenantSettings;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Opens the ERP of a tenant; sends nothing yet.
pub type OpenSource =
    Arc<dyn Fn(&TenantSettings) -> Result<Arc<dyn OnHandSource>, D365Error> + Send + Sync>;

/// Makes live handles; tenants of one environment share its permits.
#[derive(Clone)]
pub(crate) struct LiveSources {
    open: OpenSource,
    permits_per_environment: usize,
    permits: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

impl fmt::Debug for LiveSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSources")
            .field("permits_per_environment", &self.permits_per_environment)
            .finish_non_exhaustive()
    }
}

impl LiveSources {
    /// Opens ERPs by `open`; at most so many requests at once to one environment.
    pub(crate) fn new(open: OpenSource, permits_per_environment: usize) -> Self {
        Self {
            open,
            permits_per_environment,
            permits: Arc::default(),
        }
    }

    /// A tenant that can be asked live.
    pub(crate) fn tenant(&self, settings: &TenantSettings) -> Result<Tenant, String> {
        let source = (self.open)(settings).map_err(|cause| cause.to_string())?;
        let live = LiveLookUp::new(
            source,
            settings.sku_mapping.clone(),
            self.permits_of(settings),
            settings.variants_max_age,
        );
        Ok(Tenant {
            id: settings.id.clone(),
            legal_entity: settings.legal_entity.clone(),
            warehouses: settings.warehouses.clone(),
            refresh_interval: settings.refresh_interval,
            live: Some(live),
        })
    }

    fn permits_of(&self, settings: &TenantSettings) -> Arc<Semaphore> {
        let environment = settings.environment_url.origin().ascii_serialization();
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        let of_environment = permits
            .entry(environment)
            .or_insert_with(|| Arc::new(Semaphore::new(self.permits_per_environment)));
        Arc::clone(of_environment)
    }
}

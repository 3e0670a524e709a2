//! Makes the handles by which tenants are asked live.

use crate::live::coalescer::Coalescer;
use crate::live::environment::Environment;
use crate::live::look_up::LiveLookUp;
use crate::live::tenant_look_ups::LiveTools;
use crate::tenants::directory::Tenant;
use shared::d365::{D365Error, OnHandSource};
use shared::settings::TenantSettings;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Opens the ERP of a tenant; sends nothing yet.
pub type OpenSource =
    Arc<dyn Fn(&TenantSettings) -> Result<Arc<dyn OnHandSource>, D365Error> + Send + Sync>;

/// Makes live handles; tenants of one environment share its permits and its breaker.
#[derive(Clone)]
pub(crate) struct LiveSources {
    open: OpenSource,
    permits_per_environment: usize,
    tools: LiveTools,
    environments: Arc<Mutex<HashMap<String, Arc<Environment>>>>,
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
    pub(crate) fn new(open: OpenSource, permits_per_environment: usize, tools: LiveTools) -> Self {
        Self {
            open,
            permits_per_environment,
            tools,
            environments: Arc::default(),
        }
    }

    /// A tenant that can be asked live.
    pub(crate) fn tenant(&self, settings: &TenantSettings) -> Result<Tenant, String> {
        let source = (self.open)(settings).map_err(|cause| cause.to_string())?;
        let look_up = LiveLookUp::new(
            source,
            settings.sku_mapping.clone(),
            self.environment_of(settings),
            TenantSettings::VARIANTS_MAX_AGE,
        );
        let fingerprint = Some(settings.line_meaning().fingerprint());
        let mut tools = self.tools.clone();
        tools.store = tools.store.under(fingerprint);
        let live = Coalescer::new(settings.id.clone(), look_up, tools);
        Ok(Tenant {
            id: settings.id.clone(),
            legal_entity: settings.legal_entity.clone(),
            warehouses: settings.warehouses.clone(),
            refresh_interval: settings.refresh_interval,
            live: Some(live),
            fingerprint,
            wanted: OnceLock::new(),
        })
    }

    fn environment_of(&self, settings: &TenantSettings) -> Arc<Environment> {
        let name = settings.environment_url.origin().ascii_serialization();
        let mut environments = self
            .environments
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let environment = environments.entry(name.clone()).or_insert_with(|| {
            let clock = Arc::clone(&self.tools.clock);
            Arc::new(Environment::new(name, self.permits_per_environment, clock))
        });
        Arc::clone(environment)
    }
}

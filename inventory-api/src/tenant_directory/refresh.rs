//! Keeps the directory up to what prefetchers publish.

use super::Tenant;
use crate::live_sources::LiveSources;
use crate::metrics;
use crate::state::AppState;
use shared::redis_store::PublishedTenant;
use shared::settings::EntraSettings;
use shared::stock::{LegalEntity, TenantId};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the published tenants are read.
const EVERY: Duration = Duration::from_secs(3);
/// How soon again while Redis is away and nothing was read yet.
const EVERY_AT_FIRST: Duration = Duration::from_millis(250);
/// Published tenants and warehouses one process takes.
const MOST_TENANTS: usize = 64;
const MOST_WAREHOUSES: usize = 1_000;

/// A tenant made of what was published, kept as long as nothing else is published.
struct Adopted {
    published: PublishedTenant,
    tenant: Option<Arc<Tenant>>,
}

/// Reads published tenants and feeds in the background until cancelled.
pub(crate) async fn keep_fresh(
    state: Arc<AppState>,
    sources: LiveSources,
    stop: CancellationToken,
) {
    let configured: Vec<Arc<Tenant>> = state.directory().tenants().to_vec();
    let mut adopted: HashMap<TenantId, Adopted> = HashMap::new();
    while !stop.is_cancelled() {
        match state.store.published_tenants().await {
            Ok(published) => {
                adopt(&mut adopted, published, &configured, &state, &sources);
                let directory = state.directory().with_published(all(&configured, &adopted));
                state.directory.store(Arc::new(directory));
            }
            Err(cause) => tracing::debug!(%cause, "published tenants could not be read"),
        }
        tell_feeds(&state).await;
        let pause = if state.directory().knows_published {
            EVERY
        } else {
            EVERY_AT_FIRST
        };
        let _ = tokio::time::timeout(pause, stop.cancelled()).await;
    }
}

fn all(configured: &[Arc<Tenant>], adopted: &HashMap<TenantId, Adopted>) -> Vec<Arc<Tenant>> {
    let mut extra: Vec<Arc<Tenant>> = adopted
        .values()
        .filter_map(|adopted| adopted.tenant.clone())
        .collect();
    extra.sort_by(|a, b| a.id.cmp(&b.id));
    configured.iter().cloned().chain(extra).collect()
}

fn adopt(
    adopted: &mut HashMap<TenantId, Adopted>,
    published: Vec<PublishedTenant>,
    configured: &[Arc<Tenant>],
    state: &AppState,
    sources: &LiveSources,
) {
    let wanted: Vec<PublishedTenant> = published
        .into_iter()
        .filter(|published| configured.iter().all(|tenant| tenant.id != published.id))
        .take(MOST_TENANTS)
        .collect();
    adopted.retain(|id, _| wanted.iter().any(|published| published.id == *id));
    for published in wanted {
        if adopted
            .get(&published.id)
            .is_some_and(|known| known.published == published)
        {
            continue;
        }
        let tenant = tenant_of(&published, state.settings.live.entra.as_ref(), sources);
        match &tenant {
            Ok(tenant) => tracing::info!(
                tenant.id = %tenant.id,
                warehouses = tenant.warehouses.len(),
                live = tenant.live.is_some(),
                "a tenant is taken from what a prefetcher published"
            ),
            Err(problem) => tracing::warn!(
                tenant.id = %published.id,
                problem,
                "what a prefetcher published about a tenant cannot be used"
            ),
        }
        adopted.insert(
            published.id.clone(),
            Adopted {
                tenant: tenant.ok().map(Arc::new),
                published,
            },
        );
    }
    let refused = adopted.values().filter(|known| known.tenant.is_none());
    metrics::refused_published_tenants(refused.count());
}

/// Without a sign-in of our own such a tenant is browsed and never asked live.
fn tenant_of(
    published: &PublishedTenant,
    sign_in: Option<&EntraSettings>,
    sources: &LiveSources,
) -> Result<Tenant, String> {
    let tenant = if let Some(sign_in) = sign_in {
        sources.tenant(&published.with_sign_in(sign_in)?)?
    } else {
        let missing = |field: &str| format!("{field} is missing or cannot be read");
        let company = published.legal_entity().ok_or(missing("legal_entity"))?;
        Tenant {
            id: published.id.clone(),
            legal_entity: LegalEntity::parse(company).map_err(|cause| cause.to_string())?,
            warehouses: published.warehouses(),
            refresh_interval: published
                .refresh_interval()
                .filter(|interval| *interval >= Duration::from_secs(1))
                .ok_or(missing("refresh_interval"))?,
            live: None,
            fingerprint: published
                .line_meaning()
                .map(|meaning| meaning.fingerprint()),
            wanted: OnceLock::new(),
        }
    };
    match tenant.warehouses.len() {
        1..=MOST_WAREHOUSES => Ok(tenant),
        other => Err(format!(
            "{other} warehouses; there must be 1 to {MOST_WAREHOUSES}"
        )),
    }
}

/// Tells the metrics how old each feed is.
async fn tell_feeds(state: &AppState) {
    let directory = state.directory.load_full();
    for tenant in directory.tenants() {
        let warehouses = directory.warehouses_of(tenant);
        match state.read_feeds(tenant, &warehouses).await {
            Ok(feeds) => {
                for (warehouse, feed) in warehouses.iter().zip(&feeds) {
                    metrics::feed(&tenant.id, warehouse, feed);
                }
            }
            Err(cause) => {
                tracing::debug!(tenant.id = %tenant.id, %cause, "feeds could not be read");
            }
        }
    }
}

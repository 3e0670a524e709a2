//! Keeps the directory up to what prefetchers publish.

use crate::metrics;
use crate::state::AppState;
use crate::tenants::directory::Tenant;
use crate::tenants::sources::LiveSources;
use shared::redis_store::{PublishedTenant, StoreError};
use shared::settings::LiveSettings;
use shared::stock::{LegalEntity, TenantId};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the published tenants are read.
const EVERY: Duration = Duration::from_secs(3);
/// How soon again while Redis is away and nothing was read yet.
const EVERY_AT_FIRST: Duration = Duration::from_millis(250);
/// Looks for holds that replicas of an earlier version placed: for ten minutes, while they go.
const LOOKS_FOR_HOLDS: u32 = 200;
/// How long a start waits until names are settled.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);
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
    let mut looks = 0;
    while !stop.is_cancelled() {
        match state.store.published_tenants().await {
            Ok(published) => {
                note_spelling(&state, &published);
                if looks < LOOKS_FOR_HOLDS {
                    let published = published.iter().map(|published| &published.id);
                    let configured = configured.iter().map(|tenant| &tenant.id);
                    let were_looked_for = respell_holds(&state, configured.chain(published)).await;
                    looks += u32::from(were_looked_for);
                }
                adopt(&mut adopted, published, &configured, &state, &sources);
                let directory = state.directory().with_published(all(&configured, &adopted));
                state.directory.store(Arc::new(directory));
            }
            Err(cause) => tracing::debug!(%cause, "published tenants could not be read"),
        }
        measure_feeds(&state).await;
        let pause = if state.directory().knows_published {
            EVERY
        } else {
            EVERY_AT_FIRST
        };
        let _ = tokio::time::timeout(pause, stop.cancelled()).await;
    }
}

/// What was named otherwise by an earlier version is found before the first question. Without Redis
/// nothing is: then it is looked for as soon as Redis answers.
pub(crate) async fn settle_names(state: &AppState) {
    let settling = async {
        let published = state.store.published_tenants().await?;
        note_spelling(state, &published);
        let ids: Vec<TenantId> = published
            .into_iter()
            .map(|published| published.id)
            .collect();
        let configured: Vec<Arc<Tenant>> = state.directory().tenants().to_vec();
        let configured = configured.iter().map(|tenant| &tenant.id);
        respell_holds(state, configured.chain(&ids)).await;
        Ok::<_, StoreError>(())
    };
    let configured = state.directory().tenants().to_vec();
    let ids = configured.iter().map(|tenant| tenant.id.clone());
    state.store.distrust_missing_lines_of(ids.collect());
    if !matches!(
        tokio::time::timeout(SETTLED_WITHIN, settling).await,
        Ok(Ok(()))
    ) {
        tracing::debug!("names in Redis could not be looked at yet");
    }
}

/// Where a worker has not renamed what an earlier version wrote, no missing line is a proof.
fn note_spelling(state: &AppState, published: &[PublishedTenant]) {
    let misspelled = published.iter().filter(|published| !published.is_respelled);
    let ids = misspelled.map(|published| published.id.clone());
    state.store.distrust_missing_lines_of(ids.collect());
}

/// Whether all of them could be looked for.
async fn respell_holds(state: &AppState, tenants: impl Iterator<Item = &TenantId>) -> bool {
    let mut were_looked_for = true;
    for id in tenants {
        match state.store.respell_holds(id).await {
            Ok(0) => {}
            Ok(renamed) => tracing::info!(tenant.id = %id, renamed,
                "holds of an earlier version were renamed"),
            Err(error) => {
                were_looked_for = false;
                tracing::warn!(tenant.id = %id, %error,
                    "holds of an earlier version could not be looked for");
            }
        }
    }
    were_looked_for
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
        let tenant = tenant_of(&published, &state.settings.live, sources);
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

/// Without a sign-in of our own for its environment such a tenant is browsed and never asked live.
fn tenant_of(
    published: &PublishedTenant,
    settings: &LiveSettings,
    sources: &LiveSources,
) -> Result<Tenant, String> {
    let own = settings
        .entra
        .as_ref()
        .map(|sign_in| published.with_sign_in(sign_in))
        .transpose()?
        .filter(|tenant| {
            let is_allowed = settings.may_be_sent_tokens(&tenant.environment_url);
            if !is_allowed {
                tracing::warn!(
                    tenant.id = %published.id,
                    environment = %tenant.environment_url,
                    "the published environment gets no token and is never asked: \
                     api.live.environments does not name it"
                );
            }
            is_allowed
        });
    let tenant = if let Some(own) = own {
        sources.tenant(&own)?
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

/// Sets the metrics of how old each feed is.
async fn measure_feeds(state: &AppState) {
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

//! Whether this process can answer: Redis is reachable and its clock was read.
//!
//! A dead feed or a D365 that is away shows in the detail and does not make it unready: old numbers,
//! marked as such, are better than none, and another replica would have no newer ones.

use crate::feed::Feed;
use crate::state::AppState;
use crate::tenant_directory::Tenant;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use shared::http_edge::management::{Readiness, ReadinessReport};
use std::sync::Arc;

/// The report of the management port.
#[derive(Debug, Clone)]
pub(crate) struct ApiReadiness(pub Arc<AppState>);

impl Readiness for ApiReadiness {
    fn report(&self) -> BoxFuture<'_, ReadinessReport> {
        self.look().boxed()
    }
}

impl ApiReadiness {
    async fn look(&self) -> ReadinessReport {
        let state = &self.0;
        let redis = state.store.ping().await;
        let is_on_shared_clock = state.clock.is_shared();
        let is_stopping = state.stopping.is_cancelled();
        let ready = redis.is_ok() && is_on_shared_clock && !is_stopping;
        let directory = state.directory.load_full();
        let tenants = if redis.is_ok() {
            join_all(directory.tenants().iter().map(|tenant| self.tenant(tenant))).await
        } else {
            Vec::new()
        };
        let detail = json!({
            "ready": ready,
            "stopping": is_stopping,
            "redis": redis.map_or_else(|cause| cause.to_string(), |()| "reachable".to_owned()),
            "clock": if is_on_shared_clock { "shared" } else { "not read yet" },
            "tenants": tenants,
        });
        ReadinessReport { ready, detail }
    }

    async fn tenant(&self, tenant: &Arc<Tenant>) -> Value {
        let state = &self.0;
        let warehouses = state.directory().warehouses_of(tenant);
        let warehouses = match state.read_feeds(tenant, &warehouses).await {
            Ok(feeds) => {
                let told = warehouses.iter().zip(&feeds);
                told.map(|(warehouse, feed)| feed_detail(warehouse.as_str(), feed))
                    .collect()
            }
            Err(cause) => vec![json!({ "problem": cause.to_string() })],
        };
        json!({
            "id": tenant.id.as_str(),
            "live": tenant.live.is_some(),
            "warehouses": warehouses,
        })
    }
}

fn feed_detail(warehouse: &str, feed: &Feed) -> Value {
    json!({
        "id": warehouse,
        "state": feed.state.as_str(),
        "snapshotAt": feed.watermark.map(|watermark| watermark.to_string()),
        "feedAgeSeconds": feed.age.map(|age| age.as_secs()),
        "overdue": feed.is_overdue,
        "otherSettings": feed.is_of_other_settings,
    })
}

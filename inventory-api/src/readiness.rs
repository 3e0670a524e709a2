//! Whether this process can answer.
//!
//! It can from the moment it has seen Redis until it stops. Redis that goes away later takes nothing
//! off the list: EXACT still answers, and all replicas would go together. A process that never saw
//! Redis is not ready, so that a wrong address stops a rollout. A dead feed or a D365 that is away
//! shows in the detail: old numbers, marked as such, are better than none.

use crate::state::AppState;
use crate::stock::feed::Feed;
use crate::tenants::directory::Tenant;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use shared::http::management::{REDIS_LIMIT, Readiness};
use shared::redis_store::StoreError;
use std::sync::Arc;

/// The report of the management port.
#[derive(Debug, Clone)]
pub(crate) struct ApiReadiness(pub Arc<AppState>);

impl Readiness for ApiReadiness {
    fn is_ready(&self) -> bool {
        self.0.clock.is_shared() && !self.0.stopping.is_cancelled()
    }

    fn detail(&self) -> BoxFuture<'_, Value> {
        self.look().boxed()
    }
}

impl ApiReadiness {
    async fn look(&self) -> Value {
        let state = &self.0;
        let ping = tokio::time::timeout(REDIS_LIMIT, state.store.ping()).await;
        // Redis that refuses writes refuses PING as well, and may be read all the same.
        let (answers, redis) = match ping {
            Ok(Ok(())) => (true, None),
            Ok(Err(cause)) => {
                let is_refusal = matches!(cause, StoreError::Refused { .. });
                (is_refusal, Some(cause.to_string()))
            }
            Err(_elapsed) => (false, Some("no answer in time".to_owned())),
        };
        let directory = state.directory.load_full();
        let tenants = directory.tenants().iter();
        let feeds = async {
            if answers {
                join_all(tenants.map(|tenant| self.tenant(tenant))).await
            } else {
                Vec::new()
            }
        };
        let feeds = tokio::time::timeout(REDIS_LIMIT, feeds).await;
        json!({
            "stopping": state.stopping.is_cancelled(),
            "redis": redis.as_deref().unwrap_or("reachable"),
            "clock": if state.clock.is_shared() { "shared" } else { "not read yet" },
            "tenants": feeds.unwrap_or_default(),
        })
    }

    async fn tenant(&self, tenant: &Arc<Tenant>) -> Value {
        let state = &self.0;
        let warehouses = state.directory().warehouses_of(tenant);
        let warehouses = match state.read_feeds(tenant, &warehouses).await {
            Ok(feeds) => {
                let feeds = warehouses.iter().zip(&feeds);
                feeds
                    .map(|(warehouse, feed)| feed_detail(warehouse.as_str(), feed))
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

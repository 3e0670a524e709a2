//! `POST /v1/refreshes`: a warehouse, or SKUs, to read now.

use super::json_body;
use super::refusal::Refusal;
use super::rights::{feed_of, known_warehouse};
use crate::metrics;
use crate::refresh::requests::{MOST_REFRESH_SKUS, Refreshes, SkuRefresh};
use crate::scheduler::plan;
use crate::worker::{TenantFeed, Worker};
use actix_web::web::{Data, Payload};
use actix_web::{Error, HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use shared::http::auth::Caller;
use shared::http::feedback::Feedback;
use shared::stock::{Sku, WarehouseId};
use std::collections::HashSet;
use utoipa::ToSchema;
use uuid::Uuid;

/// What to read now: a warehouse, or SKUs in some warehouses.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefreshRequest {
    /// Tenant id; needed if several are configured.
    #[schema(required = false, nullable = true, example = "contoso")]
    tenant: Option<String>,
    /// A whole warehouse, due at once.
    #[schema(required = false, nullable = true, example = "24")]
    warehouse_id: Option<String>,
    /// SKUs, looked up within seconds.
    #[schema(required = false, nullable = true)]
    skus: Option<Vec<String>>,
    /// Warehouses of the SKUs; all configured ones if not given.
    #[schema(required = false, nullable = true)]
    warehouse_ids: Option<Vec<String>>,
}

/// The refresh was taken; it happens in the background.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RefreshReply {
    /// Id of the refresh, found again in the worker's log.
    id: String,
    /// Tenant id.
    tenant: String,
    /// The warehouses that are read.
    warehouse_ids: Vec<String>,
    /// How many SKUs are looked up; 0 for a whole warehouse.
    skus: usize,
}

/// Ask for a refresh.
///
/// A whole warehouse is made due at once; a list of SKUs is looked up within seconds. Either way the
/// numbers carry the as-of of the read, so that nothing newer is undone.
#[utoipa::path(
    post, path = "/inventoryPrefetcher/v1/refreshes", operation_id = "askRefresh", tag = "prefetch",
    request_body = RefreshRequest,
    responses(
        (status = 202, description = "Taken; it happens in the background.", body = RefreshReply),
        (status = 400, description = "Not the JSON that was expected.", body = Feedback),
        (status = 401, description = "No credentials, or credentials that are not accepted.", body = Feedback),
        (status = 403, description = "This caller may not do this.", body = Feedback),
        (status = 404, description = "Tenant or warehouse not configured.", body = Feedback),
        (status = 413, description = "Too large; the limit is in the parameters.", body = Feedback),
        (status = 415, description = "Not application/json.", body = Feedback),
        (status = 422, description = "A value that may not be.", body = Feedback),
        (status = 429, description = "Too many refreshes wait.", body = Feedback),
        (status = 503, description = "Redis or the token issuer cannot be reached.", body = Feedback),
    )
)]
pub(crate) async fn ask_refresh(
    worker: Data<Worker>,
    refreshes: Data<Refreshes>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    let body: RefreshRequest = json_body::read(&request, payload).await?;
    let caller = Caller::of(&request);
    let feed = feed_of(&worker, caller.as_deref(), body.tenant.as_deref())?;
    let id = Uuid::new_v4();
    let (warehouses, skus) = match (body.warehouse_id, body.skus) {
        (Some(asked), None) => {
            let warehouse = known_warehouse(feed, &asked, "$.warehouseId")?;
            make_due(&worker, feed, warehouse, id).await?;
            (vec![asked], 0)
        }
        (None, Some(skus)) => {
            let refresh = SkuRefresh {
                id,
                tenant: feed.id().clone(),
                warehouses: warehouses_of(feed, body.warehouse_ids)?,
                skus: distinct_skus(skus, MOST_REFRESH_SKUS)?,
            };
            let warehouses = refresh.warehouses.iter().map(ToString::to_string);
            let taken = (warehouses.collect(), refresh.skus.len());
            refreshes
                .ask(refresh)
                .map_err(|_queue_full| Refusal::QueueFull)?;
            taken
        }
        _ => return Err(Refusal::invalid("$", "name either warehouseId or skus").into()),
    };
    Ok(HttpResponse::Accepted().json(RefreshReply {
        id: id.to_string(),
        tenant: feed.id().to_string(),
        warehouse_ids: warehouses,
        skus,
    }))
}

async fn make_due(
    worker: &Worker,
    feed: &TenantFeed,
    warehouse: &WarehouseId,
    id: Uuid,
) -> Result<(), Refusal> {
    // The schedule may have been lost with Redis' memory.
    let shards = plan::shards_of(&feed.settings);
    let scheduled = async {
        worker.store.ensure_scheduled(feed.id(), &shards).await?;
        worker.store.make_due(feed.id(), warehouse.key()).await
    };
    scheduled.await.map_err(|error| {
        tracing::warn!(tenant.id = %feed.id(), warehouse.id = %warehouse, %error,
            "a refresh could not be scheduled");
        Refusal::CacheUnavailable
    })?;
    tracing::info!(refresh.id = %id, tenant.id = %feed.id(), warehouse.id = %warehouse,
        "a warehouse was asked for");
    metrics::refresh("warehouse", "scheduled");
    Ok(())
}

fn distinct_skus(skus: Vec<String>, limit: usize) -> Result<Vec<Sku>, Refusal> {
    if skus.is_empty() {
        return Err(Refusal::invalid("$.skus", "name at least one SKU"));
    }
    if skus.len() > limit {
        return Err(Refusal::too_many("$.skus", limit));
    }
    let mut known = HashSet::new();
    let mut distinct = Vec::new();
    for (at, sku) in skus.into_iter().enumerate() {
        let path = format!("$.skus[{at}]");
        let sku = Sku::parse(sku).map_err(|error| Refusal::invalid(&path, &error.to_string()))?;
        if sku.as_str().contains('*') {
            let problem = "D365 cannot be asked for a SKU with *";
            return Err(Refusal::invalid(&path, problem));
        }
        if known.insert(sku.clone()) {
            distinct.push(sku);
        }
    }
    Ok(distinct)
}

/// The warehouses named, each once; all if none are named.
fn warehouses_of(feed: &TenantFeed, ids: Option<Vec<String>>) -> Result<Vec<WarehouseId>, Refusal> {
    let Some(ids) = ids else {
        return Ok(feed.settings.warehouses.clone());
    };
    if ids.is_empty() {
        let problem = "name at least one warehouse";
        return Err(Refusal::invalid("$.warehouseIds", problem));
    }
    let mut warehouses = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        let warehouse = known_warehouse(feed, id, &format!("$.warehouseIds[{at}]"))?;
        if !warehouses.contains(warehouse) {
            warehouses.push(warehouse.clone());
        }
    }
    Ok(warehouses)
}

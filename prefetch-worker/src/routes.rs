//! The worker's own HTTP surface: the only place with paths.

use crate::error::WorkerError;
use crate::events::{self, Hints};
use crate::openapi;
use crate::refresh_request::{Refreshes, SkuRefresh};
use crate::refusal::Refusal;
use crate::state::{TenantFeed, Worker};
use crate::status::{self, Status};
use crate::{json_body, metrics, plan};
use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, ALLOW, ContentType, LOCATION};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, Json, JsonConfig, Payload, ServiceConfig};
use actix_web::{App, Error, HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use shared::http::auth::Caller;
use shared::http::auth::door::{self, Door, Need};
use shared::http::connections::{self, ConnectionLimits, Connections};
use shared::http::cross_site::{self, AllowedHosts};
use shared::http::feedback::{Feedback, Problem};
use shared::http::read_route::{get, options};
use shared::http::serving::Serving;
use shared::http::tls::ServedCertificate;
use shared::http::{closing, request_id};
use shared::settings::{AuthSettings, RoleName};
use shared::stock::{Sku, WarehouseId};
use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

/// Root of the worker's API.
pub(crate) const ROOT: &str = "/inventoryPrefetcher";
pub(crate) const BODY_LIMIT: usize = 1024 * 1024;
/// Open connections: operators, and senders of events of several addresses.
pub(crate) const CONNECTIONS: usize = 1024;
/// What they may do.
pub(crate) const LIMITS: ConnectionLimits = ConnectionLimits {
    per_address: 128,
    quiet: 256,
    keep_alive: Duration::from_secs(5),
    header_timeout: Duration::from_secs(5),
};

/// What the API is made of.
pub(crate) struct Parts<'s> {
    pub(crate) auth: &'s AuthSettings,
    pub(crate) worker: Worker,
    pub(crate) refreshes: Refreshes,
    pub(crate) hints: Hints,
    pub(crate) door: Door,
    /// [`Connections::watch`] must be running.
    pub(crate) connections: Arc<Connections>,
}

/// Serves the API on this listener.
pub(crate) fn serve(
    listener: TcpListener,
    parts: Parts<'_>,
    certificate: Option<&Arc<ServedCertificate>>,
) -> Result<Server, WorkerError> {
    let shutdown = Data::new(parts.worker.shutdown.clone());
    let worker = Data::new(parts.worker);
    let door = Data::new(parts.door);
    let hints = Data::new(parts.hints);
    let refreshes = Data::new(parts.refreshes);
    let hosts = AllowedHosts::where_open(parts.auth, listener.local_addr()?);
    let hosts = Data::new(hosts);
    let app = move || {
        App::new()
            .app_data(worker.clone())
            .app_data(refreshes.clone())
            .app_data(hints.clone())
            .app_data(door.clone())
            .app_data(shutdown.clone())
            .app_data(hosts.clone())
            .configure(configure)
            .wrap(from_fn(door::pass))
            .wrap(from_fn(cross_site::refuse))
            .wrap(from_fn(request_id::echo))
            .wrap(from_fn(closing::close_when_stopping))
            .wrap(from_fn(connections::note_request))
    };
    let serving = Serving {
        connections: parts.connections,
        most_connections: CONNECTIONS,
        threads: 1,
        answers_half_closed: true,
        stop_within: Duration::from_secs(2),
        certificate: certificate.cloned(),
    };
    Ok(serving.serve(listener, app)?)
}

fn configure(service: &mut ServiceConfig) {
    let json = JsonConfig::default()
        .limit(BODY_LIMIT)
        .content_type_required(true)
        .error_handler(|error, _| Refusal::of_json(&error).into());
    let status = web::resource(format!("{ROOT}/v1/status"))
        .route(get().to(read_status))
        .default_service(web::to(async |request| other_method(&request, "GET, HEAD")));
    let refreshes = web::resource(format!("{ROOT}/v1/refreshes"))
        .post(ask_refresh)
        .default_service(web::to(async |request| other_method(&request, "POST")));
    let events = web::resource(format!("{ROOT}/v1/events"))
        .post(events::take)
        .default_service(web::to(async |request| other_method(&request, "POST")));
    let document = web::resource(format!("{ROOT}/api"))
        .route(get().to(document))
        .default_service(web::to(async |request| other_method(&request, "GET, HEAD")));
    let page = web::resource(format!("{ROOT}/api/page/{{file:.*}}"))
        .route(get().to(openapi::page_file))
        .default_service(web::to(async |request| other_method(&request, "GET, HEAD")));
    service
        .app_data(json)
        .service(status)
        .service(refreshes)
        .service(events)
        .service(document)
        .service(page)
        .default_service(web::to(async || not_found()));
}

/// What a path asks of its caller. One that is not named here is for operators.
pub(crate) fn need(pattern: Option<&str>) -> Need {
    match pattern.and_then(|pattern| pattern.strip_prefix(ROOT)) {
        // Senders of events show a key of their own.
        Some("/v1/events") => Need::OwnDoor,
        Some(path) if path.starts_with("/api") => Need::Caller,
        Some(_) => Need::Role(RoleName::Operate),
        None => Need::Caller,
    }
}

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

async fn read_status(request: HttpRequest, worker: Data<Worker>) -> Result<Json<Status>, Refusal> {
    let caller = Caller::of(&request);
    let feeds = feeds_of(&worker, caller.as_deref());
    let shows_tenant = |id: &str| may_operate(caller.as_deref(), id);
    status::status(&worker, &feeds, shows_tenant)
        .await
        .map(Json)
        .map_err(|error| {
            tracing::warn!(%error, "the status could not be read");
            Refusal::away()
        })
}

async fn ask_refresh(
    worker: Data<Worker>,
    refreshes: Data<Refreshes>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    let body = json_body::read(&request, payload).await?;
    let caller = Caller::of(&request);
    Ok(refresh(&worker, caller.as_deref(), &refreshes, body).await?)
}

async fn refresh(
    worker: &Worker,
    caller: Option<&Caller>,
    refreshes: &Refreshes,
    request: RefreshRequest,
) -> Result<HttpResponse, Refusal> {
    let feed = feed_of(worker, caller, request.tenant.as_deref())?;
    let id = Uuid::new_v4();
    let reply = match (&request.warehouse_id, request.skus) {
        (Some(asked), None) => {
            let warehouse = known_warehouse(feed, asked, "$.warehouseId")?;
            let shard = warehouse.key();
            // The schedule may have been lost with Redis' memory.
            let shards = plan::shards_of(&feed.settings);
            let scheduled = async {
                worker.store.ensure_scheduled(feed.id(), &shards).await?;
                worker.store.make_due(feed.id(), shard).await
            };
            scheduled.await.map_err(|error| {
                tracing::warn!(tenant.id = %feed.id(), warehouse.id = %warehouse, %error,
                    "a refresh could not be scheduled");
                Refusal::away()
            })?;
            tracing::info!(refresh.id = %id, tenant.id = %feed.id(), warehouse.id = %warehouse,
                "a warehouse was asked for");
            metrics::refresh("warehouse", "scheduled");
            RefreshReply {
                id: id.to_string(),
                tenant: feed.id().to_string(),
                warehouse_ids: vec![asked.clone()],
                skus: 0,
            }
        }
        (None, Some(skus)) => {
            let refresh = sku_refresh(worker, feed, id, skus, request.warehouse_ids)?;
            let reply = RefreshReply {
                id: id.to_string(),
                tenant: feed.id().to_string(),
                warehouse_ids: refresh.warehouses.iter().map(ToString::to_string).collect(),
                skus: refresh.skus.len(),
            };
            refreshes
                .ask(refresh)
                .map_err(|_queue_full| Refusal::queue_full())?;
            reply
        }
        _ => return Err(Refusal::invalid("$", "name either warehouseId or skus")),
    };
    Ok(HttpResponse::Accepted().json(reply))
}

fn sku_refresh(
    worker: &Worker,
    feed: &TenantFeed,
    id: Uuid,
    skus: Vec<String>,
    warehouse_ids: Option<Vec<String>>,
) -> Result<SkuRefresh, Refusal> {
    let limit = worker.settings.refresh_skus;
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
            return Err(Refusal::invalid(
                &path,
                "D365 cannot be asked for a SKU with *",
            ));
        }
        if known.insert(sku.clone()) {
            distinct.push(sku);
        }
    }
    let warehouses = match warehouse_ids {
        None => feed.settings.warehouses.clone(),
        Some(ids) if ids.is_empty() => {
            return Err(Refusal::invalid(
                "$.warehouseIds",
                "name at least one warehouse",
            ));
        }
        Some(ids) => {
            let mut warehouses = Vec::new();
            for (at, id) in ids.iter().enumerate() {
                let warehouse = known_warehouse(feed, id, &format!("$.warehouseIds[{at}]"))?;
                if !warehouses.contains(warehouse) {
                    warehouses.push(warehouse.clone());
                }
            }
            warehouses
        }
    };
    Ok(SkuRefresh {
        id,
        tenant: feed.id().clone(),
        warehouses,
        skus: distinct,
    })
}

/// Whether the caller may have a tenant read, or see how its reading goes. No channel can be named
/// here, because what is read is the stock of all of them: a caller who is bound to channels may do
/// neither. A request that came through no door has no caller, and no rights.
fn may_operate(caller: Option<&Caller>, tenant: &str) -> bool {
    caller.is_some_and(|caller| caller.may_ask(tenant, None).is_ok())
}

/// The feeds of the tenants the caller may operate.
fn feeds_of<'a>(worker: &'a Worker, caller: Option<&Caller>) -> Vec<&'a TenantFeed> {
    let feeds = worker.feeds.iter();
    feeds
        .filter(|feed| may_operate(caller, feed.id().as_str()))
        .collect()
}

/// The feed of the tenant that was named, or of the only one the caller may operate. Rights come
/// first, so that a caller is not told whether tenants that are not its own exist.
fn feed_of<'a>(
    worker: &'a Worker,
    caller: Option<&Caller>,
    tenant: Option<&str>,
) -> Result<&'a TenantFeed, Refusal> {
    if let Some(id) = tenant {
        if !may_operate(caller, id) {
            return Err(Refusal::not_allowed());
        }
        let mut feeds = worker.feeds.iter();
        return feeds
            .find(|feed| feed.id().as_str() == id)
            .ok_or_else(Refusal::unknown_tenant);
    }
    match feeds_of(worker, caller).as_slice() {
        [only] => Ok(only),
        [] => Err(Refusal::not_allowed()),
        _ => Err(Refusal::invalid(
            "$.tenant",
            "several tenants are configured; name one",
        )),
    }
}

fn known_warehouse<'a>(
    feed: &'a TenantFeed,
    id: &str,
    path: &str,
) -> Result<&'a WarehouseId, Refusal> {
    feed.settings
        .warehouses
        .iter()
        .find(|warehouse| warehouse.is_named_by(id))
        .ok_or_else(|| Refusal::unknown_warehouse(path))
}

/// The document as JSON, or its page for a browser.
async fn document(request: HttpRequest) -> HttpResponse {
    let wants_page = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page {
        return HttpResponse::SeeOther()
            .insert_header((LOCATION, openapi::PAGE_ADDRESS))
            .finish();
    }
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(openapi::text())
}

fn other_method(request: &HttpRequest, allowed: &'static str) -> HttpResponse {
    if let Some(told) = options(request, allowed) {
        return told;
    }
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "inventory.request.method.error",
        format!("This address knows {allowed} only."),
    );
    HttpResponse::MethodNotAllowed()
        .insert_header((ALLOW, allowed))
        .json(Feedback::from(problem))
}

fn not_found() -> HttpResponse {
    let problem = Problem::new(
        StatusCode::NOT_FOUND,
        "inventory.route.not_found.error",
        "There is nothing at this address; see /inventoryPrefetcher/api.",
    );
    HttpResponse::NotFound().json(Feedback::from(problem))
}

#[cfg(test)]
mod tests;

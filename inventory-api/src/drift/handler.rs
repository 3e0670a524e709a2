//! `GET /inventory/v1/drift`: what the cache would have got wrong, warehouse by warehouse.

use super::bands::{AGES, buffer_against, names};
use super::day_of;
use crate::error::ApiError;
use crate::http::{json_reply, query};
use crate::state::AppState;
use crate::stock::number::Number;
use crate::tenants::scope::{AskedScope, rights_of};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use shared::redis_store::DriftCounts;
use shared::stock::{AsOf, Quantity, WarehouseId};
use std::time::Duration;
use utoipa::ToSchema;

const DAY: Duration = Duration::from_hours(24);
/// Days that are kept.
pub(crate) const MOST_DAYS: u64 = 7;
/// Share of oversold lines the advised buffer avoids.
const AVOIDED_PERCENT: i64 = 99;

/// How often the cache was wrong in one direction.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Drifted {
    /// Lines.
    #[schema(minimum = 0)]
    pub lines: i64,
    /// By how much on average, in the item's unit; none without lines.
    #[schema(required = true)]
    pub mean_quantity: Option<Number>,
}

/// Lines by the cached number's age.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DriftAtAge {
    /// Oldest of the band; none for everything older than the band before.
    #[schema(required = true, minimum = 1)]
    pub up_to_seconds: Option<i64>,
    /// Lines compared at that age.
    #[schema(minimum = 0)]
    pub compared: i64,
    /// Of these: the cache promised more than there was.
    #[schema(minimum = 0)]
    pub oversold: i64,
    /// Of these: the cache promised less.
    #[schema(minimum = 0)]
    pub undersold: i64,
}

/// How far the cache was from live answers in one warehouse.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WarehouseDrift {
    /// Warehouse id.
    #[schema(example = "24")]
    pub warehouse_id: String,
    /// Lines compared: the cache had a number or a proved absence, and D365 answered.
    #[schema(minimum = 0)]
    pub compared: i64,
    /// Lines the cache knew nothing about.
    #[schema(minimum = 0)]
    pub unknown: i64,
    /// The cache promised more than there was.
    pub oversold: Drifted,
    /// The cache promised less.
    pub undersold: Drifted,
    /// By age of the cached number; bands without lines are left out.
    pub by_age: Vec<DriftAtAge>,
    /// The safety stock that would have avoided 99 % of the oversold lines, rounded up to a band;
    /// none if even a million would not.
    #[schema(required = true, minimum = 0)]
    pub buffer_for99_percent: Option<i64>,
}

/// What the cache would have got wrong.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DriftReply {
    /// The organization's id.
    pub organization: String,
    /// First day that counts, UTC.
    #[schema(example = "2026-11-23")]
    pub from: String,
    /// Last day: today, UTC.
    #[schema(example = "2026-11-23")]
    pub to: String,
    /// One entry per warehouse.
    pub data: Vec<WarehouseDrift>,
}

/// `GET /inventory/v1/drift`
pub(crate) async fn get(
    request: HttpRequest,
    state: Data<AppState>,
) -> Result<HttpResponse, ApiError> {
    let (scope, days) = of_query(request.query_string())?;
    let longest = state.settings.limits.warehouses;
    let may_ask = rights_of(&request)?;
    let (tenant, warehouses) =
        scope.resolve_all_warehouses(&state.directory(), longest, &may_ask)?;
    let days = last_days(state.clock.now(), days);
    let counts = state
        .store
        .drift(&tenant.id, &days, &warehouses)
        .await
        .map_err(|cause| ApiError::CacheUnavailable { cause: Some(cause) })?;
    let reply = DriftReply {
        organization: tenant.id.to_string(),
        from: days.last().cloned().unwrap_or_default(),
        to: days.first().cloned().unwrap_or_default(),
        data: warehouses
            .iter()
            .zip(&counts)
            .map(|(warehouse, counts)| drift_of(warehouse, counts))
            .collect(),
    };
    let body = json_reply::written(&reply, warehouses.len() * 400 + 200)?;
    Ok(json_reply::send(
        HttpResponse::Ok(),
        request.headers(),
        body,
    ))
}

/// Reads `organization`, `warehouseId` (repeated) and `days`. Other names are ignored.
fn of_query(query: &str) -> Result<(AskedScope<'_>, u64), ApiError> {
    let mut scope = AskedScope::of_query();
    let mut days = None;
    for pair in query::pairs(query) {
        let (name, value) = pair?;
        match &*name {
            "days" => query::set_once(&mut days, value, "days")?,
            name => scope.take(name, value)?,
        }
    }
    let days = match days {
        None => 1,
        Some(text) => text
            .parse()
            .ok()
            .filter(|days| (1..=MOST_DAYS).contains(days))
            .ok_or_else(|| ApiError::invalid("days", format!("must be from 1 to {MOST_DAYS}")))?,
    };
    Ok((scope, days))
}

/// The days that end with this instant's, latest first.
fn last_days(now: AsOf, days: u64) -> Vec<String> {
    let mut instant = now;
    let mut named = Vec::new();
    for _ in 0..days {
        named.push(day_of(instant));
        instant = instant.minus(DAY);
    }
    named
}

fn drift_of(warehouse: &WarehouseId, counts: &DriftCounts) -> WarehouseDrift {
    let count = |name: &str| counts.get(name).copied().unwrap_or(0).max(0);
    let drifted = |lines: &str, millionths: &str| {
        let lines = count(lines);
        let mean = count(millionths).checked_div(lines);
        Drifted {
            lines,
            mean_quantity: mean.map(|mean| Number(Quantity::from_millionths(mean))),
        }
    };
    let by_age = (0..=AGES.bounds.len())
        .map(|band| {
            let name = AGES.name_of(band);
            DriftAtAge {
                up_to_seconds: AGES.bounds.get(band).copied(),
                compared: count(&format!("{name}:{}", names::COMPARED)),
                oversold: count(&format!("{name}:{}", names::OVERSOLD)),
                undersold: count(&format!("{name}:{}", names::UNDERSOLD)),
            }
        })
        .filter(|age| age.compared > 0);
    WarehouseDrift {
        warehouse_id: warehouse.to_string(),
        compared: count(names::COMPARED),
        unknown: count(names::UNKNOWN),
        oversold: drifted(names::OVERSOLD, names::OVERSOLD_MILLIONTHS),
        undersold: drifted(names::UNDERSOLD, names::UNDERSOLD_MILLIONTHS),
        by_age: by_age.collect(),
        buffer_for99_percent: buffer_against(counts, AVOIDED_PERCENT),
    }
}

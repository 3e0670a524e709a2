//! The control API under `/control/`: some of [`Simulator`]'s methods over HTTP, for people.
//!
//! It speaks its own JSON, described in the package's README. It is open on loopback listeners only.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError, web};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::faults::FaultSpec;
use crate::simulator::Simulator;
use crate::switches::Switches;
use crate::world::{StockChange, StockKey, WorldError};

/// Why a control request is refused.
#[derive(Debug, Error)]
enum ControlError {
    #[error("the control API is open on loopback listeners only")]
    NotLoopback,
    #[error("the request is not understood: {0}")]
    Malformed(String),
    #[error(transparent)]
    World(#[from] WorldError),
    #[error("the control API has no such address or method; its README lists them")]
    NoSuchAddress,
}

impl ResponseError for ControlError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NotLoopback => StatusCode::FORBIDDEN,
            Self::Malformed(_) | Self::World(_) => StatusCode::BAD_REQUEST,
            Self::NoSuchAddress => StatusCode::NOT_FOUND,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(json!({"error": self.to_string()}))
    }
}

type Reply = Result<HttpResponse, ControlError>;
type State = web::Data<Simulator>;

/// Adds the routes.
pub(crate) fn routes(routes: &mut web::ServiceConfig, simulator: &Arc<Simulator>, loopback: bool) {
    let scope = web::scope("/control").app_data(web::Data::from(Arc::clone(simulator)));
    if !loopback {
        let closed = || async { Err::<HttpResponse, _>(ControlError::NotLoopback) };
        routes.service(scope.default_service(web::to(closed)));
        return;
    }
    let unknown = || async { Err::<HttpResponse, _>(ControlError::NoSuchAddress) };
    routes.service(
        scope
            .app_data(web::QueryConfig::default().error_handler(|error, _| malformed(&error)))
            .app_data(web::JsonConfig::default().error_handler(|error, _| malformed(&error)))
            .route("/truth", web::get().to(truth))
            .route("/warehouses", web::get().to(warehouses))
            .route("/stock", web::put().to(put_stock))
            .route("/stock", web::delete().to(delete_stock))
            .route("/sales", web::post().to(set_sales))
            .route("/faults", web::get().to(faults))
            .route("/faults", web::post().to(add_faults))
            .route("/faults", web::delete().to(clear_faults))
            .route("/requests", web::get().to(requests))
            .route("/switches", web::put().to(set_switches))
            .default_service(web::to(unknown)),
    );
}

fn malformed(error: &dyn std::fmt::Display) -> actix_web::Error {
    ControlError::Malformed(error.to_string()).into()
}

fn read<T: serde::de::DeserializeOwned>(value: impl Into<Value>) -> Result<T, ControlError> {
    serde_json::from_value(value.into()).map_err(|error| ControlError::Malformed(error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TruthQuery {
    company: String,
    warehouse: Option<String>,
}

async fn truth(simulator: State, query: web::Query<TruthQuery>) -> Reply {
    let lines = simulator.truth(&query.company, query.warehouse.as_deref(), None)?;
    Ok(HttpResponse::Ok().json(lines))
}

async fn warehouses(simulator: State) -> HttpResponse {
    HttpResponse::Ok().json(simulator.warehouses())
}

/// Names of the fields of [`StockKey`]; all others belong to [`StockChange`].
const KEY_FIELDS: [&str; 9] = [
    "company",
    "item",
    "color",
    "configuration",
    "size",
    "style",
    "version",
    "site",
    "warehouse",
];

/// Takes one object with the fields of key and change side by side.
async fn put_stock(simulator: State, body: web::Json<Map<String, Value>>) -> Reply {
    let (key, change): (Map<_, _>, Map<_, _>) = body
        .into_inner()
        .into_iter()
        .partition(|(name, _)| KEY_FIELDS.contains(&name.as_str()));
    let at = simulator.put_stock(&read(key)?, &read::<StockChange>(change)?)?;
    Ok(HttpResponse::Ok().json(json!({"at": at})))
}

async fn delete_stock(simulator: State, key: web::Query<StockKey>) -> Reply {
    let at = simulator.delete_stock(&key)?;
    Ok(HttpResponse::Ok().json(json!({"at": at})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SalesBody {
    per_second: f64,
}

async fn set_sales(simulator: State, body: web::Json<SalesBody>) -> HttpResponse {
    simulator.set_sales(body.per_second);
    let (per_second, made) = simulator.sales();
    HttpResponse::Ok().json(json!({"per_second": per_second, "made": made}))
}

/// Takes a list of faults. All are read before one is added.
async fn add_faults(simulator: State, body: web::Json<Vec<FaultSpec>>) -> HttpResponse {
    let faults = body.into_inner().into_iter();
    let ids: Vec<u64> = faults.map(|fault| simulator.add_fault(fault)).collect();
    HttpResponse::Ok().json(json!({"ids": ids}))
}

async fn faults(simulator: State) -> HttpResponse {
    HttpResponse::Ok().json(simulator.faults())
}

async fn clear_faults(simulator: State) -> HttpResponse {
    simulator.clear_faults();
    HttpResponse::NoContent().finish()
}

async fn requests(simulator: State) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "counters": simulator.counters(),
        "requests": simulator.requests(0),
    }))
}

async fn set_switches(simulator: State, body: web::Json<Switches>) -> HttpResponse {
    simulator.set_switches(body.into_inner());
    HttpResponse::NoContent().finish()
}

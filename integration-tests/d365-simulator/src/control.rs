//! The control API under `/control/`: [`Simulator`]'s methods over HTTP.
//!
//! It speaks its own JSON, described in the package's README. Large lists come as one JSON document per line.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError, guard, web};
use bytes::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::clock::UtcMillis;
use crate::faults::FaultSpec;
use crate::load_model::LoadModel;
use crate::simulator::Simulator;
use crate::switches::Switches;
use crate::world::{StockChange, StockKey, WorldError};

/// Content type of one JSON document per line.
const LINES: &str = "application/x-ndjson";

/// Why a control request is refused.
#[derive(Debug, Error)]
enum ControlError {
    #[error("the control API wants the header `X-Control-Token` with the configured token")]
    WrongToken,
    #[error(
        "the control API is open on loopback listeners only; start with --control-token to use it elsewhere"
    )]
    NotLoopback,
    #[error("the request is not understood: {0}")]
    Malformed(String),
    #[error(transparent)]
    World(#[from] WorldError),
    #[error("the answer could not be finished: {0}")]
    Unfinished(String),
    #[error("there is no fault {0}")]
    NoSuchFault(u64),
    #[error("the control API has no such address or method; its README lists them")]
    NoSuchAddress,
}

impl ResponseError for ControlError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::NotLoopback => StatusCode::FORBIDDEN,
            Self::Malformed(_)
            | Self::World(
                WorldError::NotADecimal { .. }
                | WorldError::TooLarge { .. }
                | WorldError::MissingKey(_),
            ) => StatusCode::BAD_REQUEST,
            Self::World(WorldError::JournalTooShort(_)) => StatusCode::GONE,
            Self::Unfinished(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::World(_) | Self::NoSuchFault(_) | Self::NoSuchAddress => StatusCode::NOT_FOUND,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(json!({"error": self.to_string()}))
    }
}

type Reply = Result<HttpResponse, ControlError>;

/// Adds the routes. Who may not use them gets the reason on every one.
pub(crate) fn routes(routes: &mut web::ServiceConfig, simulator: &Arc<Simulator>, loopback: bool) {
    let open = loopback || simulator.config().control_token.is_some();
    let token = simulator.config().control_token.clone();
    let scope = web::scope("/control").app_data(web::Data::from(Arc::clone(simulator)));
    if !open {
        routes.service(
            scope.default_service(web::to(|| async { refuse(ControlError::NotLoopback) })),
        );
        return;
    }
    let allowed = guard::fn_guard(move |context| {
        token.as_ref().is_none_or(|token| {
            let sent = context.head().headers().get("x-control-token");
            sent.and_then(|value| value.to_str().ok())
                .is_some_and(|sent| token.matches(sent))
        })
    });
    routes.service(
        scope
            .guard(allowed)
            .app_data(web::QueryConfig::default().error_handler(|error, _| malformed(&error)))
            .app_data(web::JsonConfig::default().error_handler(|error, _| malformed(&error)))
            .route("/clock", web::get().to(clock))
            .route("/truth", web::get().to(truth))
            .route("/journal", web::get().to(journal))
            .route("/variants", web::get().to(variants))
            .route("/warehouses", web::get().to(warehouses))
            .route("/stock", web::put().to(put_stock))
            .route("/stock", web::delete().to(delete_stock))
            .route("/sales", web::get().to(sales))
            .route("/sales", web::post().to(set_sales))
            .route("/faults", web::get().to(faults))
            .route("/faults", web::post().to(add_faults))
            .route("/faults", web::delete().to(clear_faults))
            .route("/faults/{id}", web::delete().to(remove_fault))
            .route("/requests", web::get().to(requests))
            .route("/switches", web::get().to(switches))
            .route("/switches", web::put().to(set_switches))
            .route("/load", web::get().to(load))
            .route("/load", web::put().to(set_load))
            .default_service(web::to(|| async { refuse(ControlError::NoSuchAddress) })),
    );
    routes.service(
        web::scope("/control")
            .default_service(web::to(|| async { refuse(ControlError::WrongToken) })),
    );
}

fn refuse(error: ControlError) -> Reply {
    Err(error)
}

fn not_understood(error: &serde_json::Error) -> ControlError {
    ControlError::Malformed(error.to_string())
}

fn malformed(error: &dyn std::fmt::Display) -> actix_web::Error {
    ControlError::Malformed(error.to_string()).into()
}

type State = web::Data<Simulator>;

async fn clock(simulator: State) -> HttpResponse {
    let complete_since = simulator.journal_complete_since();
    HttpResponse::Ok()
        .json(json!({"now": simulator.now(), "journal_complete_since": complete_since}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TruthQuery {
    company: String,
    warehouse: Option<String>,
    at: Option<UtcMillis>,
}

/// Sent in parts while it is read, so that a million lines are never in memory at once. An instant's truth does
/// not change between the parts.
async fn truth(simulator: State, query: web::Query<TruthQuery>) -> Reply {
    let TruthQuery {
        company,
        warehouse,
        at,
    } = query.into_inner();
    let at = at.unwrap_or_else(|| simulator.now());
    let part = move |after: Option<String>| {
        let (simulator, company, warehouse) =
            (simulator.clone(), company.clone(), warehouse.clone());
        web::block(move || {
            let part =
                simulator.truth_part(&company, warehouse.as_deref(), at, after.as_deref())?;
            Ok::<_, WorldError>((as_lines(&part.lines), part.last))
        })
    };
    // The first part tells whether the question makes sense.
    let first = part(None)
        .await
        .map_err(|error| ControlError::Unfinished(error.to_string()))??;
    let parts = stream::unfold(Some(first), move |ready| {
        let part = part.clone();
        async move {
            let (text, last) = ready?;
            let last = last?;
            let next = match part(Some(last)).await {
                Ok(Ok(next)) => next,
                Ok(Err(error)) => return Some((Err(error.into()), None)),
                Err(error) => {
                    return Some((Err(ControlError::Unfinished(error.to_string())), None));
                }
            };
            Some((Ok(Bytes::from(text)), Some(next)))
        }
    });
    Ok(HttpResponse::Ok().content_type(LINES).streaming(parts))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalQuery {
    company: String,
    item: String,
    warehouse: Option<String>,
}

async fn journal(simulator: State, query: web::Query<JournalQuery>) -> Reply {
    let JournalQuery {
        company,
        item,
        warehouse,
    } = query.into_inner();
    by_line(move || simulator.journal(&company, &item, warehouse.as_deref())).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CompanyQuery {
    company: String,
}

async fn variants(simulator: State, query: web::Query<CompanyQuery>) -> Reply {
    by_line(move || simulator.variants(&query.company)).await
}

async fn warehouses(simulator: State) -> Reply {
    by_line(move || Ok(simulator.warehouses())).await
}

/// One JSON document per line, made on a thread where it holds nobody up.
async fn by_line<T: Serialize>(
    list: impl FnOnce() -> Result<Vec<T>, WorldError> + Send + 'static,
) -> Reply {
    let text = web::block(move || list().map(|lines| as_lines(&lines)));
    let text = text
        .await
        .map_err(|error| ControlError::Unfinished(error.to_string()))??;
    Ok(HttpResponse::Ok().content_type(LINES).body(text))
}

fn as_lines<T: Serialize>(list: &[T]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in list {
        // Texts and numbers always serialise.
        if serde_json::to_writer(&mut text, line).is_ok() {
            text.push(b'\n');
        }
    }
    text
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
    let key: StockKey =
        serde_json::from_value(key.into()).map_err(|error| not_understood(&error))?;
    let change: StockChange =
        serde_json::from_value(change.into()).map_err(|error| not_understood(&error))?;
    let at = simulator.put_stock(&key, &change)?;
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

async fn sales(simulator: State) -> HttpResponse {
    let (per_second, made) = simulator.sales();
    HttpResponse::Ok().json(json!({"per_second": per_second, "made": made}))
}

async fn set_sales(simulator: State, body: web::Json<SalesBody>) -> Reply {
    if !(0.0..=100_000.0).contains(&body.per_second) {
        return Err(ControlError::Malformed(
            "per_second is not between 0 and 100000".to_owned(),
        ));
    }
    simulator.set_sales(body.per_second);
    Ok(sales(simulator).await)
}

/// One fault or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum FaultsBody {
    Many(Vec<Value>),
    One(Value),
}

async fn add_faults(simulator: State, body: web::Json<FaultsBody>) -> Reply {
    let values = match body.into_inner() {
        FaultsBody::Many(values) => values,
        FaultsBody::One(value) => vec![value],
    };
    // All are read before one is added.
    let faults = values
        .into_iter()
        .map(serde_json::from_value::<FaultSpec>)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| not_understood(&error))?;
    let ids: Vec<u64> = faults
        .into_iter()
        .map(|fault| simulator.add_fault(fault))
        .collect();
    Ok(HttpResponse::Ok().json(json!({"ids": ids})))
}

async fn faults(simulator: State) -> HttpResponse {
    HttpResponse::Ok().json(simulator.faults())
}

async fn clear_faults(simulator: State) -> HttpResponse {
    simulator.clear_faults();
    HttpResponse::NoContent().finish()
}

async fn remove_fault(simulator: State, id: web::Path<u64>) -> Reply {
    let id = id.into_inner();
    if simulator.remove_fault(id) {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(ControlError::NoSuchFault(id))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestsQuery {
    #[serde(default)]
    since: u64,
}

async fn requests(simulator: State, query: web::Query<RequestsQuery>) -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "counters": simulator.counters(),
        "requests": simulator.requests(query.since),
    }))
}

async fn switches(simulator: State) -> HttpResponse {
    HttpResponse::Ok().json(simulator.switches())
}

async fn set_switches(simulator: State, body: web::Json<Switches>) -> HttpResponse {
    simulator.set_switches(body.into_inner());
    switches(simulator).await
}

async fn load(simulator: State) -> HttpResponse {
    HttpResponse::Ok().json(simulator.load_report())
}

async fn set_load(simulator: State, body: web::Json<LoadModel>) -> HttpResponse {
    simulator.set_load(body.into_inner());
    load(simulator).await
}

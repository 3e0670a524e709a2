//! One GET under `/data/`: who asks, what for, does it go wrong, and the answer.

use std::sync::Arc;
use std::time::Duration;

use super::condition::Condition;
use super::entities::{EntitySet, Property};
use super::errors::{ODataError, entity_exception};
use super::page::{PageRequest, page};
use super::query::Query;
use super::reach::Reach;
use crate::answer::Answer;
use crate::apps::AppRegistration;
use crate::config::Config;
use crate::faults::{Action, Call, DelayPoint, Fault, Kind, refuse};
use crate::request_log::OpenRecord;
use crate::simulator::Simulator;

/// A GET as it came in.
#[derive(Debug)]
pub(crate) struct DataRequest {
    /// Scheme, host and port that were called.
    pub(crate) origin: String,
    /// Path as sent, still encoded.
    pub(crate) path: String,
    /// Query as sent, without the question mark.
    pub(crate) query: String,
    /// The bearer token.
    pub(crate) token: Option<String>,
}

/// Answers a GET; the record is filled on the way and closed by whoever sends the answer.
pub(crate) async fn answer(
    simulator: &Arc<Simulator>,
    request: DataRequest,
    record: &mut OpenRecord,
) -> Answer {
    let app = simulator.app_of_token(request.token.as_deref(), &request.origin);
    let asked = read(&request);
    let call = classify(asked.as_ref().ok(), app);
    record.classify(&call);
    let faults = simulator.firing(&call);
    record.note_faults(&faults);
    delay_before(&faults).await;
    if let Some(answer) = refuse(&faults, simulator.now()) {
        return answer;
    }
    let query = match (app, asked) {
        (None, _) => return ODataError::Unauthorized.answer(),
        (Some(_), Err(error)) => return error.answer(),
        (Some(_), Ok(query)) => query,
    };
    let (latency, _running) = simulator.admit();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    produce(simulator, request, query, faults).await
}

/// Reads rows on a thread where a long sort holds nobody up.
async fn produce(
    simulator: &Arc<Simulator>,
    request: DataRequest,
    query: Query,
    faults: Vec<Fault>,
) -> Answer {
    let simulator = Arc::clone(simulator);
    let produced = tokio::task::spawn_blocking(move || {
        let here = format!("{}{}?{}", request.origin, request.path, request.query);
        let wanted = PageRequest {
            query: &query,
            origin: &request.origin,
            here: &here,
            numbers: simulator.switches().numbers,
            page_size: simulator.config().page_size,
            default_company: Config::DEFAULT_COMPANY,
            faults: &faults,
        };
        simulator.reading(|world| page(world, &wanted))
    });
    produced.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a page could not be produced");
        entity_exception()
    })
}

/// `/data/<set>`; the first segment may be written in any case.
fn read(request: &DataRequest) -> Result<Query, ODataError> {
    let not_found = || ODataError::NotFound(format!("{}{}", request.origin, request.path));
    let segments: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    match segments[..] {
        [root, name] if root.eq_ignore_ascii_case("data") => {
            let set = EntitySet::named(name).ok_or_else(not_found)?;
            Query::read(set, &request.query)
        }
        _ => Err(not_found()),
    }
}

fn classify(asked: Option<&Query>, app: Option<&AppRegistration>) -> Call {
    let mut call = Call {
        kind: Kind::Other,
        warehouses: Vec::new(),
        app: app.map(|app| app.client_id.clone()),
    };
    let Some(query) = asked else {
        return call;
    };
    if let Some(filter) = &query.filter
        && let Reach::Points(named) = Reach::of(filter, Property::Warehouse)
    {
        call.warehouses = named.into_iter().collect();
    }
    call.kind = match query.set {
        EntitySet::ReleasedVariants => Kind::Variants,
        EntitySet::Warehouses => Kind::Warehouses,
        EntitySet::WarehousesOnHand if names_items(query) => Kind::Lookup,
        EntitySet::WarehousesOnHand => Kind::Page,
    };
    call
}

/// Whether the query asks for named items and not for a stretch of a list.
fn names_items(query: &Query) -> bool {
    let by_position = query.top.is_some() || query.skip > 0;
    let named =
        |filter: &Condition| matches!(Reach::of(filter, Property::ItemNumber), Reach::Points(_));
    !by_position && query.filter.as_ref().is_some_and(named)
}

/// Waits as long as faults want before anything is read.
pub(crate) async fn delay_before(faults: &[Fault]) {
    let delay: u64 = faults
        .iter()
        .map(|fault| match fault.action {
            Action::Delay {
                ms,
                at: DelayPoint::BeforeRead,
            } => ms,
            _ => 0,
        })
        .sum();
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
}

//! One GET under `/data/`: who asks, what for, does it go wrong, and the answer.

use std::sync::Arc;
use std::time::Duration;

use super::entities::{EntitySet, Property};
use super::errors::ODataError;
use super::filter::{self, Expression, Reach};
use super::page::{self, PageRequest};
use super::query::Query;
use crate::answer::Answer;
use crate::apps::AppRegistration;
use crate::faults::{Action, Call, DelayPoint, Fault, Kind, refuse};
use crate::load_model::Admission;
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
    /// Page size asked for with `Prefer`.
    pub(crate) preferred: Option<usize>,
}

/// What the path and query ask for.
enum Asked {
    ServiceDocument,
    Page(Query),
    Count(Query),
}

/// Answers a GET; the record is filled on the way and closed by whoever sends the answer.
pub(crate) async fn answer(
    simulator: &Arc<Simulator>,
    request: DataRequest,
    record: &mut OpenRecord,
) -> Answer {
    let app = simulator.app_of_token(request.token.as_deref(), &request.origin);
    let asked = read(&request, simulator.switches().max_query_chars);
    let call = classify(asked.as_ref(), app);
    record.classify(&call);
    let faults = simulator.firing(&call);
    record.note_faults(&faults);
    delay_before(&faults).await;
    if let Some(answer) = refuse(&faults, simulator.now()) {
        return answer;
    }
    let asked = match (app, asked) {
        (None, _) => return ODataError::Unauthorized.answer(),
        (Some(_), Err(error)) => return error.answer(),
        (Some(_), Ok(asked)) => asked,
    };
    let priority = app.map(|app| app.priority).unwrap_or_default();
    let skip = match &asked {
        Asked::Page(query) => query.skip,
        _ => 0,
    };
    let load = simulator.load();
    let _running = match load.admit(priority, skip) {
        Admission::Refused { retry_after } => {
            return crate::faults::throttled(
                crate::faults::RetryAfter::Seconds(retry_after),
                crate::faults::ThrottleBody::WebApi,
                simulator.now(),
            );
        }
        Admission::Granted { latency, running } => {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            running
        }
    };
    produce(simulator, request, asked, faults).await
}

/// Reads rows on a thread where a long sort holds nobody up.
async fn produce(
    simulator: &Arc<Simulator>,
    request: DataRequest,
    asked: Asked,
    faults: Vec<Fault>,
) -> Answer {
    let simulator = Arc::clone(simulator);
    let produced = tokio::task::spawn_blocking(move || {
        let switches = simulator.switches();
        let query = match &asked {
            Asked::ServiceDocument => return page::service_document(&request.origin),
            Asked::Page(query) | Asked::Count(query) => query,
        };
        let here = format!("{}{}?{}", request.origin, request.path, request.query);
        let wanted = PageRequest {
            query,
            origin: &request.origin,
            here: &here,
            switches: &switches,
            page_size: simulator.page_size(),
            preferred: request.preferred,
            default_company: simulator.default_company(),
            shuffle_seed: simulator.next_seed(),
            faults: &faults,
        };
        simulator.reading(|world| match &asked {
            Asked::Count(_) => page::count(world, &wanted),
            _ => page::page(world, &wanted),
        })
    });
    produced.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a page could not be produced");
        super::errors::entity_exception()
    })
}

fn read(request: &DataRequest, max_query_chars: usize) -> Result<Asked, ODataError> {
    if max_query_chars > 0 && request.query.len() > max_query_chars {
        return Err(ODataError::QueryTooLong);
    }
    let not_found = || ODataError::NotFound(format!("{}{}", request.origin, request.path));
    let path = percent_encoding::percent_decode_str(&request.path)
        .decode_utf8()
        .map_err(|_source| not_found())?;
    let mut segments = path.trim_start_matches('/').split('/');
    let root = segments.next().unwrap_or_default();
    if !root.eq_ignore_ascii_case("data") {
        return Err(not_found());
    }
    let rest: Vec<&str> = segments.collect();
    let set = |name: &str| EntitySet::named(name).ok_or_else(not_found);
    match rest.as_slice() {
        [] | [""] => Ok(Asked::ServiceDocument),
        [name] => Ok(Asked::Page(Query::read(set(name)?, &request.query)?)),
        [name, "$count"] => Ok(Asked::Count(Query::read(set(name)?, &request.query)?)),
        _ => Err(not_found()),
    }
}

fn classify(asked: Result<&Asked, &ODataError>, app: Option<&AppRegistration>) -> Call {
    let mut call = Call {
        kind: Kind::Other,
        warehouses: Vec::new(),
        company: None,
        app: app.map(|app| app.client_id.clone()),
    };
    let Ok(Asked::Page(query) | Asked::Count(query)) = asked else {
        return call;
    };
    if let Some(filter) = &query.filter {
        let company = filter::reach(filter, Property::Company);
        call.company = company.single().map(str::to_owned);
        if let Reach::Points(named) = filter::reach(filter, Property::Warehouse) {
            call.warehouses = named.into_iter().collect();
        }
    }
    call.kind = match (asked, query.set) {
        (Ok(Asked::Count(_)), _) => Kind::Count,
        (_, EntitySet::ReleasedVariants) => Kind::Variants,
        (_, EntitySet::Warehouses) => Kind::Warehouses,
        _ if names_items(query) => Kind::Lookup,
        _ => Kind::Page,
    };
    call
}

/// Whether the query asks for named items and not for a stretch of a list.
fn names_items(query: &Query) -> bool {
    let by_position = query.top.is_some() || query.skip > 0;
    let named = |filter: &Expression| {
        matches!(
            filter::reach(filter, Property::ItemNumber),
            Reach::Points(_)
        )
    };
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

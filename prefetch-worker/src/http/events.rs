//! Events of D365: hints that an item has changed. Nothing in them is believed but the name of the
//! item; it is read again.
//!
//! Two shapes come in: a list of Event Grid events (the first of them asks whether we want them), and
//! one bare object, as D365's own HTTPS endpoint sends it.

use super::json_body;
use super::refusal::Refusal;
use crate::metrics;
use crate::refresh::events::Hints;
use crate::worker::{TenantFeed, Worker};
use actix_web::web::{Data, Payload};
use actix_web::{Error, HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use shared::d365::check_askable;
use shared::http::feedback::Feedback;
use shared::http::secret_headers::EVENT_KEY;
use shared::settings::Secret;
use shared::stock::{ItemNumber, WarehouseId};
use utoipa::ToSchema;

/// Events of one request: what Event Grid sends at most by default.
pub(crate) const MOST_EVENTS: usize = 100;
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";
/// Where the properties of an event may stand.
const PLACES: [&str; 2] = ["data", "body"];

/// What became of the events.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct EventsReply {
    /// Events that lead to a reading.
    taken: usize,
    /// Events that came before.
    repeated: usize,
    /// Events that name nothing that is read here.
    ignored: usize,
    /// The answer to Event Grid's question whether events are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    validation_response: Option<String>,
}

/// The key may also stand in the address, where a sender cannot set headers.
#[derive(Deserialize)]
struct Query {
    code: Option<String>,
}

enum Hint<'w> {
    Item(&'w TenantFeed, ItemNumber),
    Warehouse(&'w TenantFeed, &'w WarehouseId),
}

/// Take events of D365.
///
/// Business and data events, as Event Grid or D365's own HTTPS endpoint sends them: hints that an item
/// or a warehouse has changed. What they name is read again within seconds; no number is taken from
/// them. Senders show the configured key in `X-Connector-Key` or as `code` in the address.
#[utoipa::path(
    post, path = "/inventoryPrefetcher/v1/events", operation_id = "takeEvents", tag = "prefetch",
    params(
        ("X-Connector-Key" = Option<String>, Header, description = "The key of `worker.events`."),
        ("code" = Option<String>, Query, description = "The same key, for senders without headers."),
    ),
    request_body(content = Object, description = "One event, or a list of at most 100."),
    security(()),
    responses(
        (status = 200, description = "What became of them.", body = EventsReply),
        (status = 400, description = "Not the JSON that was expected.", body = Feedback),
        (status = 401, description = "Not the configured key.", body = Feedback),
        (status = 404, description = "No key is configured: no events are taken.", body = Feedback),
        (status = 413, description = "Too large; the limit is in the parameters.", body = Feedback),
        (status = 415, description = "Not application/json.", body = Feedback),
        (status = 422, description = "Something in it is no event.", body = Feedback),
        (status = 429, description = "Too many hints wait; deliver again.", body = Feedback),
        (status = 503, description = "Redis cannot be reached; deliver again.", body = Feedback),
    )
)]
pub(crate) async fn take_events(
    request: HttpRequest,
    worker: Data<Worker>,
    hints: Data<Hints>,
    payload: Payload,
) -> Result<HttpResponse, Error> {
    let Some(secret) = &worker.settings.events.secret else {
        return Err(Refusal::NoEvents.into());
    };
    if !is_allowed(&request, secret) {
        metrics::event("refused");
        return Err(Refusal::WrongKey.into());
    }
    let body = json_body::read(&request, payload).await?;
    Ok(take_all(&worker, &hints, body).await?)
}

async fn take_all(worker: &Worker, hints: &Hints, body: Value) -> Result<HttpResponse, Refusal> {
    let events = match body {
        Value::Array(events) => events,
        event @ Value::Object(_) => vec![event],
        _ => return Err(Refusal::invalid("$", "an event or a list of events")),
    };
    if events.len() > MOST_EVENTS {
        return Err(Refusal::too_many("$", MOST_EVENTS));
    }
    let mut reply = EventsReply::default();
    for (at, event) in events.iter().enumerate() {
        let Value::Object(event) = event else {
            return Err(Refusal::invalid(&format!("$[{at}]"), "no event"));
        };
        if text(event, &["eventType"]) == Some(VALIDATION) {
            let code = event
                .get("data")
                .and_then(|data| data["validationCode"].as_str());
            reply.validation_response = code.map(str::to_owned);
            continue;
        }
        take_one(worker, hints, event, &mut reply).await?;
    }
    Ok(HttpResponse::Ok().json(reply))
}

async fn take_one(
    worker: &Worker,
    hints: &Hints,
    event: &Map<String, Value>,
    reply: &mut EventsReply,
) -> Result<(), Refusal> {
    let hinted = hints_of(worker, event);
    if hinted.is_empty() {
        metrics::event("ignored");
        reply.ignored += 1;
        return Ok(());
    }
    let id = text(event, &["id", "EventId"]);
    if let Some(id) = id {
        let is_new = worker.store.note_event(id).await.map_err(|error| {
            tracing::warn!(%error, "an event could not be noted; the sender is asked to come again");
            Refusal::CacheUnavailable
        })?;
        if !is_new {
            metrics::event("repeated");
            reply.repeated += 1;
            return Ok(());
        }
    }
    let mut taken = true;
    for hint in hinted {
        taken &= match hint {
            Hint::Item(feed, item) => hints.add(feed.id(), item).is_ok(),
            Hint::Warehouse(feed, warehouse) => worker
                .store
                .make_due(feed.id(), warehouse.key())
                .await
                .is_ok(),
        };
    }
    if taken {
        metrics::event("taken");
        reply.taken += 1;
        return Ok(());
    }
    // The sender will deliver it again, and must not count as repeated then.
    if let Some(id) = id
        && let Err(error) = worker.store.forget_event(id).await
    {
        tracing::warn!(%error, "an event that was not taken stays noted for ten minutes");
    }
    metrics::event("too_many");
    Err(Refusal::QueueFull)
}

/// What an event hints at, in each tenant it may mean: an environment for production and one for
/// trying things out have the same companies.
fn hints_of<'w>(worker: &'w Worker, event: &Map<String, Value>) -> Vec<Hint<'w>> {
    let settings = &worker.settings.events;
    let company = text(event, &[&settings.legal_entity_field]);
    let item = text(event, &[&settings.item_field]);
    let warehouse = text(event, &[&settings.warehouse_field]);
    let is_meant = |feed: &&TenantFeed| match company {
        Some(company) => feed.settings.legal_entity.is_named_by(company),
        None => worker.feeds.len() == 1,
    };
    let hint = |feed: &'w TenantFeed| match item {
        Some(item) => ItemNumber::parse(item)
            .ok()
            .filter(|item| check_askable(item.as_str()).is_ok())
            .map(|item| Hint::Item(feed, item)),
        None => feed
            .settings
            .warehouses
            .iter()
            .find(|known| warehouse.is_some_and(|named| known.is_named_by(named)))
            .map(|known| Hint::Warehouse(feed, known)),
    };
    worker
        .feeds
        .iter()
        .filter(is_meant)
        .filter_map(hint)
        .collect()
}

/// A property of an event, at its top or one level below.
fn text<'e>(event: &'e Map<String, Value>, names: &[&str]) -> Option<&'e str> {
    let below = PLACES
        .iter()
        .filter_map(|place| event.get(*place)?.as_object());
    std::iter::once(event).chain(below).find_map(|properties| {
        names
            .iter()
            .find_map(|name| properties.get(*name)?.as_str())
    })
}

/// Hashes are compared, so that the time it takes tells nothing about the secret.
fn is_allowed(request: &HttpRequest, secret: &Secret) -> bool {
    let header = request
        .headers()
        .get(EVENT_KEY)
        .and_then(|value| value.to_str().ok().map(str::to_owned));
    let code = || {
        let query = actix_web::web::Query::<Query>::from_query(request.query_string()).ok()?;
        query.into_inner().code
    };
    header.or_else(code).is_some_and(|shown| {
        Sha256::digest(shown.as_bytes()) == Sha256::digest(secret.expose().as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn properties_are_found_at_the_top_and_one_level_below() {
        for event in [
            json!({ "ItemNumber": "A1" }),
            json!({ "id": "1", "data": { "ItemNumber": "A1" } }),
            json!({ "body": { "ItemNumber": "A1" } }),
        ] {
            let event = event.as_object().unwrap();
            assert_eq!(text(event, &["ItemNumber"]), Some("A1"), "{event:?}");
        }
        let other = json!({ "data": { "more": { "ItemNumber": "A1" } }, "itemnumber": "A1" });
        assert_eq!(text(other.as_object().unwrap(), &["ItemNumber"]), None);
    }
}

//! question -> store (and D365) -> answer -> reply.

use super::reply::{Answered, StockReply};
use super::request::{Severity, StockQuestion};
use super::validators::{Validators, is_known_to};
use crate::error::ApiError;
use crate::http::priority::Priority;
use crate::http::{body, json_reply, request_gate};
use crate::live::failure::{LiveFailure, OnLiveFailure};
use crate::live_desk::LiveDesk;
use crate::live_desk::gathered::{Gathered, Wanted, gather};
use crate::live_look_up::Deadline;
use crate::metrics;
use crate::state::AppState;
use crate::stock::availability::Freshness;
use crate::stock::evidence::{self, Evidence};
use crate::stock::feed::{Feed, FeedState};
use crate::stock::reply_parts::{Ages, FeedSummary, ReplyContext, WriteThrough};
use crate::tenants::scope::{Scope, rights_of};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use shared::http::caller_key::CallerKey;
use shared::http::shares::Share;
use shared::redis_store::StockReader;
use shared::stock::{AsOf, Sku, StockState};
use std::time::Duration;

/// Bytes a line takes in a reply, about.
const BYTES_PER_LINE: usize = 280;

/// What is known about everything asked for.
struct Known {
    evidence: Vec<Evidence>,
    feeds: Vec<Feed>,
    degraded: Option<&'static str>,
    write_through: Option<WriteThrough>,
}

/// `POST /inventory/v1/inventories`
pub(crate) async fn post(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
    reader: Data<StockReader>,
) -> Result<HttpResponse, ApiError> {
    let body = body::read(&request, payload, &state).await?;
    let question = StockQuestion::of_body(&body, &state.settings)?;
    let scope = scope_of(&request, &question, &state)?;
    let deadline = Deadline::of(&request, &state.clock, question.timeout);
    let room = room(&request, &question, &scope, &state).await?;
    let known = know(&question, &scope, &state, &reader, &deadline).await?;
    let answered = answered(&question, &scope, &known);
    let reply = StockReply::of(&answered, context(&question, &scope, &state));
    metrics::lines(reply.told().iter().map(|told| (told.source, told.state)));
    let body = json_reply::written(&reply, expected_bytes(&question, &scope))?;
    Ok(json_reply::send_holding(
        HttpResponse::Ok(),
        request.headers(),
        body,
        room,
    ))
}

/// `GET /inventory/v1/inventories`: the FAST twin, for caches in between.
pub(crate) async fn get(
    request: HttpRequest,
    state: Data<AppState>,
    reader: Data<StockReader>,
) -> Result<HttpResponse, ApiError> {
    let question = StockQuestion::of_query(request.query_string(), &state.settings)?;
    let scope = scope_of(&request, &question, &state)?;
    let deadline = Deadline::of(&request, &state.clock, question.timeout);
    let room = room(&request, &question, &scope, &state).await?;
    let known = know(&question, &scope, &state, &reader, &deadline).await?;
    let answered = answered(&question, &scope, &known);
    let context = context(&question, &scope, &state);
    let reply_now = StockReply::of(&answered, context);
    let ages = Ages::LeftOut;
    let ageless = StockReply::of(&answered, ReplyContext { ages, ..context });
    metrics::lines(
        reply_now
            .told()
            .iter()
            .map(|told| (told.source, told.state)),
    );
    let body = json_reply::written(&reply_now, expected_bytes(&question, &scope))?;
    let is_compressed = json_reply::is_compressed_for(request.headers(), body.len());
    let ageless = json_reply::written(&ageless, body.len())?;
    let validators = Validators::of(
        &ageless,
        &reply_now,
        FeedSummary::of(&known.feeds),
        context.freshness.now,
        is_compressed,
    );
    if is_known_to(request.headers(), &validators) {
        let mut reply = HttpResponse::NotModified();
        validators.insert_into(&mut reply);
        return Ok(reply.finish());
    }
    let mut reply = HttpResponse::Ok();
    validators.insert_into(&mut reply);
    Ok(json_reply::send_holding(
        reply,
        request.headers(),
        body,
        room,
    ))
}

/// Room for the reply, which may be large: so many lines cost as much whoever reads them, or does not.
async fn room(
    request: &HttpRequest,
    question: &StockQuestion<'_>,
    scope: &Scope,
    state: &AppState,
) -> Result<Option<Share>, ApiError> {
    let lines = question.skus.all().len() * scope.warehouses.len();
    let caller = CallerKey::of(request);
    state
        .large_bodies
        .room_for(lines, caller, question.timeout)
        .await
}

fn scope_of(
    request: &HttpRequest,
    question: &StockQuestion<'_>,
    state: &AppState,
) -> Result<Scope, ApiError> {
    let longest = state.settings.limits.warehouses;
    let may_ask = rights_of(request)?;
    let asked = &question.scope;
    let scope = asked.resolve(&state.directory(), longest, &may_ask)?;
    if question.severity == Severity::Exact
        && let Some(live) = &scope.tenant.live
    {
        let live = live.look_up();
        question.skus.check_each(|sku| live.check_askable(sku))?;
    }
    Ok(scope)
}

async fn know(
    question: &StockQuestion<'_>,
    scope: &Scope,
    state: &AppState,
    reader: &StockReader,
    deadline: &Deadline,
) -> Result<Known, ApiError> {
    request_gate::check_browsing(state, question.skus.all().len())?;
    state.asked.note(&scope.tenant.id, question.skus.all());
    match question.severity {
        Severity::Fast => know_fast(question, scope, state, reader, deadline).await,
        Severity::Exact => know_exact(question, scope, state, reader, deadline).await,
    }
}

async fn know_fast(
    question: &StockQuestion<'_>,
    scope: &Scope,
    state: &AppState,
    reader: &StockReader,
    deadline: &Deadline,
) -> Result<Known, ApiError> {
    let skus = question.skus.all();
    let reading = reader
        .read_many(&scope.tenant.id, &scope.warehouses, skus)
        .await
        .map_err(|cause| ApiError::CacheUnavailable { cause: Some(cause) })?
        .under(scope.tenant.fingerprint);
    let now = state.clock.now();
    let mut evidence = evidence::of_reading(&reading, skus, now, state.store.line_ttl());
    evidence::hold_back(&mut evidence, &reading.held, &scope.warehouses, now, &[]);
    let mut known = Known {
        evidence,
        feeds: state.feeds(&scope.tenant, reading.feeds),
        degraded: None,
        write_through: None,
    };
    if let Some(max_age) = question.max_age {
        let old = Old { now, max_age };
        renew_old(&mut known, question, scope, state, reader, (old, deadline)).await;
    }
    let nothing_is_known = known
        .evidence
        .iter()
        .all(|evidence| *evidence == Evidence::NONE);
    let nothing_was_read = known
        .feeds
        .iter()
        .all(|feed| matches!(feed.state, FeedState::Cold | FeedState::Warming));
    if nothing_is_known && nothing_was_read {
        return Err(ApiError::CacheCold);
    }
    Ok(known)
}

/// What is older than the caller takes.
#[derive(Debug, Clone, Copy)]
struct Old {
    now: AsOf,
    max_age: Duration,
}

impl Old {
    fn is(self, evidence: &Evidence) -> bool {
        let is_too_old = |as_of: AsOf| as_of.age_at(self.now) > self.max_age;
        evidence.judged.state == StockState::Unknown
            || evidence.judged.as_of.is_some_and(is_too_old)
    }
}

/// Asks D365 for what is older than the caller takes, if there is room; otherwise it stays stale.
async fn renew_old(
    known: &mut Known,
    question: &StockQuestion<'_>,
    scope: &Scope,
    state: &AppState,
    reader: &StockReader,
    (old, deadline): (Old, &Deadline),
) {
    let priority = Priority::of_browsing(question.skus.all().len());
    let Some(live) = scope
        .tenant
        .live
        .as_ref()
        .map(LiveDesk::look_up)
        .filter(|live| live.has_room(priority, deadline))
    else {
        return;
    };
    let warehouses = scope.warehouses.len();
    let (numbers, skus): (Vec<usize>, Vec<Sku>) = question
        .skus
        .all()
        .iter()
        .zip(known.evidence.chunks(warehouses))
        .enumerate()
        .filter(|(_, (sku, evidence))| {
            evidence.iter().any(|evidence| old.is(evidence)) && live.check_askable(sku).is_ok()
        })
        .map(|(number, (sku, _))| (number, sku.clone()))
        .unzip();
    if skus.is_empty() || skus.len() > state.settings.limits.live_skus {
        return;
    }
    let wanted = Wanted {
        scope,
        skus: &skus,
        own: &[],
        priority,
    };
    let gathered = gather(state, reader, wanted, deadline).await;
    for (at, number) in numbers.into_iter().enumerate() {
        for warehouse in 0..warehouses {
            let from = at * warehouses + warehouse;
            if gathered.is_answered[from] {
                known.evidence[number * warehouses + warehouse] = gathered.evidence[from];
            }
        }
    }
    known.degraded = gathered.failure.as_ref().map(LiveFailure::code);
    known.write_through = gathered.write_through;
}

async fn know_exact(
    question: &StockQuestion<'_>,
    scope: &Scope,
    state: &AppState,
    reader: &StockReader,
    deadline: &Deadline,
) -> Result<Known, ApiError> {
    let wanted = Wanted {
        scope,
        skus: question.skus.all(),
        own: &[],
        priority: Priority::of_browsing(question.skus.all().len()),
    };
    let Gathered {
        evidence,
        feeds,
        failure,
        write_through,
        ..
    } = gather(state, reader, wanted, deadline).await;
    let degraded = match (failure, question.on_live_failure) {
        (None, _) => None,
        (Some(failure), OnLiveFailure::Cache) => Some(failure.code()),
        (Some(failure), OnLiveFailure::Fail) => {
            return Err(ApiError::Live {
                failure,
                policy: "fail",
            });
        }
    };
    Ok(Known {
        evidence,
        feeds: state.feeds(&scope.tenant, feeds),
        degraded,
        write_through,
    })
}

fn answered<'a>(question: &'a StockQuestion<'_>, scope: &Scope, known: &'a Known) -> Answered<'a> {
    Answered {
        skus: &question.skus,
        severity: question.severity,
        evidence: &known.evidence,
        feeds: &known.feeds,
        refresh_interval: scope.tenant.refresh_interval,
        degraded: known.degraded,
        write_through: known.write_through,
    }
}

fn context<'a>(
    question: &StockQuestion<'_>,
    scope: &'a Scope,
    state: &AppState,
) -> ReplyContext<'a> {
    ReplyContext {
        warehouses: &scope.warehouses,
        policy: &scope.policy,
        freshness: Freshness {
            now: state.clock.now(),
            stale_after: question
                .max_age
                .unwrap_or_else(|| state.stale_after(&scope.tenant)),
        },
        ages: Ages::Told,
    }
}

fn expected_bytes(question: &StockQuestion<'_>, scope: &Scope) -> usize {
    question.skus.all().len() * scope.warehouses.len() * BYTES_PER_LINE + 512
}

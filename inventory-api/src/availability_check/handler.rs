//! question -> D365 (and the cache beside it) -> verdict -> reply.

use super::reply::{CheckReply, Checked};
use super::request::OrderQuestion;
use super::verdict::{Fallback, Rules, Verdict, decide};
use crate::error::ApiError;
use crate::live_look_up::{Deadline, Gathered, LiveFailure, Wanted, gather};
use crate::reply_parts::{Ages, Manner};
use crate::state::AppState;
use crate::stock_query::answer::{Freshness, Told};
use crate::{json_reply, metrics, request_bytes};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use shared::redis_store::StockReader;

/// Bytes a line takes in a reply, about.
const BYTES_PER_LINE: usize = 400;

/// `POST /inventory/v1/availability-checks`
pub(crate) async fn post(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
    reader: Data<StockReader>,
) -> Result<HttpResponse, ApiError> {
    let body = request_bytes::read(&request, payload, &state.settings.limits).await?;
    let question = OrderQuestion::of_body(&body, &state.settings)?;
    let deadline = Deadline::begin(&state.clock, question.timeout);
    let limits = &state.settings.limits;
    let scope = question
        .scope
        .resolve(&state.directory(), limits.warehouses)?;
    if let Some(live) = &scope.tenant.live {
        live.check_all_askable(&question.skus)?;
    }
    let fallback = Fallback::of(question.on_live_failure, &scope.policy);
    let wanted = Wanted {
        scope: &scope,
        skus: question.skus.all(),
        timeout: question.timeout,
    };
    state.asked.note(&scope.tenant.id, question.skus.all());
    let mut gathered = gather(&state, &reader, wanted, &deadline).await;
    if let Some(failure) = gathered.failure.take_if(|_| fallback.is_refusal()) {
        let policy = fallback.as_str();
        return Err(ApiError::Live { failure, policy });
    }
    let manner = Manner {
        warehouses: &scope.warehouses,
        policy: &scope.policy,
        freshness: Freshness {
            now: state.clock.now(),
            stale_after: state.stale_after(&scope.tenant),
        },
        ages: Ages::Told,
    };
    let verdicts = verdicts(&question, &gathered, fallback, &manner);
    let told: Vec<Told> = verdicts.iter().map(|verdict| verdict.told).collect();
    metrics::lines(&told);
    let checked = Checked {
        skus: &question.skus,
        verdicts: &verdicts,
        evidence: &gathered.evidence,
        feeds: &state.feeds(&scope.tenant, &gathered.snapshots),
        refresh_interval: scope.tenant.refresh_interval,
        fallback,
        live_failure: gathered.failure.as_ref().map(LiveFailure::code),
        write_through: gathered.write_through,
    };
    let reply = CheckReply::of(&checked, &manner);
    let expected = gathered.evidence.len() * BYTES_PER_LINE + 512;
    let body = json_reply::written(&reply, expected)?;
    Ok(json_reply::send(
        HttpResponse::Ok(),
        request.headers(),
        body,
    ))
}

fn verdicts(
    question: &OrderQuestion<'_>,
    gathered: &Gathered,
    fallback: Fallback,
    manner: &Manner<'_>,
) -> Vec<Verdict> {
    let warehouses = manner.warehouses.len().max(1);
    let rules = Rules {
        policy: manner.policy,
        fallback,
        freshness: manner.freshness,
    };
    question
        .requested
        .iter()
        .zip(gathered.evidence.chunks(warehouses))
        .zip(gathered.is_answered.chunks(warehouses))
        .map(|((requested, evidence), is_answered)| {
            let is_answered = is_answered.iter().all(|answered| *answered);
            decide(*requested, evidence, is_answered, rules)
        })
        .collect()
}

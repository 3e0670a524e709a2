//! question -> D365 (and the cache beside it) -> verdict -> hold -> reply.

use super::reply::{CheckReply, Checked, HoldWord};
use super::request::{OrderQuestion, Share};
use super::verdict::{Fallback, Rules, Verdict, decide, decided_before};
use crate::error::ApiError;
use crate::http::priority::Priority;
use crate::http::{body, json_reply};
use crate::live::failure::LiveFailure;
use crate::live_desk::gathered::{Gathered, Wanted, gather};
use crate::live_look_up::Deadline;
use crate::metrics;
use crate::orders::names;
use crate::orders::placing::{Asked, Commit, Judge, Placed, place, recall};
use crate::state::AppState;
use crate::stock::evidence::{self, Evidence};
use crate::stock::wire::ReplyContext;
use crate::tenants::scope::{Scope, rights_of};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use shared::redis_store::StockReader;
use shared::stock::{AsOf, HoldOwner};
use std::time::Duration;

/// Longest time kept back from the ERP for holding what it grants.
const LONGEST_HOLDING: Duration = Duration::from_millis(150);
/// Bytes a line takes in a reply, about.
const BYTES_PER_LINE: usize = 400;

/// `POST /inventory/v1/availability-checks`
pub(crate) async fn post(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
    reader: Data<StockReader>,
) -> Result<HttpResponse, ApiError> {
    let body = body::read(&request, payload, &state).await?;
    let question = OrderQuestion::of_body(&body, &state.settings)?;
    let reservation = question.reservation.clone().map(HoldOwner::Reservation);
    let order = question.order.clone().map(HoldOwner::Order);
    let own: Vec<HoldOwner> = order.iter().chain(&reservation).cloned().collect();
    let commit = order.filter(|_| question.is_commit).map(|owner| Commit {
        owner,
        reservation,
        time: state.settings.orders.hold,
        must_exist: false,
    });
    let check = Check {
        request: &request,
        question: &question,
        own: &own,
        commit: commit.as_ref(),
    };
    let (body, _) = answer(check, &state, &reader).await?;
    Ok(json_reply::send(
        HttpResponse::Ok(),
        request.headers(),
        body,
    ))
}

/// A check that is to be answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check<'a> {
    /// Its request.
    pub request: &'a HttpRequest,
    /// What is asked.
    pub question: &'a OrderQuestion<'a>,
    /// Whose holds do not stand in its way.
    pub own: &'a [HoldOwner],
    /// For whom what is granted is held, if it is to be.
    pub commit: Option<&'a Commit>,
}

/// Answers a check; gives back the reply and what became of the hold.
pub(crate) async fn answer(
    check: Check<'_>,
    state: &AppState,
    reader: &StockReader,
) -> Result<(Vec<u8>, Option<HoldWord>), ApiError> {
    let question = check.question;
    let deadline = Deadline::of(check.request, &state.clock, question.timeout);
    let limits = &state.settings.limits;
    let may_ask = rights_of(check.request)?;
    let scope = question
        .scope
        .resolve(&state.directory(), limits.warehouses, &may_ask)?;
    let own = Box::pin(names::of_check(state, &scope, check.own, &deadline)).await?;
    let commit = check.commit.map(|commit| commit.named(&own));
    let check = Check {
        own: &own,
        commit: commit.as_ref(),
        ..check
    };
    if let Some(live) = &scope.tenant.live {
        let live = live.look_up();
        question.skus.check_each(|sku| live.check_askable(sku))?;
    }
    let fallback = Fallback::of(question.on_live_failure, &scope.policy);
    let asked = Asked {
        scope: &scope,
        skus: question.skus.all(),
        requested: &question.requested,
    };
    state.asked.note(&scope.tenant.id, question.skus.all());
    let before = match check.commit {
        Some(commit) => recall(state, asked, commit, &deadline).await?,
        None => None,
    };
    let outcome = match before {
        Some(until) => repeat(check, &scope, state, reader, (&deadline, until)).await,
        None => decide_now(check, asked, state, reader, (&deadline, fallback)).await?,
    };
    let context = ReplyContext::of(&scope, state, None);
    let verdicts = outcome.verdicts.iter();
    metrics::lines(
        verdicts.map(|verdict| (verdict.availability.source, verdict.availability.state)),
    );
    let hold = outcome.hold.map(|(hold, _)| hold);
    let gathered = &outcome.gathered;
    let of_skus: Vec<&[Evidence]> = context.by_sku(&gathered.evidence).collect();
    let shares = question.shares(outcome.verdicts.iter().map(|verdict| verdict.granted));
    let of_spelling = |share: Share| {
        let verdict = Verdict {
            requested: share.requested,
            granted: share.given,
            ..outcome.verdicts[share.number]
        };
        (verdict, of_skus[share.number])
    };
    let lines: Vec<(Verdict, &[Evidence])> = shares.into_iter().map(of_spelling).collect();
    let held_for = check.commit.zip(outcome.hold);
    let checked = Checked {
        skus: &question.spellings,
        lines: &lines,
        feeds: &state.feeds(&scope.tenant, gathered.feeds.iter().copied()),
        fallback,
        live_failure: gathered.failure.as_ref().map(LiveFailure::code),
        write_through: gathered.write_through,
        hold: held_for.map(|(commit, (hold, until))| (&commit.owner, hold, until)),
    };
    let reply = CheckReply::of(&checked, &context);
    let expected = lines.len() * scope.warehouses.len() * BYTES_PER_LINE + 512;
    Ok((json_reply::written(&reply, expected)?, hold))
}

/// What a check came to.
struct Outcome {
    gathered: Gathered,
    verdicts: Vec<Verdict>,
    hold: Option<(HoldWord, Option<AsOf>)>,
}

/// The same order again: what it was granted stands, whatever D365 says by now.
async fn repeat(
    check: Check<'_>,
    scope: &Scope,
    state: &AppState,
    reader: &StockReader,
    (deadline, until): (&Deadline, AsOf),
) -> Outcome {
    let skus = check.question.skus.all();
    let reading = reader.read_each_hold(&scope.tenant.id, &scope.warehouses, skus);
    let mut gathered = Gathered {
        evidence: vec![Evidence::NONE; skus.len() * scope.warehouses.len()],
        is_answered: Vec::new(),
        feeds: Vec::new(),
        failure: None,
        write_through: None,
    };
    if let Some(Ok(reading)) = deadline.wait_for(reading).await {
        let reading = reading.under(scope.tenant.fingerprint);
        let now = state.clock.now();
        let line_ttl = state.store.line_ttl();
        gathered.evidence = evidence::of_reading(&reading, skus, now, line_ttl);
        let (held, own) = (&reading.held, check.own);
        evidence::hold_back(&mut gathered.evidence, held, &scope.warehouses, now, own);
        gathered.feeds = reading.feeds;
    }
    let verdicts = granted_before(check, scope, state, &gathered.evidence);
    Outcome {
        gathered,
        verdicts,
        hold: Some((HoldWord::Repeated, Some(until))),
    }
}

/// What the same order was granted stands, however the numbers look by now.
fn granted_before(
    check: Check<'_>,
    scope: &Scope,
    state: &AppState,
    evidence: &[Evidence],
) -> Vec<Verdict> {
    let context = ReplyContext::of(scope, state, None);
    let rules = rules(&context, Fallback::Cache);
    let of_skus = evidence.chunks(scope.warehouses.len().max(1));
    let lines = check.question.requested.iter().zip(of_skus);
    lines
        .map(|(requested, evidence)| decided_before(*requested, evidence, rules))
        .collect()
}

async fn decide_now(
    check: Check<'_>,
    asked: Asked<'_>,
    state: &AppState,
    reader: &StockReader,
    (deadline, fallback): (&Deadline, Fallback),
) -> Result<Outcome, ApiError> {
    let wanted = Wanted {
        scope: asked.scope,
        skus: asked.skus,
        own: check.own,
        priority: Priority::Order,
    };
    // What is granted at the very end could not be held any more.
    let kept = match check.commit {
        Some(_) => LONGEST_HOLDING.min(deadline.left().unwrap_or_default() / 10),
        None => Duration::ZERO,
    };
    let mut gathered = gather(state, reader, wanted, &deadline.earlier_by(kept)).await;
    if let Some(failure) = gathered.failure.take_if(|_| fallback.is_refusal()) {
        let policy = fallback.as_str();
        return Err(ApiError::Live { failure, policy });
    }
    let context = ReplyContext::of(asked.scope, state, None);
    let rules = rules(&context, fallback);
    let (mut evidence, is_answered) = (
        std::mem::take(&mut gathered.evidence),
        std::mem::take(&mut gathered.is_answered),
    );
    let decide = |evidence: &[Evidence]| verdicts(check.question, evidence, &is_answered, rules);
    let (verdicts, hold) = match check.commit {
        None => (decide(&evidence), None),
        Some(commit) => {
            let judge = Judge { decide, rules };
            let placed = place(state, asked, commit, &mut evidence, judge, deadline).await?;
            let Placed {
                verdicts,
                hold,
                until,
            } = placed;
            let verdicts = match hold {
                HoldWord::Repeated => granted_before(check, asked.scope, state, &evidence),
                _ => verdicts,
            };
            (verdicts, Some((hold, until)))
        }
    };
    gathered.evidence = evidence;
    Ok(Outcome {
        gathered,
        verdicts,
        hold,
    })
}

fn rules<'a>(context: &ReplyContext<'a>, fallback: Fallback) -> Rules<'a> {
    Rules {
        policy: context.policy,
        fallback,
        freshness: context.freshness,
    }
}

fn verdicts(
    question: &OrderQuestion<'_>,
    evidence: &[Evidence],
    is_answered: &[bool],
    rules: Rules<'_>,
) -> Vec<Verdict> {
    let warehouses = evidence.len() / question.requested.len().max(1);
    let warehouses = warehouses.max(1);
    question
        .requested
        .iter()
        .zip(evidence.chunks(warehouses))
        .zip(is_answered.chunks(warehouses))
        .map(|((requested, evidence), is_answered)| {
            let is_answered = is_answered.iter().all(|answered| *answered);
            decide(*requested, evidence, is_answered, rules)
        })
        .collect()
}

//! question -> D365 (and the cache beside it) -> verdict -> hold -> reply.

use super::reply::{CheckReply, Checked, HoldWord};
use super::request::{OrderQuestion, Share};
use super::verdict::{Fallback, Rules, Verdict, decide, decided_before};
use crate::error::ApiError;
use crate::http::priority::Priority;
use crate::http::{body, json_reply};
use crate::live::deadline::Deadline;
use crate::live::failure::LiveFailure;
use crate::live::gather::{Gathered, Wanted, gather};
use crate::metrics;
use crate::orders::hold_book::Seen;
use crate::orders::names::Named;
use crate::orders::place::{Asked, Commit, Judge, Placed, place, recall};
use crate::state::AppState;
use crate::stock::evidence::{self, Evidence};
use crate::stock::wire::ReplyContext;
use crate::tenants::scope::{Scope, rights_of};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use shared::redis_store::{OrderReading, StockReader, StoreError};
use shared::stock::{AsOf, HoldOwner};
use std::time::Duration;

/// How long Redis may take to say whether an order was placed before and whose it is, before D365 is asked; an
/// eighth of the time left at most.
const RECALL_LIMIT: Duration = Duration::from_millis(300);
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
    let named = Named::of_check(state, &scope, check.own);
    let owners = named.all();
    let reading = async {
        let (tenant, warehouses) = (&scope.tenant.id, &scope.warehouses);
        reader
            .read_for_order(tenant, warehouses, asked.skus, &owners)
            .await
    };
    let mut read = Read::UnderWay(Box::pin(reading));
    if check.commit.is_some() || named.is_open() {
        read.wait(RECALL_LIMIT.min(deadline.left().unwrap_or_default() / 8))
            .await;
    }
    let seen = read.seen(&named)?;
    let own: Vec<HoldOwner> = match &seen {
        Some(seen) => seen
            .records
            .iter()
            .map(|record| record.owner.clone())
            .collect(),
        None => named.believed(),
    };
    let commit = check.commit.map(|commit| commit.named(&own));
    let check = Check {
        own: &own,
        commit: commit.as_ref(),
        ..check
    };
    let before = match (check.commit, &seen) {
        (Some(commit), Some(seen)) => recall(seen, asked, commit, state.clock.now())?,
        _ => None,
    };
    let outcome = match before {
        Some(until) => repeat(check, &scope, state, read, until),
        None => decide_now(check, asked, state, (read, seen), (&deadline, fallback)).await?,
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
        feeds: &state.feeds(&scope.tenant, gathered.cached.feeds.iter().copied()),
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

/// What a check reads of Redis: under way, or there.
enum Read<F> {
    UnderWay(F),
    There(Result<OrderReading, StoreError>),
}

impl<F: Future<Output = Result<OrderReading, StoreError>> + Unpin> Read<F> {
    /// Waits for it, so long at most.
    async fn wait(&mut self, limit: Duration) {
        if let Self::UnderWay(reading) = self
            && let Ok(read) = tokio::time::timeout(limit, reading).await
        {
            if let Err(cause) = &read {
                tracing::warn!(%cause, "whether an order was placed before is not known");
            }
            *self = Self::There(read);
        }
    }

    /// The records of those a check names, with the holds of its SKUs; none before they are there.
    fn seen(&self, named: &Named) -> Result<Option<Seen>, ApiError> {
        let Self::There(Ok(read)) = self else {
            return Ok(None);
        };
        Ok(Some(Seen {
            records: named.meant(&read.records)?,
            held: read.held.clone(),
        }))
    }

    async fn end(self) -> Result<OrderReading, StoreError> {
        match self {
            Self::UnderWay(reading) => reading.await,
            Self::There(read) => read,
        }
    }
}

/// The same order again: what it was granted stands, whatever D365 says by now.
fn repeat<F>(
    check: Check<'_>,
    scope: &Scope,
    state: &AppState,
    read: Read<F>,
    until: AsOf,
) -> Outcome {
    let skus = check.question.skus.all();
    let mut gathered = Gathered {
        evidence: vec![Evidence::NONE; skus.len() * scope.warehouses.len()],
        ..Gathered::default()
    };
    if let Read::There(Ok(read)) = read {
        let cached = read.stock.under(scope.tenant.fingerprint);
        let (now, own) = (state.clock.now(), check.own);
        gathered.evidence = evidence::of_reading(&cached, skus, now, state.store.line_ttl());
        let warehouses = &scope.warehouses;
        evidence::hold_back(&mut gathered.evidence, &cached.held, warehouses, now, own);
        gathered.cached = cached;
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

async fn decide_now<F: Future<Output = Result<OrderReading, StoreError>> + Unpin>(
    check: Check<'_>,
    asked: Asked<'_>,
    state: &AppState,
    (read, seen): (Read<F>, Option<Seen>),
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
    let stock = async { read.end().await.map(|read| read.stock) };
    let mut gathered = gather(state, stock, wanted, &deadline.earlier_by(kept)).await;
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
            let known = (seen, &gathered.cached);
            let placed = place(state, asked, commit, known, &mut evidence, judge, deadline).await?;
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

//! question -> store (and D365) -> availability -> reply.

use super::reply::{Known, StockReply};
use super::request::{Severity, StockQuestion};
use super::validators::Validators;
use crate::error::ApiError;
use crate::http::priority::Priority;
use crate::http::{body, json_reply};
use crate::live::coalescer::Coalescer;
use crate::live::deadline::Deadline;
use crate::live::failure::{LiveFailure, OnLiveFailure};
use crate::live::gather::{Wanted, gather};
use crate::metrics;
use crate::state::AppState;
use crate::stock::evidence::{self, Evidence};
use crate::stock::feed::FeedState;
use crate::stock::wire::{FeedSummary, ReplyContext};
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

/// `POST /inventory/v1/inventories`
pub(crate) async fn post(
    request: HttpRequest,
    payload: Payload,
    state: Data<AppState>,
    reader: Data<StockReader>,
) -> Result<HttpResponse, ApiError> {
    let body = body::read(&request, payload, &state).await?;
    let question = StockQuestion::of_body(&body, &state.settings)?;
    let answer = Answer::of(&request, &question, &state, &reader).await?;
    let context = ReplyContext::of(&answer.scope, &state, question.max_age);
    let body = answer.written(&answer.reply(&question, context))?;
    let reply = HttpResponse::Ok();
    Ok(json_reply::send_holding(
        reply,
        request.headers(),
        body,
        answer.share,
    ))
}

/// `GET /inventory/v1/inventories`: the FAST twin, for caches in between.
pub(crate) async fn get(
    request: HttpRequest,
    state: Data<AppState>,
    reader: Data<StockReader>,
) -> Result<HttpResponse, ApiError> {
    let question = StockQuestion::of_query(request.query_string(), &state.settings)?;
    let answer = Answer::of(&request, &question, &state, &reader).await?;
    let context = ReplyContext::of(&answer.scope, &state, question.max_age);
    let reply = answer.reply(&question, context);
    let body = answer.written(&reply)?;
    let ageless = ReplyContext {
        has_ages: false,
        ..context
    };
    let ageless = StockReply::of(&question.skus, question.severity, &answer.known, ageless);
    let validators = Validators::of(
        &json_reply::written(&ageless, body.len())?,
        &reply,
        FeedSummary::of(&answer.known.feeds),
        context.freshness.now,
        json_reply::is_compressed_for(request.headers(), body.len()),
    );
    if validators.are_known_to(request.headers()) {
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
        answer.share,
    ))
}

/// What is known of a question, and what its reply takes of the process.
struct Answer {
    scope: Scope,
    known: Known,
    /// Of the lines that may be in work or unread. However slowly a reply is read, its lines count.
    share: Option<Share>,
}

impl Answer {
    async fn of(
        request: &HttpRequest,
        question: &StockQuestion<'_>,
        state: &AppState,
        reader: &StockReader,
    ) -> Result<Self, ApiError> {
        let scope = scope_of(request, question, state)?;
        let deadline = Deadline::of(request, &state.clock, question.timeout);
        let skus = question.skus.all();
        let lines = skus.len() * scope.warehouses.len();
        let caller = CallerKey::of(request);
        let admission = &state.admission;
        let share = admission.lines(lines, caller, question.timeout).await?;
        admission.check_browsing(skus.len())?;
        state.asked.note(&scope.tenant.id, skus);
        let asking = Asking {
            question,
            scope: &scope,
            state,
            reader,
            deadline: &deadline,
        };
        let known = match question.severity {
            Severity::Fast => asking.cache().await?,
            Severity::Exact => asking.d365().await?,
        };
        Ok(Self {
            scope,
            known,
            share,
        })
    }

    fn reply<'a>(
        &'a self,
        question: &'a StockQuestion<'_>,
        context: ReplyContext<'a>,
    ) -> StockReply<'a> {
        let reply = StockReply::of(&question.skus, question.severity, &self.known, context);
        let lines = reply.availabilities().iter();
        metrics::lines(lines.map(|line| (line.source, line.state)));
        reply
    }

    fn written(&self, reply: &StockReply<'_>) -> Result<Vec<u8>, ApiError> {
        json_reply::written(reply, self.known.evidence.len() * BYTES_PER_LINE + 512)
    }
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

/// A question on its way to the cache or to D365.
#[derive(Clone, Copy)]
struct Asking<'a> {
    question: &'a StockQuestion<'a>,
    scope: &'a Scope,
    state: &'a AppState,
    reader: &'a StockReader,
    deadline: &'a Deadline,
}

impl Asking<'_> {
    async fn cache(self) -> Result<Known, ApiError> {
        let (scope, state) = (self.scope, self.state);
        let skus = self.question.skus.all();
        let reading = self
            .reader
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
            live_failure: None,
            write_through: None,
        };
        if let Some(max_age) = self.question.max_age {
            self.renew(&mut known, now, max_age).await;
        }
        let mut lines = known.evidence.iter();
        let nothing_is_known = lines.all(|evidence| *evidence == Evidence::NONE);
        let mut feeds = known.feeds.iter().map(|feed| feed.state);
        let nothing_was_read = feeds.all(|state| state <= FeedState::Warming);
        if nothing_is_known && nothing_was_read {
            return Err(ApiError::CacheCold);
        }
        Ok(known)
    }

    /// Asks D365 for what is older than the caller takes, if a call may start now; otherwise it stays stale.
    async fn renew(self, known: &mut Known, now: AsOf, max_age: Duration) {
        let skus = self.question.skus.all();
        let priority = Priority::of_browsing(skus.len());
        let live = self.scope.tenant.live.as_ref().map(Coalescer::look_up);
        let Some(live) = live.filter(|live| live.has_room(priority, self.deadline)) else {
            return;
        };
        let is_old = |evidence: &Evidence| {
            let is_too_old = |as_of: AsOf| as_of.age_at(now) > max_age;
            evidence.judged.state == StockState::Unknown
                || evidence.judged.as_of.is_some_and(is_too_old)
        };
        let warehouses = self.scope.warehouses.len();
        let of_skus = skus.iter().zip(known.evidence.chunks(warehouses));
        let (numbers, old_skus): (Vec<usize>, Vec<Sku>) = of_skus
            .enumerate()
            .filter(|(_, (sku, of_sku))| {
                of_sku.iter().any(is_old) && live.check_askable(sku).is_ok()
            })
            .map(|(number, (sku, _))| (number, sku.clone()))
            .unzip();
        if old_skus.is_empty() || old_skus.len() > self.state.settings.limits.live_skus {
            return;
        }
        let wanted = Wanted {
            scope: self.scope,
            skus: &old_skus,
            own: &[],
            priority,
        };
        let (tenant, places) = (&self.scope.tenant.id, &self.scope.warehouses);
        let read = self.reader.read_many(tenant, places, &old_skus);
        let gathered = gather(self.state, read, wanted, self.deadline).await;
        for (at, number) in numbers.into_iter().enumerate() {
            for warehouse in 0..warehouses {
                let from = at * warehouses + warehouse;
                if gathered.is_answered[from] {
                    known.evidence[number * warehouses + warehouse] = gathered.evidence[from];
                }
            }
        }
        known.live_failure = gathered.failure.as_ref().map(LiveFailure::code);
        known.write_through = gathered.write_through;
    }

    async fn d365(self) -> Result<Known, ApiError> {
        let skus = self.question.skus.all();
        let wanted = Wanted {
            scope: self.scope,
            skus,
            own: &[],
            priority: Priority::of_browsing(skus.len()),
        };
        let (tenant, places) = (&self.scope.tenant.id, &self.scope.warehouses);
        let read = self.reader.read_many(tenant, places, skus);
        let gathered = gather(self.state, read, wanted, self.deadline).await;
        let live_failure = match (gathered.failure, self.question.on_live_failure) {
            (None, _) => None,
            (Some(failure), OnLiveFailure::Cache) => Some(failure.code()),
            (Some(failure), OnLiveFailure::Fail) => {
                let policy = "fail";
                return Err(ApiError::Live { failure, policy });
            }
        };
        Ok(Known {
            evidence: gathered.evidence,
            feeds: self.state.feeds(&self.scope.tenant, gathered.cached.feeds),
            live_failure,
            write_through: gathered.write_through,
        })
    }
}

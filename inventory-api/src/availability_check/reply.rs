//! JSON out. Field names, their order and the words are contract.

use super::verdict::{DecidedBy, Fallback, Verdict};
use crate::http::asked_skus::AskedSkus;
use crate::stock::availability::Offer;
use crate::stock::evidence::Evidence;
use crate::stock::feed::Feed;
use crate::stock::number::{Instant, Number};
use crate::stock::reply_parts::{
    FeedSummary, FeedWord, Level, ReplyContext, SourceWord, State, SupplierStock, WarehouseFeed,
    WriteThrough, warehouse_feeds, whole_seconds,
};
use serde::Serialize;
use shared::http::feedback::Problem;
use shared::stock::{AsOf, HoldOwner};
use std::time::Duration;
use utoipa::ToSchema;

/// What decided a line: `live` D365's answer to this very question; otherwise the policy in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Basis {
    /// D365's answer to this question.
    Live,
    /// The cache, whatever its age; the caller allowed it.
    Cache,
    /// The cache, young enough; the channel's policy.
    AcceptIfFresh,
    /// Nothing; the channel accepts without knowing.
    Accept,
    /// The same order's earlier check: the stock is held for it already.
    Repeated,
}

/// The policy in force where D365 does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PolicyWord {
    /// The caller's `FAIL`: the whole check fails.
    Fail,
    /// The channel's: the whole check fails.
    Reject,
    /// The caller's `CACHE`.
    Cache,
    /// The channel's.
    AcceptIfFresh,
    /// The channel's.
    Accept,
}

impl From<Fallback> for PolicyWord {
    fn from(fallback: Fallback) -> Self {
        match fallback {
            Fallback::Fail => Self::Fail,
            Fallback::Reject => Self::Reject,
            Fallback::Cache => Self::Cache,
            Fallback::AcceptIfFresh { .. } => Self::AcceptIfFresh,
            Fallback::Accept => Self::Accept,
        }
    }
}

/// What a line was decided from where D365 did not answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PolicyEvidence {
    /// The cached quantity that can be sold, before the policy's buffer; none if nothing is known.
    #[schema(required = true)]
    pub quantity: Option<Number>,
    /// Its age at the moment of the answer.
    #[schema(required = true, minimum = 0)]
    pub age_seconds: Option<u64>,
    /// The oldest age the policy accepts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub max_age_seconds: Option<u64>,
    /// What the policy keeps in stock.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub buffer: Option<Number>,
}

/// One SKU of the order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the contract"
)]
pub(crate) struct CheckedLine<'a> {
    /// As it was asked for.
    #[schema(example = "D0001")]
    pub sku: &'a str,
    /// The warehouse, if one was asked for; several stand in `supplierStock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "24")]
    pub warehouse_id: Option<&'a str>,
    /// How much was asked for, repeated mentions added up.
    pub requested: Number,
    /// How much of it may be sold.
    pub granted: Number,
    /// Whether all of it may be sold.
    pub orderable: bool,
    /// What decided.
    pub basis: Basis,
    /// What it was decided from, if not from a live answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub evidence: Option<PolicyEvidence>,
    /// Whether any is offered.
    pub in_stock: bool,
    /// What is offered, safety stock held back; -1: some, amount not told.
    pub available_stock: Number,
    /// How sure it is.
    pub state: State,
    /// Where the number came from.
    pub source: SourceWord,
    /// Start of the D365 request that brought the oldest number in it.
    #[schema(required = true)]
    pub as_of: Option<Instant>,
    /// Age at the moment of the answer.
    #[schema(required = true, minimum = 0)]
    pub age_seconds: Option<u64>,
    /// Whether the number is older than the service's limit, or not known.
    pub stale: bool,
    /// Whether D365 has a number for it.
    pub found: bool,
    /// What other orders hold of it and D365 does not show yet; already taken from
    /// `availableStock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub held: Option<Number>,
    /// How much there is, coarsely.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub stock_level: Option<Level>,
    /// One entry per warehouse, if several were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, min_items = 2)]
    pub supplier_stock: Vec<SupplierStock<'a>>,
}

/// About the check as a whole.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CheckMeta<'a> {
    /// Whether some line was decided without a live answer.
    pub degraded: bool,
    /// Why: the code this would have been as an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "inventory.backend.timeout.error")]
    pub live_failure: Option<&'static str>,
    /// Whether the live answers were stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub write_through: Option<WriteThrough>,
    /// How the feed stands; the worst of several warehouses. Absent if the cache was not reachable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub state: Option<FeedWord>,
    /// Start of the last complete snapshot; the oldest of several warehouses.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub snapshot_at: Option<Instant>,
    /// Its age; where a warehouse has none yet, how long the feed has been wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub feed_age_seconds: Option<u64>,
    /// Time from one snapshot to the next, by configuration.
    #[schema(minimum = 1)]
    pub refresh_interval_seconds: u64,
    /// The feed of each warehouse, if several were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, min_items = 2)]
    pub warehouses: Vec<WarehouseFeed<'a>>,
}

/// What became of the hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HoldWord {
    /// All lines are held.
    Held,
    /// The same lines were held before.
    Repeated,
    /// Not all lines may be sold, so none is held.
    NothingToHold,
    /// Not all lines may be sold; what was held for the same id before still is.
    Kept,
    /// The cache did not take it, or did not say so in time: others may be granted the same stock.
    NotStored,
}

/// What is held for an order or reservation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HoldReply {
    /// Its id.
    pub id: String,
    /// What became of it.
    pub hold: HoldWord,
    /// Until when it is held at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub until: Option<Instant>,
}

/// The answer to an order's question.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CheckReply<'a> {
    /// Whether the whole order may be accepted.
    pub orderable: bool,
    /// Whether not all of it, but some.
    pub partial: bool,
    /// The policy in force where D365 does not answer; `basis` says where it was used.
    pub policy: PolicyWord,
    /// What is held for the order, if it was to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub order: Option<HoldReply>,
    /// What is held for the reservation, if one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reservation: Option<HoldReply>,
    /// One entry per distinct SKU, in the order of first mention.
    #[schema(min_items = 1)]
    pub data: Vec<CheckedLine<'a>>,
    /// The short lines. The check itself succeeded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<Problem>,
    /// Hints: which products have no number and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub infos: Vec<Problem>,
    /// About the check as a whole.
    pub meta: CheckMeta<'a>,
}

/// Everything a reply is made of.
#[derive(Debug)]
pub(crate) struct Checked<'a> {
    /// What was asked.
    pub skus: &'a AskedSkus,
    /// What was decided, SKU by SKU.
    pub verdicts: &'a [Verdict],
    /// What is known: SKU by SKU, each with all warehouses.
    pub evidence: &'a [Evidence],
    /// The feeds, in the order of the warehouses; empty if the cache was not reachable.
    pub feeds: &'a [Feed],
    /// Time from one snapshot to the next.
    pub refresh_interval: Duration,
    /// What is done where D365 did not answer.
    pub fallback: Fallback,
    /// Why some of it is not live.
    pub live_failure: Option<&'static str>,
    /// Whether live answers were stored.
    pub write_through: Option<WriteThrough>,
    /// For whom stock was to be held, and what became of it.
    pub hold: Option<(&'a HoldOwner, HoldWord, Option<AsOf>)>,
}

impl<'a> CheckReply<'a> {
    /// Puts a reply together.
    pub(crate) fn of(checked: &Checked<'a>, context: &ReplyContext<'a>) -> Self {
        let warehouses = context.warehouses.len().max(1);
        let skus = checked.skus.all();
        let data: Vec<CheckedLine<'a>> = skus
            .iter()
            .zip(checked.verdicts)
            .zip(checked.evidence.chunks(warehouses))
            .map(|((sku, verdict), evidence)| {
                line(sku.as_str(), verdict, evidence, checked.fallback, context)
            })
            .collect();
        let numbered = || checked.verdicts.iter().enumerate();
        let errors = numbered()
            .filter(|(_, verdict)| !verdict.is_orderable())
            .map(|(number, verdict)| shortage(checked.skus, number, verdict))
            .collect();
        let infos = numbered()
            .filter_map(|(number, verdict)| {
                let path = || checked.skus.path(number);
                context.hint(&verdict.availability, skus[number].as_str(), path)
            })
            .collect();
        let orderable = checked.verdicts.iter().all(Verdict::is_orderable);
        let summary = FeedSummary::of(checked.feeds);
        let watermark = summary.and_then(|summary| summary.watermark);
        Self {
            orderable,
            partial: !orderable
                && checked
                    .verdicts
                    .iter()
                    .any(|verdict| verdict.granted.is_positive()),
            policy: checked.fallback.into(),
            order: hold_reply(checked, |owner| matches!(owner, HoldOwner::Order(_))),
            reservation: hold_reply(checked, |owner| matches!(owner, HoldOwner::Reservation(_))),
            data,
            errors,
            infos,
            meta: CheckMeta {
                // Without the cache nobody knows what other orders hold.
                degraded: checked.live_failure.is_some()
                    || checked.feeds.is_empty()
                    || matches!(checked.hold, Some((_, HoldWord::NotStored, _))),
                live_failure: checked.live_failure,
                write_through: checked.write_through,
                state: summary.map(|summary| summary.state.into()),
                snapshot_at: watermark.map(Instant),
                feed_age_seconds: context.age(summary.and_then(|summary| summary.since)),
                refresh_interval_seconds: whole_seconds(checked.refresh_interval),
                warehouses: warehouse_feeds(context, checked.feeds),
            },
        }
    }
}

fn hold_reply(checked: &Checked<'_>, is_it: impl Fn(&HoldOwner) -> bool) -> Option<HoldReply> {
    let (owner, hold, until) = checked.hold.filter(|(owner, ..)| is_it(owner))?;
    Some(HoldReply {
        id: owner.id().to_string(),
        hold,
        until: until.map(Instant),
    })
}

fn line<'a>(
    sku: &'a str,
    verdict: &Verdict,
    evidence: &[Evidence],
    fallback: Fallback,
    context: &ReplyContext<'a>,
) -> CheckedLine<'a> {
    let told = &verdict.availability;
    CheckedLine {
        sku,
        warehouse_id: context.only_warehouse(),
        requested: Number(verdict.requested),
        granted: Number(verdict.granted),
        orderable: verdict.is_orderable(),
        basis: basis(verdict, fallback),
        evidence: (verdict.by == DecidedBy::Fallback)
            .then(|| policy_evidence(verdict, fallback, context)),
        in_stock: told.offer.is_in_stock(),
        available_stock: Number(told.shown_offer(context.policy).number()),
        state: told.state.into(),
        source: told.source.into(),
        as_of: told.as_of.map(Instant),
        age_seconds: context.age(told.as_of),
        stale: told.is_stale,
        found: told.is_found(),
        held: context.held(told),
        stock_level: told.level.map(Into::into),
        supplier_stock: context.supplier_stock(evidence),
    }
}

fn policy_evidence(
    verdict: &Verdict,
    fallback: Fallback,
    context: &ReplyContext<'_>,
) -> PolicyEvidence {
    let told = &verdict.availability;
    let quantity = match told.offer {
        Offer::Amount(amount) if told.is_found() => Some(Number(amount)),
        Offer::Amount(_) | Offer::Unspecified => None,
    };
    let (max_age_seconds, buffer) = match fallback {
        Fallback::AcceptIfFresh { max_age, buffer } => {
            (Some(whole_seconds(max_age)), Some(Number(buffer)))
        }
        Fallback::Fail | Fallback::Reject | Fallback::Cache | Fallback::Accept => (None, None),
    };
    PolicyEvidence {
        quantity,
        age_seconds: context.age(told.as_of),
        max_age_seconds,
        buffer,
    }
}

fn basis(verdict: &Verdict, fallback: Fallback) -> Basis {
    match verdict.by {
        DecidedBy::Live => return Basis::Live,
        DecidedBy::EarlierCheck => return Basis::Repeated,
        DecidedBy::Fallback => {}
    }
    match fallback {
        // A check that fails has no lines; were one told, it would be the cache's.
        Fallback::Fail | Fallback::Reject | Fallback::Cache => Basis::Cache,
        Fallback::AcceptIfFresh { .. } => Basis::AcceptIfFresh,
        Fallback::Accept => Basis::Accept,
    }
}

fn shortage(skus: &AskedSkus, number: usize, verdict: &Verdict) -> Problem {
    let problem = Problem::info(
        "inventory.quantity.insufficient.error",
        "Less than the requested quantity can be sold.",
    );
    problem
        .path(skus.path(number))
        .parameter("sku", &skus.all()[number])
        .parameter("requested", &verdict.requested)
        .parameter("granted", &verdict.granted)
}

//! JSON out. Field names, their order and the words are contract.

use super::verdict::{Fallback, Verdict};
use crate::asked_skus::AskedSkus;
use crate::evidence::Evidence;
use crate::feed::Feed;
use crate::reply_parts::{
    FeedSummary, FeedWord, Instant, Level, Manner, Number, SourceWord, State, SupplierStock,
    WarehouseFeed, WriteThrough, warehouse_feeds, whole_seconds,
};
use serde::Serialize;
use shared::http_edge::feedback::Problem;
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

/// One SKU of the order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the contract"
)]
pub(crate) struct CheckedLine<'a> {
    /// As it was asked for.
    #[schema(example = "201807171")]
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
    /// Its age.
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
}

impl<'a> CheckReply<'a> {
    /// Puts a reply together.
    pub(crate) fn of(checked: &Checked<'a>, manner: &Manner<'a>) -> Self {
        let warehouses = manner.warehouses.len().max(1);
        let skus = checked.skus.all();
        let data: Vec<CheckedLine<'a>> = skus
            .iter()
            .zip(checked.verdicts)
            .zip(checked.evidence.chunks(warehouses))
            .map(|((sku, verdict), evidence)| {
                line(sku.as_str(), verdict, evidence, checked.fallback, manner)
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
                manner.hint(&verdict.told, skus[number].as_str(), path)
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
            data,
            errors,
            infos,
            meta: CheckMeta {
                degraded: checked.live_failure.is_some(),
                live_failure: checked.live_failure,
                write_through: checked.write_through,
                state: summary.map(|summary| summary.state.into()),
                snapshot_at: watermark.map(Instant),
                feed_age_seconds: manner.age(watermark),
                refresh_interval_seconds: whole_seconds(checked.refresh_interval),
                warehouses: warehouse_feeds(manner, checked.feeds),
            },
        }
    }
}

fn line<'a>(
    sku: &'a str,
    verdict: &Verdict,
    evidence: &[Evidence],
    fallback: Fallback,
    manner: &Manner<'a>,
) -> CheckedLine<'a> {
    let told = &verdict.told;
    CheckedLine {
        sku,
        warehouse_id: manner.only_warehouse(),
        requested: Number(verdict.requested),
        granted: Number(verdict.granted),
        orderable: verdict.is_orderable(),
        basis: basis(verdict, fallback),
        in_stock: told.offer.is_in_stock(),
        available_stock: Number(told.shown_offer(manner.policy).number()),
        state: told.state.into(),
        source: told.source.into(),
        as_of: told.as_of.map(Instant),
        age_seconds: manner.age(told.as_of),
        stale: told.is_stale,
        found: told.is_found(),
        stock_level: told.level.map(Into::into),
        supplier_stock: manner.supplier_stock(evidence),
    }
}

fn basis(verdict: &Verdict, fallback: Fallback) -> Basis {
    if verdict.is_live {
        return Basis::Live;
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

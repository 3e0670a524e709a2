//! JSON out. Field names, their order and the words are contract.

use crate::http::asked_skus::AskedSkus;
use crate::inventories::request::Severity;
use crate::stock::availability::Availability;
use crate::stock::evidence::Evidence;
use crate::stock::feed::Feed;
use crate::stock::number::{Instant, Number};
use crate::stock::reply_parts::{
    FeedSummary, FeedWord, Level, ReplyContext, SourceWord, State, SupplierStock, WarehouseFeed,
    WriteThrough, warehouse_feeds, whole_seconds,
};
use serde::{Serialize, Serializer};
use shared::http::feedback::Problem;
use shared::stock::{AsOf, QuantityDisplay};
use std::time::Duration;
use utoipa::ToSchema;

/// One SKU.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StockLine<'a> {
    /// As it was asked for.
    #[schema(example = "D0001")]
    pub sku: &'a str,
    /// The warehouse, if one was asked for; several stand in `supplierStock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "24")]
    pub warehouse_id: Option<&'a str>,
    /// Whether any is offered: true if `availableStock` is above 0 or negative.
    pub in_stock: bool,
    /// What is offered, safety stock held back; -1: some, amount not told.
    pub available_stock: Number,
    /// How sure it is.
    pub state: State,
    /// Where it came from.
    pub source: SourceWord,
    /// Start of the D365 request that brought the oldest number in it.
    #[schema(required = true)]
    pub as_of: Option<Instant>,
    /// Age at the moment of the answer.
    #[schema(required = true, minimum = 0)]
    pub age_seconds: Option<u64>,
    /// Whether it is older than `maxAgeSeconds`, or than the service's own limit, or not known.
    pub stale: bool,
    /// Whether D365 has a number for it.
    pub found: bool,
    /// On hand as D365 reports it, signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub on_hand: Option<Number>,
    /// Reserved as D365 reports it, signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reserved: Option<Number>,
    /// On its way in as D365 reports it, signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ordered: Option<Number>,
    /// What orders hold of it and D365 does not show yet; already taken from `availableStock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub held: Option<Number>,
    /// How much there is, coarsely; absent where the amount is not told by policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub stock_level: Option<Level>,
    /// One entry per warehouse, if several were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, min_items = 2)]
    pub supplier_stock: Vec<SupplierStock<'a>>,
}

/// About the answer as a whole.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StockMeta<'a> {
    /// As it was asked for.
    pub severity: SeverityWord,
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
    /// Whether live numbers were asked for and some could not be had.
    pub degraded: bool,
    /// Why not: the code this would have been as an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "inventory.backend.timeout.error")]
    pub live_failure: Option<&'static str>,
    /// Whether the live answers were stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub write_through: Option<WriteThrough>,
    /// The feed of each warehouse, if several were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, min_items = 2)]
    pub warehouses: Vec<WarehouseFeed<'a>>,
}

/// `FAST`: from the cache; `EXACT`: from D365, live.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum SeverityWord {
    /// From the cache.
    Fast,
    /// From D365.
    Exact,
}

impl From<Severity> for SeverityWord {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Fast => Self::Fast,
            Severity::Exact => Self::Exact,
        }
    }
}

/// The answer to a stock question.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StockReply<'a> {
    /// One entry per distinct SKU, in the order of first mention.
    #[schema(value_type = Vec<StockLine<'a>>, min_items = 1)]
    pub data: Lines<'a>,
    /// Hints: which products have no number and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub infos: Vec<Problem>,
    /// About the answer as a whole.
    pub meta: StockMeta<'a>,
}

/// Everything a reply is made of.
#[derive(Debug)]
pub(crate) struct Answered<'a> {
    /// What was asked.
    pub skus: &'a AskedSkus,
    /// How.
    pub severity: Severity,
    /// What is known: SKU by SKU, each with all warehouses.
    pub evidence: &'a [Evidence],
    /// The feeds, in the order of the warehouses; empty if the cache was not reachable.
    pub feeds: &'a [Feed],
    /// Time from one snapshot to the next.
    pub refresh_interval: Duration,
    /// Whether live numbers were wanted and some could not be had, and why.
    pub degraded: Option<&'static str>,
    /// Whether live answers were stored; none if there were none.
    pub write_through: Option<WriteThrough>,
}

impl<'a> StockReply<'a> {
    /// Puts a reply together.
    pub(crate) fn of(answered: &'a Answered<'a>, context: ReplyContext<'a>) -> Self {
        let told = tell_all(answered, &context);
        let infos = told
            .iter()
            .enumerate()
            .filter_map(|(number, told)| {
                let sku = answered.skus.all()[number].as_str();
                context.hint(told, sku, || answered.skus.path(number))
            })
            .collect();
        let summary = FeedSummary::of(answered.feeds);
        let watermark = summary.and_then(|summary| summary.watermark);
        let meta = StockMeta {
            severity: answered.severity.into(),
            state: summary.map(|summary| summary.state.into()),
            snapshot_at: watermark.map(Instant),
            feed_age_seconds: context.age(summary.and_then(|summary| summary.since)),
            refresh_interval_seconds: whole_seconds(answered.refresh_interval),
            // Without the cache nobody knows what orders hold.
            degraded: answered.degraded.is_some() || answered.feeds.is_empty(),
            live_failure: answered.degraded,
            write_through: answered.write_through,
            warehouses: warehouse_feeds(&context, answered.feeds),
        };
        let data = Lines {
            answered,
            told,
            context,
        };
        Self { data, infos, meta }
    }

    /// What is told about each SKU.
    pub(crate) fn told(&self) -> &[Availability] {
        &self.data.told
    }

    /// The latest as-of in it.
    pub(crate) fn newest(&self) -> Option<AsOf> {
        self.told().iter().filter_map(|told| told.as_of).max()
    }
}

fn tell_all(answered: &Answered<'_>, context: &ReplyContext<'_>) -> Vec<Availability> {
    answered
        .evidence
        .chunks(context.warehouses.len().max(1))
        .map(|evidence| {
            Availability::across_warehouses(evidence, context.policy, context.freshness)
        })
        .collect()
}

/// The lines, written one by one so that none is held.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    answered: &'a Answered<'a>,
    told: Vec<Availability>,
    context: ReplyContext<'a>,
}

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let warehouses = self.context.warehouses.len().max(1);
        let evidence = self.answered.evidence.chunks(warehouses);
        let skus = self.answered.skus.all();
        serializer.collect_seq(
            skus.iter()
                .zip(&self.told)
                .zip(evidence)
                .map(|((sku, told), evidence)| line(sku.as_str(), told, evidence, &self.context)),
        )
    }
}

fn line<'a>(
    sku: &'a str,
    told: &Availability,
    evidence: &[Evidence],
    context: &ReplyContext<'a>,
) -> StockLine<'a> {
    // A channel that hides the number hides what it could be computed from.
    let quantities = told
        .quantities
        .filter(|_| context.policy.display == QuantityDisplay::Exact);
    StockLine {
        sku,
        warehouse_id: context.only_warehouse(),
        in_stock: told.offer.is_in_stock(),
        available_stock: Number(told.shown_offer(context.policy).number()),
        state: told.state.into(),
        source: told.source.into(),
        as_of: told.as_of.map(Instant),
        age_seconds: context.age(told.as_of),
        stale: told.is_stale,
        found: told.is_found(),
        on_hand: quantities.map(|quantities| Number(quantities.on_hand)),
        reserved: quantities.map(|quantities| Number(quantities.reserved)),
        ordered: quantities.map(|quantities| Number(quantities.ordered)),
        held: context.held(told),
        stock_level: told.level.map(Into::into),
        supplier_stock: context.supplier_stock(evidence),
    }
}

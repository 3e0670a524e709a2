//! JSON out. Field names, their order and the words are contract.

use super::request::Severity;
use crate::http::asked_skus::AskedSkus;
use crate::live::write_through::WriteThrough;
use crate::stock::availability::Availability;
use crate::stock::evidence::Evidence;
use crate::stock::feed::Feed;
use crate::stock::wire::{FeedMeta, Line, LiveMeta, ReplyContext, WarehouseFeed};
use serde::{Serialize, Serializer};
use shared::http::feedback::Problem;
use utoipa::ToSchema;

/// The answer to a stock question.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct StockReply<'a> {
    /// One entry per distinct SKU, in the order of first mention.
    #[schema(value_type = Vec<Line<'a>>, min_items = 1)]
    pub data: Lines<'a>,
    /// Hints: which products have no number and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub infos: Vec<Problem>,
    /// About the answer as a whole.
    pub meta: StockMeta<'a>,
}

/// About the answer as a whole.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StockMeta<'a> {
    /// As it was asked for.
    pub severity: Severity,
    #[serde(flatten)]
    pub feed: FeedMeta,
    #[serde(flatten)]
    pub live: LiveMeta,
    /// The feed of each warehouse, if several were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, min_items = 2)]
    pub warehouses: Vec<WarehouseFeed<'a>>,
}

/// What is known about everything asked for.
#[derive(Debug)]
pub(crate) struct Known {
    /// SKU by SKU, each with all warehouses.
    pub evidence: Vec<Evidence>,
    /// In the order of the warehouses; empty if the cache was not reachable.
    pub feeds: Vec<Feed>,
    /// Why some of it is not live although it was wanted so.
    pub live_failure: Option<&'static str>,
    /// None if there were no live answers.
    pub write_through: Option<WriteThrough>,
}

impl<'a> StockReply<'a> {
    /// Puts a reply together.
    pub(crate) fn of(
        skus: &'a AskedSkus,
        severity: Severity,
        known: &'a Known,
        context: ReplyContext<'a>,
    ) -> Self {
        let availabilities: Vec<Availability> = context
            .by_sku(&known.evidence)
            .map(|of| Availability::across_warehouses(of, context.policy, context.freshness))
            .collect();
        let hint = |(number, availability): (usize, &Availability)| {
            let sku = skus.all()[number].as_str();
            context.hint(availability, sku, || skus.path(number))
        };
        Self {
            infos: availabilities.iter().enumerate().filter_map(hint).collect(),
            meta: StockMeta {
                severity,
                feed: context.feed_meta(&known.feeds),
                live: LiveMeta {
                    // Without the cache nobody knows what orders hold.
                    degraded: known.live_failure.is_some() || known.feeds.is_empty(),
                    live_failure: known.live_failure,
                    write_through: known.write_through,
                },
                warehouses: context.warehouse_feeds(&known.feeds),
            },
            data: Lines {
                skus,
                availabilities,
                evidence: &known.evidence,
                context,
            },
        }
    }

    pub(crate) fn availabilities(&self) -> &[Availability] {
        &self.data.availabilities
    }
}

/// The lines, written one by one so that none is held.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    skus: &'a AskedSkus,
    availabilities: Vec<Availability>,
    evidence: &'a [Evidence],
    context: ReplyContext<'a>,
}

impl Serialize for Lines<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let context = &self.context;
        let skus = self.skus.all().iter().zip(&self.availabilities);
        let lines = skus.zip(context.by_sku(self.evidence));
        serializer.collect_seq(lines.map(|((sku, availability), evidence)| {
            context.line(sku.as_str(), availability, evidence)
        }))
    }
}

//! Pieces both replies are made of. Field names, their order and the words are contract.

use crate::live::write_through::WriteThrough;
use crate::state::AppState;
use crate::stock::availability::{Availability, Freshness};
use crate::stock::evidence::{Evidence, Source};
use crate::stock::feed::{Feed, FeedState};
use crate::stock::number::{Instant, Number};
use crate::tenants::scope::Scope;
use serde::Serialize;
use shared::http::feedback::Problem;
use shared::stock::{AsOf, ChannelPolicy, QuantityDisplay, StockLevel, StockState, WarehouseId};
use std::time::Duration;
use utoipa::ToSchema;

/// One SKU. `requested` to `evidence` are there in availability checks, the signed quantities in stock
/// replies.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Line<'a> {
    /// As it was asked for.
    #[schema(example = "D0001")]
    pub sku: &'a str,
    /// The warehouse, if one was asked for; several stand in `supplierStock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "24")]
    pub warehouse_id: Option<&'a str>,
    /// How much was asked for, repeated mentions added up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub requested: Option<Number>,
    /// How much of it may be sold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub granted: Option<Number>,
    /// Whether all of it may be sold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub orderable: Option<bool>,
    /// What decided: `live` D365's answer to this very question; `repeated` the same order's earlier check;
    /// otherwise the policy in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        nullable = false,
        pattern = "^(live|cache|accept-if-fresh|accept|repeated)$"
    )]
    pub basis: Option<&'static str>,
    /// What it was decided from, if not from a live answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub evidence: Option<PolicyEvidence>,
    /// Whether any is offered: true if `availableStock` is above 0 or negative.
    pub in_stock: bool,
    /// What is offered, safety stock held back; -1: some, amount left open.
    pub available_stock: Number,
    /// How sure it is.
    pub state: StockState,
    /// Where it came from.
    pub source: Source,
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
    /// What other orders hold of it and D365 does not show yet; already taken from `availableStock`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub held: Option<Number>,
    /// How much there is, coarsely; absent where policy leaves the amount open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub stock_level: Option<StockLevel>,
    /// One entry per warehouse, if several were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, min_items = 2)]
    pub supplier_stock: Vec<SupplierStock<'a>>,
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

/// One warehouse's share of a line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SupplierStock<'a> {
    /// Warehouse id.
    #[schema(example = "24")]
    pub id: &'a str,
    /// The same, for storefronts that show it.
    #[schema(example = "24")]
    pub display_name: &'a str,
    /// Whether this warehouse offers any.
    pub in_stock: bool,
    /// What it offers; -1: some, amount left open.
    pub available_stock: Number,
    /// How sure it is.
    pub state: StockState,
    /// Start of the D365 request that brought it.
    #[schema(required = true)]
    pub as_of: Option<Instant>,
    /// Age at the moment of the answer.
    #[schema(required = true, minimum = 0)]
    pub age_seconds: Option<u64>,
}

/// How the feed stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FeedMeta {
    /// The worst of several warehouses. Absent if the cache was not reachable.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub state: Option<FeedState>,
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
}

/// How D365 answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LiveMeta {
    /// Whether live numbers were asked for and some could not be had, or orders' holds are not known.
    pub degraded: bool,
    /// Why not: the code this would have been as an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "inventory.backend.timeout.error")]
    pub live_failure: Option<&'static str>,
    /// Whether the live answers were stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub write_through: Option<WriteThrough>,
}

/// How the feed of one warehouse stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WarehouseFeed<'a> {
    /// Warehouse id.
    #[schema(example = "24")]
    pub warehouse_id: &'a str,
    /// How it stands.
    pub state: FeedState,
    /// Start of its last complete snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub snapshot_at: Option<Instant>,
    /// Age of that snapshot; before the first, how long it has been wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub feed_age_seconds: Option<u64>,
}

/// What a reply depends on beside the evidence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplyContext<'a> {
    /// In the order of the evidence.
    pub warehouses: &'a [WarehouseId],
    pub policy: &'a ChannelPolicy,
    pub freshness: Freshness,
    /// Time from one snapshot to the next.
    pub refresh_interval: Duration,
    /// Left out where the text is compared with an earlier one.
    pub has_ages: bool,
}

impl<'a> ReplyContext<'a> {
    /// Now. A cached number older than `max_age` is stale; without one, the service's own limit counts.
    pub(crate) fn of(scope: &'a Scope, state: &AppState, max_age: Option<Duration>) -> Self {
        Self {
            warehouses: &scope.warehouses,
            policy: &scope.policy,
            freshness: Freshness {
                now: state.clock.now(),
                stale_after: max_age.unwrap_or_else(|| scope.tenant.stale_after()),
            },
            refresh_interval: scope.tenant.refresh_interval,
            has_ages: true,
        }
    }

    /// Evidence SKU by SKU.
    pub(crate) fn by_sku<'e>(&self, evidence: &'e [Evidence]) -> std::slice::Chunks<'e, Evidence> {
        evidence.chunks(self.warehouses.len().max(1))
    }

    /// A line as a stock reply has it.
    pub(crate) fn line(
        &self,
        sku: &'a str,
        availability: &Availability,
        evidence: &[Evidence],
    ) -> Line<'a> {
        // A channel that hides the number hides what it could be computed from.
        let is_exact = self.policy.display == QuantityDisplay::Exact;
        let quantities = availability.quantities.filter(|_| is_exact);
        let held = Some(availability.held).filter(|held| is_exact && held.is_positive());
        Line {
            sku,
            warehouse_id: self.only_warehouse(),
            requested: None,
            granted: None,
            orderable: None,
            basis: None,
            evidence: None,
            in_stock: availability.offer.is_in_stock(),
            available_stock: Number(availability.shown_offer(self.policy).number()),
            state: availability.state,
            source: availability.source,
            as_of: availability.as_of.map(Instant),
            age_seconds: self.age(availability.as_of),
            stale: availability.is_stale,
            found: availability.is_found(),
            on_hand: quantities.map(|quantities| Number(quantities.on_hand)),
            reserved: quantities.map(|quantities| Number(quantities.reserved)),
            ordered: quantities.map(|quantities| Number(quantities.ordered)),
            held: held.map(Number),
            stock_level: availability.level,
            supplier_stock: self.supplier_stock(evidence),
        }
    }

    /// Whole seconds since an instant.
    pub(crate) fn age(&self, as_of: Option<AsOf>) -> Option<u64> {
        let as_of = as_of.filter(|_| self.has_ages)?;
        Some(as_of.age_at(self.freshness.now).as_secs())
    }

    /// A hint for a line without a number.
    pub(crate) fn hint(
        &self,
        availability: &Availability,
        sku: &str,
        path: impl FnOnce() -> String,
    ) -> Option<Problem> {
        let (code, message) = match availability.state {
            StockState::Present | StockState::Suspect => return None,
            StockState::Absent => (
                "inventory.product.not_found.info",
                "D365 has no on-hand record for this product here.",
            ),
            StockState::Unknown => (
                "inventory.product.unknown.info",
                "Nothing is known about this product here yet.",
            ),
        };
        let hint = Problem::info(code, message)
            .path(path())
            .parameter("sku", sku);
        Some(match self.only_warehouse() {
            Some(warehouse) => hint.parameter("warehouseId", warehouse),
            None => hint,
        })
    }

    /// How the feeds of all warehouses stand together.
    pub(crate) fn feed_meta(&self, feeds: &[Feed]) -> FeedMeta {
        let summary = FeedSummary::of(feeds);
        let watermark = summary.and_then(|summary| summary.watermark);
        FeedMeta {
            state: summary.map(|summary| summary.state),
            snapshot_at: watermark.map(Instant),
            feed_age_seconds: self.age(summary.and_then(|summary| summary.since)),
            refresh_interval_seconds: whole_seconds(self.refresh_interval),
        }
    }

    /// The feeds of an answer over several warehouses; empty for one, which the meta itself describes.
    pub(crate) fn warehouse_feeds(&self, feeds: &[Feed]) -> Vec<WarehouseFeed<'a>> {
        let feed_of = |(warehouse, feed): (&'a WarehouseId, &Feed)| WarehouseFeed {
            warehouse_id: warehouse.as_str(),
            state: feed.state,
            snapshot_at: feed.watermark.map(Instant),
            feed_age_seconds: self.age(feed.since),
        };
        self.several_warehouses().zip(feeds).map(feed_of).collect()
    }

    fn supplier_stock(&self, evidence: &[Evidence]) -> Vec<SupplierStock<'a>> {
        let share_of = |(warehouse, evidence): (&'a WarehouseId, &Evidence)| {
            let availability = Availability::of_warehouse(evidence, self.policy, self.freshness);
            SupplierStock {
                id: warehouse.as_str(),
                display_name: warehouse.as_str(),
                in_stock: availability.offer.is_in_stock(),
                available_stock: Number(availability.shown_offer(self.policy).number()),
                state: availability.state,
                as_of: availability.as_of.map(Instant),
                age_seconds: self.age(availability.as_of),
            }
        };
        let warehouses = self.several_warehouses().zip(evidence);
        warehouses.map(share_of).collect()
    }

    fn only_warehouse(&self) -> Option<&'a str> {
        match self.warehouses {
            [only] => Some(only.as_str()),
            _ => None,
        }
    }

    fn several_warehouses(&self) -> std::slice::Iter<'a, WarehouseId> {
        match self.warehouses {
            [_] => [].iter(),
            several => several.iter(),
        }
    }
}

/// What several feeds are together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FeedSummary {
    /// The worst.
    pub state: FeedState,
    /// The oldest; none if one warehouse has none.
    pub watermark: Option<AsOf>,
    /// When the oldest one's age begins.
    pub since: Option<AsOf>,
    /// The earliest next cycle.
    pub next_due: Option<AsOf>,
}

impl FeedSummary {
    /// None without feeds.
    pub(crate) fn of(feeds: &[Feed]) -> Option<Self> {
        let state = feeds.iter().map(|feed| feed.state).min()?;
        let watermarks: Option<Vec<AsOf>> = feeds.iter().map(|feed| feed.watermark).collect();
        Some(Self {
            state,
            watermark: watermarks.and_then(|watermarks| watermarks.into_iter().min()),
            since: feeds.iter().filter_map(|feed| feed.since).min(),
            next_due: feeds.iter().filter_map(|feed| feed.next_due).min(),
        })
    }
}

/// A duration in whole seconds, at least 1 for anything above zero.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_millis()
        .div_ceil(1_000)
        .try_into()
        .unwrap_or(u64::MAX)
}

//! Pieces both replies are made of. Field names, their order and the words are contract.

use crate::stock::availability::{Availability, Freshness};
use crate::stock::evidence::{Evidence, Source};
use crate::stock::feed::{Feed, FeedState};
use crate::stock::number::{Instant, Number};
use serde::Serialize;
use shared::http::feedback::Problem;
use shared::stock::{AsOf, ChannelPolicy, QuantityDisplay, StockLevel, StockState, WarehouseId};
use std::time::Duration;
use utoipa::ToSchema;

/// What is known: `PRESENT` D365 reported it in the last complete snapshot or later; `SUSPECT` the
/// last complete snapshot did not show it; `ABSENT` proved not to be there; `UNKNOWN` no proof.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum State {
    /// Reported.
    Present,
    /// Missed once.
    Suspect,
    /// Proved absent.
    Absent,
    /// No proof either way.
    Unknown,
}

impl From<StockState> for State {
    fn from(state: StockState) -> Self {
        match state {
            StockState::Present => Self::Present,
            StockState::Suspect => Self::Suspect,
            StockState::Absent => Self::Absent,
            StockState::Unknown => Self::Unknown,
        }
    }
}

/// Where a number came from: `LIVE` read from D365 for this call; `CACHE` read earlier; `NONE`
/// nothing is known.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum SourceWord {
    /// Read for this call.
    Live,
    /// Read earlier.
    Cache,
    /// Nothing known.
    None,
}

impl From<Source> for SourceWord {
    fn from(source: Source) -> Self {
        match source {
            Source::Live => Self::Live,
            Source::Cache => Self::Cache,
            Source::None => Self::None,
        }
    }
}

/// How much there is, coarsely; the bands are the channel's.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Level {
    /// Nothing to sell.
    None,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Plenty.
    High,
}

impl From<StockLevel> for Level {
    fn from(level: StockLevel) -> Self {
        match level {
            StockLevel::None => Self::None,
            StockLevel::Low => Self::Low,
            StockLevel::Medium => Self::Medium,
            StockLevel::High => Self::High,
        }
    }
}

/// How a feed stands: `cold` nothing was ever read; `warming` no complete snapshot yet; `ready`;
/// `degraded` the last complete snapshot is too old, or the cycle after it failed.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FeedWord {
    /// Nothing was ever read.
    Cold,
    /// No complete snapshot yet.
    Warming,
    /// Too old, or the last cycle failed.
    Degraded,
    /// Fine.
    Ready,
}

impl From<FeedState> for FeedWord {
    fn from(state: FeedState) -> Self {
        match state {
            FeedState::Cold => Self::Cold,
            FeedState::Warming => Self::Warming,
            FeedState::Degraded => Self::Degraded,
            FeedState::Ready => Self::Ready,
        }
    }
}

/// `stored`: every live answer is in the cache; `partly`: some were refused because something newer
/// is stored already; `failed`: the cache did not take them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WriteThrough {
    /// All stored.
    Stored,
    /// Some refused as older than what is stored.
    Partly,
    /// Not stored.
    Failed,
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
    /// What it offers; -1: some, amount not told.
    pub available_stock: Number,
    /// How sure it is.
    pub state: State,
    /// Start of the D365 request that brought it.
    #[schema(required = true)]
    pub as_of: Option<Instant>,
    /// Age at the moment of the answer.
    #[schema(required = true, minimum = 0)]
    pub age_seconds: Option<u64>,
}

/// How the feed of one warehouse stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WarehouseFeed<'a> {
    /// Warehouse id.
    #[schema(example = "24")]
    pub warehouse_id: &'a str,
    /// How it stands.
    pub state: FeedWord,
    /// Start of its last complete snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub snapshot_at: Option<Instant>,
    /// Age of that snapshot; before the first, how long it has been wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    pub feed_age_seconds: Option<u64>,
}

/// Whether ages are told, or left out because the text is to be compared with an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ages {
    /// Told.
    Told,
    /// Left out.
    LeftOut,
}

/// The moment and context of an answer, for everything that depends on them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplyContext<'a> {
    /// Warehouses in the order of the evidence.
    pub warehouses: &'a [WarehouseId],
    /// The channel's rules.
    pub policy: &'a ChannelPolicy,
    /// The moment, and what counts as old.
    pub freshness: Freshness,
    /// Whether ages are told.
    pub ages: Ages,
}

impl<'a> ReplyContext<'a> {
    /// Whole seconds since an instant.
    pub(crate) fn age(&self, as_of: Option<AsOf>) -> Option<u64> {
        match self.ages {
            Ages::Told => as_of.map(|as_of| as_of.age_at(self.freshness.now).as_secs()),
            Ages::LeftOut => None,
        }
    }

    /// What orders hold, where it is anything and the channel shows numbers.
    pub(crate) fn held(&self, told: &Availability) -> Option<Number> {
        let is_told = told.held.is_positive() && self.policy.display == QuantityDisplay::Exact;
        is_told.then_some(Number(told.held))
    }

    /// The warehouse of a line, if there is only one.
    pub(crate) fn only_warehouse(&self) -> Option<&'a str> {
        match self.warehouses {
            [only] => Some(only.as_str()),
            _ => None,
        }
    }

    /// The warehouses of a line, if there are several.
    pub(crate) fn supplier_stock(&self, evidence: &[Evidence]) -> Vec<SupplierStock<'a>> {
        if self.warehouses.len() < 2 {
            return Vec::new();
        }
        self.warehouses
            .iter()
            .zip(evidence)
            .map(|(warehouse, evidence)| {
                let told = Availability::of_warehouse(evidence, self.policy, self.freshness);
                SupplierStock {
                    id: warehouse.as_str(),
                    display_name: warehouse.as_str(),
                    in_stock: told.offer.is_in_stock(),
                    available_stock: Number(told.shown_offer(self.policy).number()),
                    state: told.state.into(),
                    as_of: told.as_of.map(Instant),
                    age_seconds: self.age(told.as_of),
                }
            })
            .collect()
    }

    /// A hint for a line without a number.
    pub(crate) fn hint(
        &self,
        told: &Availability,
        sku: &str,
        path: impl FnOnce() -> String,
    ) -> Option<Problem> {
        let (code, message) = match told.state {
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
}

/// What several feeds are together: the worst state, the oldest watermark.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FeedSummary {
    /// The worst state.
    pub state: FeedState,
    /// The oldest watermark; none if one warehouse has none.
    pub watermark: Option<AsOf>,
    /// When the oldest one's age begins.
    pub since: Option<AsOf>,
    /// The earliest next cycle.
    pub next_due: Option<AsOf>,
}

impl FeedSummary {
    /// Sums up; none without feeds.
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

/// The feeds of an answer over several warehouses; empty for one, which `meta` itself describes.
pub(crate) fn warehouse_feeds<'a>(
    context: &ReplyContext<'a>,
    feeds: &[Feed],
) -> Vec<WarehouseFeed<'a>> {
    if context.warehouses.len() < 2 {
        return Vec::new();
    }
    context
        .warehouses
        .iter()
        .zip(feeds)
        .map(|(warehouse, feed)| WarehouseFeed {
            warehouse_id: warehouse.as_str(),
            state: feed.state.into(),
            snapshot_at: feed.watermark.map(Instant),
            feed_age_seconds: context.age(feed.since),
        })
        .collect()
}

/// A duration in whole seconds, at least 1 for anything above zero.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_millis()
        .div_ceil(1_000)
        .try_into()
        .unwrap_or(u64::MAX)
}

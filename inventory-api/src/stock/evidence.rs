//! What is known about each SKU in each warehouse, and from where.

use serde::Serialize;
use shared::redis_store::{HeldOfSku, Reading, StoredLine};
use shared::stock::{
    AsOf, HoldOwner, Judged, LineContent, LineValue, Quantity, Sku, StockState, WarehouseId,
    held_against, judge, remaining,
};
use std::time::Duration;
use utoipa::ToSchema;

/// Where a number came from: `LIVE` read from D365 for this call; `CACHE` read earlier; `NONE`
/// nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Source {
    /// D365, asked for this question.
    Live,
    /// Redis: a prefetch or an earlier live answer.
    Cache,
    /// Nothing is known.
    None,
}

impl Source {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Live => "LIVE",
            Self::Cache => "CACHE",
            Self::None => "NONE",
        }
    }
}

/// What is known about one SKU in one warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub judged: Judged,
    pub source: Source,
    /// What orders hold of it; D365's quantities do not show that.
    pub held: Quantity,
}

impl Evidence {
    /// No proof of anything.
    pub(crate) const NONE: Self = Self {
        judged: Judged {
            state: StockState::Unknown,
            quantities: None,
            as_of: None,
        },
        source: Source::None,
        held: Quantity::ZERO,
    };

    /// What a live answer says. It is proof whatever the watermarks.
    pub(crate) fn live(line: &LineValue) -> Self {
        let (state, quantities) = match line.content {
            LineContent::Quantities(quantities) => (StockState::Present, Some(quantities)),
            LineContent::Absent => (StockState::Absent, None),
        };
        Self {
            judged: Judged {
                state,
                quantities,
                as_of: Some(line.as_of),
            },
            source: Source::Live,
            held: Quantity::ZERO,
        }
    }

    /// What is left of the available quantity once orders have taken theirs; none without a number.
    pub(crate) fn left(&self) -> Option<Quantity> {
        let quantities = self.judged.quantities?;
        Some(remaining(quantities.available, self.held).left)
    }
}

/// Takes what orders hold from evidence: SKU by SKU, each with all warehouses. `except` are owners
/// that do not stand in their own way.
pub(crate) fn hold_back(
    evidence: &mut [Evidence],
    held: &[HeldOfSku],
    warehouses: &[WarehouseId],
    now: AsOf,
    except: &[HoldOwner],
) {
    let of_skus = evidence.chunks_mut(warehouses.len().max(1));
    for (of_sku, held) in of_skus.zip(held) {
        for (evidence, warehouse) in of_sku.iter_mut().zip(warehouses) {
            evidence.held = match held {
                HeldOfSku::Nothing => Quantity::ZERO,
                HeldOfSku::Unreadable => Quantity::MAX,
                HeldOfSku::Holds(holds) => {
                    held_against(holds, warehouse, evidence.judged.as_of, now, except)
                }
            };
        }
    }
}

/// Reads evidence out of what is stored: SKU by SKU, each with all warehouses.
///
/// An unreadable line proves nothing: neither its number nor its absence.
pub(crate) fn of_reading(
    reading: &Reading,
    skus: &[Sku],
    now: AsOf,
    line_ttl: Duration,
) -> Vec<Evidence> {
    let warehouses = reading.feeds.len().max(1);
    let of_line = |(at, line): (usize, &StoredLine)| {
        let feed = reading.feeds.get(at % warehouses)?;
        let judged = match line {
            StoredLine::Value(line) => judge(Some(line), feed, now, line_ttl),
            StoredLine::Missing => judge(None, feed, now, line_ttl),
            StoredLine::Unreadable => return None,
        };
        let judged = match skus.get(at / warehouses) {
            Some(sku) => judged.believed_of(sku),
            None => judged,
        };
        (judged.state != StockState::Unknown).then_some(Evidence {
            judged,
            source: Source::Cache,
            held: Quantity::ZERO,
        })
    };
    let lines = reading.lines.iter().enumerate();
    lines
        .map(|line| of_line(line).unwrap_or(Evidence::NONE))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::stock::{FeedStanding, Generation, Origin, Quantities};

    fn at(ms: i64) -> AsOf {
        AsOf::from_unix_ms(1_800_000_000_000 + ms).unwrap()
    }

    #[test]
    fn an_unreadable_line_is_unknown_where_a_missing_one_would_be_absent() {
        let feed = FeedStanding {
            watermark: Some(at(0)),
            ..FeedStanding::default()
        };
        let line = LineValue {
            content: LineContent::Quantities(Quantities::default()),
            as_of: at(10),
            origin: Origin::Snapshot(Generation(1)),
        };
        let reading = Reading {
            feeds: vec![feed, FeedStanding::default()],
            lines: vec![
                StoredLine::Unreadable,
                StoredLine::Missing,
                StoredLine::Missing,
                StoredLine::Value(line),
            ],
            held: Vec::new(),
        };
        let skus = ["A", "B"].map(|sku| Sku::parse(sku).unwrap());
        let evidence = of_reading(&reading, &skus, at(20), Duration::from_hours(1));
        let found: Vec<_> = evidence
            .iter()
            .map(|evidence| (evidence.judged.state, evidence.source))
            .collect();
        assert_eq!(
            found,
            [
                (StockState::Unknown, Source::None),
                (StockState::Unknown, Source::None),
                (StockState::Absent, Source::Cache),
                (StockState::Present, Source::Cache),
            ]
        );
    }
}

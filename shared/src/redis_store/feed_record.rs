//! The record of a warehouse's feed, read field by field.
//!
//! A field that cannot be read counts as not there: without a watermark nothing is proved, which is the
//! safe side.

use super::error::StoreError;
use crate::stock::{AsOf, FeedSettings, FeedStanding, Generation, WarehouseSnapshot};
use redis::Value;
use std::str::FromStr;

/// Every field that is read.
pub(super) const FIELDS: [&str; 16] = [
    "state",
    "watermark",
    "previous_watermark",
    "next_due",
    "settings",
    "wanted",
    "proved",
    "generation",
    "started",
    "completed",
    "rows",
    "pages",
    "reason",
    "sealed",
    "hash",
    "recent_rows",
];

/// How many of these lines are judged by.
const STANDING_FIELDS: usize = 7;

/// The fields that lines are judged by.
pub(super) fn standing_fields() -> &'static [&'static str] {
    &FIELDS[..STANDING_FIELDS]
}

/// Longest value that is read, in bytes.
pub(super) const LONGEST_VALUE: usize = 16 * 1024;
/// Longest texts taken over from a record, in characters, and most row counts.
const LONGEST_REASON: usize = 2_000;
const LONGEST_HASH: usize = 128;
const MOST_RECENT_ROWS: usize = 20;
/// Sums of some thousands of such counts stay in their range.
const MOST_ROWS: u64 = 1 << 40;

/// A value as a text; none if there is none. What is no text reads as an empty one: settings that cannot
/// be read match none.
pub(super) fn text_of(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => Some(str::from_utf8(bytes).unwrap_or_default()),
        _ => None,
    }
}

/// Reads what lines are judged by out of an HMGET of [`standing_fields`].
pub(super) fn standing_of(value: &Value) -> Result<FeedStanding, StoreError> {
    match value {
        Value::Array(values) if values.len() == STANDING_FIELDS => Ok(standing(|name| {
            let at = standing_fields().iter().position(|field| *field == name)?;
            text_of(&values[at])
        })),
        _ => Err(StoreError::Misbehaved {
            what: "a snapshot's record",
        }),
    }
}

fn standing<'a>(field: impl Fn(&str) -> Option<&'a str>) -> FeedStanding {
    let instant = |name| field(name)?.parse::<AsOf>().ok();
    FeedStanding {
        state: parsed(field("state")).unwrap_or_default(),
        watermark: instant("watermark"),
        previous_watermark: instant("previous_watermark"),
        next_due: instant("next_due"),
        settings: field("settings").map(FeedSettings::read),
        wanted: instant("wanted"),
        is_absence_unproved: field("watermark") != field("proved"),
    }
}

/// A feed's record from its fields.
pub fn snapshot_of<'a>(field: impl Fn(&str) -> Option<&'a str>) -> WarehouseSnapshot {
    let count = |name| {
        parsed::<u64>(field(name))
            .unwrap_or_default()
            .min(MOST_ROWS)
    };
    let generation = |name| Generation(parsed(field(name)).unwrap_or_default());
    let cut = |name, longest| {
        let text = field(name).filter(|text| !text.is_empty())?;
        Some(text.chars().take(longest).collect())
    };
    let recent_rows = field("recent_rows").unwrap_or_default().split(',');
    WarehouseSnapshot {
        generation: generation("generation"),
        sealed: generation("sealed"),
        started: parsed(field("started")),
        completed: parsed(field("completed")),
        rows: count("rows"),
        pages: count("pages"),
        reason: cut("reason", LONGEST_REASON),
        hash: cut("hash", LONGEST_HASH),
        recent_rows: recent_rows
            .take(MOST_RECENT_ROWS)
            .filter_map(|rows| rows.parse().ok())
            .collect(),
        standing: standing(field),
    }
}

fn parsed<T: FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
}

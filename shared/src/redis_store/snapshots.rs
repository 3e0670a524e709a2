//! The record of each warehouse's feed.

use super::error::StoreError;
use super::script::Call;
use super::store::StockStore;
use crate::stock::{
    AsOf, FeedSettings, FeedStanding, Fingerprint, Generation, ItemNumber, SnapshotState, TenantId,
    WarehouseId, WarehouseSnapshot,
};
use redis::{Script, Value};
use serde::Serialize;
use std::sync::LazyLock;

static ACCEPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/accept.lua")));
static CHANGE_SETTINGS: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/change_settings.lua")));
static SEAL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/seal.lua")));

/// How many cycles the history keeps.
const HISTORY: usize = 20;

/// Longest texts taken over from a record, in characters.
const LONGEST_REASON: usize = 2_000;
const LONGEST_HASH: usize = 128;

/// How a cycle ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleEnd {
    /// Its generation.
    pub generation: Generation,
    /// Its start; becomes the watermark if it was a snapshot.
    pub started: AsOf,
    /// Its end.
    pub completed: AsOf,
    /// Rows read.
    pub rows: u64,
    /// Pages read.
    pub pages: u64,
    /// When the next cycle is due.
    pub next_due: AsOf,
    /// What it was.
    pub sealed: Sealed,
    /// Where the next cycle is split: the last items of its parts, but for the last part. Taken
    /// over from a snapshot only.
    pub borders: Vec<ItemNumber>,
}

/// What a cycle turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed {
    /// A snapshot.
    Complete {
        /// SHA-256 over its lines, hexadecimal.
        hash: String,
    },
    /// It broke off.
    Partial {
        /// Why.
        reason: String,
    },
    /// It ended and is not believed.
    Quarantined {
        /// Why.
        reason: String,
        /// What kind of reason it is.
        doubt: Doubt,
    },
}

/// Why a cycle that was read to its end is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It has far fewer rows than usual.
    BelowUsual,
    /// It has no row at all.
    Empty,
    /// Rows of another company or warehouse came back: never to be believed.
    ForeignRows,
}

impl Doubt {
    /// The word used in Redis.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BelowUsual => "below-usual",
            Self::Empty => "empty",
            Self::ForeignRows => "foreign-rows",
        }
    }
}

/// An operator's word that a quarantined cycle is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// Which cycle; none is the one that ended last.
    pub generation: Option<Generation>,
    /// Who says so.
    pub by: String,
    /// Whether a warehouse without any row is believed as well.
    pub even_if_empty: bool,
}

/// Why a cycle was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    /// No cycle has ended yet.
    #[error("nothing was read of this warehouse yet")]
    NothingRead,
    /// Another cycle has ended since.
    #[error("the cycle that ended last is {0}; look at its reason first")]
    AnotherCycle(Generation),
    /// It is not quarantined.
    #[error("the cycle that ended last is {0}, not quarantined")]
    NotQuarantined(String),
    /// It has no rows.
    #[error("the cycle has no rows at all; --even-if-empty believes that as well")]
    Empty,
    /// It has rows that were not asked for.
    #[error(
        "rows of another company or warehouse came back: mend the settings; this cannot be accepted"
    )]
    ForeignRows,
}

impl Sealed {
    /// The state it leaves behind.
    pub fn state(&self) -> SnapshotState {
        match self {
            Self::Complete { .. } => SnapshotState::Complete,
            Self::Partial { .. } => SnapshotState::Partial,
            Self::Quarantined { .. } => SnapshotState::Quarantined,
        }
    }

    pub(super) fn doubt(&self) -> &'static str {
        match self {
            Self::Complete { .. } => "",
            Self::Partial { .. } => "broken-off",
            Self::Quarantined { doubt, .. } => doubt.as_str(),
        }
    }
}

impl StockStore {
    /// Records a cycle's end; false if a later cycle has begun, whose end counts instead. A cycle
    /// under which Redis was replaced cannot be complete: nothing is recorded then.
    pub async fn seal(
        &self,
        tenant: &TenantId,
        warehouse: &WarehouseId,
        end: &CycleEnd,
    ) -> Result<bool, StoreError> {
        let (reason, hash) = match &end.sealed {
            Sealed::Complete { hash } => ("", hash.as_str()),
            Sealed::Partial { reason } | Sealed::Quarantined { reason, .. } => {
                (reason.as_str(), "")
            }
        };
        let mut call = Call::of(&SEAL)
            .key(self.keys().snapshot(tenant, warehouse))
            .key(self.keys().cycle(tenant, warehouse))
            .key(self.keys().ranges(tenant, warehouse))
            .key(self.keys().history(tenant, warehouse))
            .argument(end.generation)
            .argument(end.sealed.state())
            .argument(end.started)
            .argument(end.completed)
            .argument(end.rows)
            .argument(end.pages)
            .argument(reason)
            .argument(hash)
            .argument(end.next_due)
            .argument(history_entry(end, reason, hash))
            .argument(HISTORY)
            .argument(end.sealed.doubt());
        for item in &end.borders {
            call.push_argument(item.as_str().to_owned());
        }
        match self.run::<u8>(call).await? {
            2 => Err(StoreError::Replaced),
            recorded => Ok(recorded == 1),
        }
    }

    /// Takes an operator's word for a quarantined cycle: the watermark moves to its start.
    pub async fn accept(
        &self,
        tenant: &TenantId,
        warehouse: &WarehouseId,
        acceptance: &Acceptance,
        now: AsOf,
    ) -> Result<Result<Generation, NotAccepted>, StoreError> {
        let generation = acceptance
            .generation
            .map(|generation| generation.to_string());
        let call = Call::of(&ACCEPT)
            .key(self.keys().snapshot(tenant, warehouse))
            .key(self.keys().history(tenant, warehouse))
            .argument(generation.unwrap_or_default())
            .argument(&acceptance.by)
            .argument(now)
            .argument(u8::from(acceptance.even_if_empty))
            .argument(HISTORY);
        let (word, detail): (String, String) = self.run(call).await?;
        let number = || Generation(detail.parse().unwrap_or_default());
        Ok(match word.as_str() {
            "accepted" => Ok(number()),
            "nothing-read" => Err(NotAccepted::NothingRead),
            "not-quarantined" => Err(NotAccepted::NotQuarantined(detail)),
            "empty" => Err(NotAccepted::Empty),
            "foreign-rows" => Err(NotAccepted::ForeignRows),
            _ => Err(NotAccepted::AnotherCycle(number())),
        })
    }

    /// Notes that these feeds are wanted since `now`, where nobody noted it before.
    pub async fn want_feeds(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        now: AsOf,
    ) -> Result<(), StoreError> {
        self.note_once(tenant, warehouses, "wanted", &now.to_string())
            .await
    }

    /// Notes the settings of feeds whose records are of a version before fingerprints: all they hold
    /// was read with these.
    pub async fn adopt_feeds(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        settings: Fingerprint,
    ) -> Result<(), StoreError> {
        let text = format!("{settings}|{}", AsOf::EPOCH);
        self.note_once(tenant, warehouses, "settings", &text).await
    }

    async fn note_once(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        field: &str,
        text: &str,
    ) -> Result<(), StoreError> {
        if warehouses.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::Pipeline::with_capacity(warehouses.len());
        for warehouse in warehouses {
            let key = self.keys().snapshot(tenant, warehouse);
            pipeline.cmd("HSETNX").arg(key).arg(field).arg(text);
        }
        self.command(async |connection| pipeline.query_async::<Vec<u8>>(connection).await)
            .await
            .map(|_noted| ())
    }

    /// Begins a feed anew under these settings, if it is read with others: what was read before, its
    /// cycle under way included, counts for nothing. Says whether it did.
    ///
    /// `since` must lie ahead of Redis' clock, so that no line that is stored already is of it or
    /// later; no cycle may be opened before it has come.
    ///
    /// # Errors
    /// [`StoreError::TimedOut`] if `since` has passed when the script runs.
    pub async fn change_settings(
        &self,
        tenant: &TenantId,
        warehouse: &WarehouseId,
        settings: Fingerprint,
        since: AsOf,
    ) -> Result<bool, StoreError> {
        let call = Call::of(&CHANGE_SETTINGS)
            .key(self.keys().snapshot(tenant, warehouse))
            .key(self.keys().cycle(tenant, warehouse))
            .key(self.keys().ranges(tenant, warehouse))
            .argument(settings)
            .argument(since)
            .argument(since.unix_ms());
        match self.run::<i64>(call).await? {
            -1 => Err(StoreError::TimedOut),
            changed => Ok(changed == 1),
        }
    }

    /// A warehouse's last cycles, newest first, each as the JSON text that stands in Redis.
    pub async fn history(
        &self,
        tenant: &TenantId,
        warehouse: &WarehouseId,
    ) -> Result<Vec<String>, StoreError> {
        let key = self.keys().history(tenant, warehouse);
        self.command(async |connection| {
            redis::cmd("LRANGE")
                .arg(&key)
                .arg(0)
                .arg(HISTORY - 1)
                .query_async(connection)
                .await
        })
        .await
    }

    /// The records of some feeds, in the order asked for.
    pub async fn snapshots(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
    ) -> Result<Vec<WarehouseSnapshot>, StoreError> {
        if warehouses.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::Pipeline::with_capacity(warehouses.len());
        for warehouse in warehouses {
            pipeline
                .cmd("HGETALL")
                .arg(self.keys().snapshot(tenant, warehouse));
        }
        let answer: Vec<Value> = self
            .command(async |connection| pipeline.query_async(connection).await)
            .await?;
        answer.into_iter().map(snapshot_of).collect()
    }
}

/// A cycle in the history, for people and programs.
#[derive(Debug, Serialize)]
struct HistoryEntry<'a> {
    generation: u64,
    state: &'static str,
    started: String,
    completed: String,
    rows: u64,
    pages: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    hash: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
}

pub(super) fn history_entry(end: &CycleEnd, reason: &str, hash: &str) -> String {
    let entry = HistoryEntry {
        generation: end.generation.0,
        state: end.sealed.state().as_str(),
        started: end.started.to_string(),
        completed: end.completed.to_string(),
        rows: end.rows,
        pages: end.pages,
        hash,
        reason,
    };
    // Numbers and texts only: there is nothing in it that JSON cannot say.
    serde_json::to_string(&entry).unwrap_or_default()
}

/// The fields of a feed's record that [`standing_of`] reads, in its order.
pub(super) const STANDING: [&str; 6] = [
    "state",
    "watermark",
    "previous_watermark",
    "next_due",
    "settings",
    "wanted",
];

const MISBEHAVED: StoreError = StoreError::Misbehaved {
    what: "a snapshot's record",
};

/// Reads what lines are judged by out of an HMGET of [`STANDING`].
pub(super) fn standing_of(value: &Value) -> Result<FeedStanding, StoreError> {
    let Value::Array(values) = value else {
        return Err(MISBEHAVED);
    };
    if values.len() != STANDING.len() {
        return Err(MISBEHAVED);
    }
    let mut standing = FeedStanding::default();
    for (field, value) in STANDING.iter().zip(values) {
        match value {
            Value::BulkString(value) => take_over(&mut standing, field.as_bytes(), value),
            Value::Nil => {}
            _ => return Err(MISBEHAVED),
        }
    }
    Ok(standing)
}

fn take_over(standing: &mut FeedStanding, field: &[u8], value: &[u8]) {
    // What is no text reads as an empty one: settings that cannot be read match none.
    let value = str::from_utf8(value).unwrap_or_default();
    match field {
        b"state" => standing.state = value.parse().unwrap_or_default(),
        b"watermark" => standing.watermark = value.parse().ok(),
        b"previous_watermark" => standing.previous_watermark = value.parse().ok(),
        b"next_due" => standing.next_due = value.parse().ok(),
        b"settings" => standing.settings = Some(FeedSettings::read(value)),
        b"wanted" => standing.wanted = value.parse().ok(),
        _ => {}
    }
}

fn cut(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

/// A count; sums of some thousands stay in their range.
fn number(text: &str) -> u64 {
    text.parse().map_or(0, |number: u64| number.min(1 << 40))
}

/// Reads a feed's record. A field that cannot be read counts as not there: without a watermark
/// nothing is proved, which is the safe side.
pub(super) fn snapshot_of(value: Value) -> Result<WarehouseSnapshot, StoreError> {
    let pairs: Vec<(Value, Value)> = match value {
        Value::Map(pairs) => pairs,
        Value::Array(flat) => {
            let mut pairs = Vec::with_capacity(flat.len() / 2);
            let mut values = flat.into_iter();
            while let (Some(field), Some(value)) = (values.next(), values.next()) {
                pairs.push((field, value));
            }
            pairs
        }
        Value::Nil => Vec::new(),
        _ => return Err(MISBEHAVED),
    };
    let mut snapshot = WarehouseSnapshot::default();
    for (field, value) in pairs {
        let (Value::BulkString(field), Value::BulkString(value)) = (field, value) else {
            return Err(MISBEHAVED);
        };
        take_over(&mut snapshot.standing, &field, &value);
        let Ok(value) = str::from_utf8(&value) else {
            continue;
        };
        match field.as_slice() {
            b"generation" => snapshot.generation = Generation(value.parse().unwrap_or_default()),
            b"started" => snapshot.started = value.parse().ok(),
            b"completed" => snapshot.completed = value.parse().ok(),
            b"rows" => snapshot.rows = number(value),
            b"pages" => snapshot.pages = number(value),
            b"reason" => snapshot.reason = Some(cut(value, LONGEST_REASON)),
            b"sealed" => snapshot.sealed = Generation(value.parse().unwrap_or_default()),
            b"hash" => snapshot.hash = Some(cut(value, LONGEST_HASH)),
            b"recent_rows" => {
                snapshot.recent_rows = value
                    .split(',')
                    .take(HISTORY)
                    .filter_map(|rows| rows.parse().ok())
                    .collect();
            }
            _ => {}
        }
    }
    Ok(snapshot)
}

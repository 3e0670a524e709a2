//! The record of each warehouse's feed.

use super::calls::Calls;
use super::error::StoreError;
use super::feed_record::{FIELDS, LONGEST_VALUE, snapshot_of};
use super::script::{StoreCall, read};
use super::scripts;
use super::store::StockStore;
use crate::stock::{
    AsOf, Fingerprint, Generation, ItemNumber, SnapshotState, TenantId, WarehouseId,
    WarehouseSnapshot,
};
use redis::Value;
use serde::Serialize;

/// How many cycles the history keeps.
const HISTORY: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CycleEnd {
    pub generation: Generation,
    pub started: AsOf,
    pub completed: AsOf,
    pub rows: u64,
    pub pages: u64,
    pub next_due: AsOf,
    pub sealed: Sealed,
    /// Where the next cycle is split: the last items of its parts, but for the last part. Taken
    /// over from a snapshot only.
    pub borders: Vec<ItemNumber>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealed {
    Complete {
        /// SHA-256 over its lines, hexadecimal.
        hash: String,
    },
    Partial {
        reason: String,
    },
    /// It ended and is not believed.
    Quarantined {
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// Which cycle; none is the one that ended last.
    pub generation: Option<Generation>,
    pub by: String,
    /// Whether a warehouse without any row is believed as well.
    pub even_if_empty: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    #[error("nothing was read of this warehouse yet")]
    NothingRead,
    #[error("the cycle that ended last is {0}; look at its reason first")]
    AnotherCycle(Generation),
    #[error("the cycle that ended last is {0}, not quarantined")]
    NotQuarantined(String),
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

    /// The kind of its reason, its reason and its hash, as they are recorded.
    fn texts(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Complete { hash } => ("", "", hash),
            Self::Partial { reason } => ("broken-off", reason, ""),
            Self::Quarantined { reason, doubt } => (doubt.as_str(), reason, ""),
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
        self.run(self.calls(tenant).seal(warehouse, end)).await?
    }

    /// Takes an operator's word for a quarantined cycle: the watermark moves to its start.
    pub async fn accept(
        &self,
        tenant: &TenantId,
        warehouse: &WarehouseId,
        acceptance: &Acceptance,
        now: AsOf,
    ) -> Result<Result<Generation, NotAccepted>, StoreError> {
        let call = self.calls(tenant).accept(warehouse, acceptance, now);
        self.run(call).await
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
        self.ask_all::<Vec<u8>>(&pipeline).await.map(|_noted| ())
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
        let call = StoreCall::of(&scripts::CHANGE_SETTINGS)
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
        let mut range = redis::cmd("LRANGE");
        range.arg(self.keys().history(tenant, warehouse));
        self.ask(range.arg(0).arg(HISTORY - 1)).await
    }

    /// The records of some feeds, in the order asked for.
    pub async fn snapshots(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
    ) -> Result<Vec<WarehouseSnapshot>, StoreError> {
        let keys = warehouses
            .iter()
            .map(|warehouse| self.keys().snapshot(tenant, warehouse));
        let keys: Vec<String> = keys.collect();
        let records = self.short_fields(&keys, &FIELDS, LONGEST_VALUE).await?;
        let snapshots = records.iter().map(|fields| {
            snapshot_of(|name| Some(str::from_utf8(fields.get(name)?).unwrap_or_default()))
        });
        Ok(snapshots.collect())
    }
}

impl Calls<'_> {
    /// Records a cycle's end: false if a later cycle has begun, an error if Redis was replaced.
    pub fn seal(
        &self,
        warehouse: &WarehouseId,
        end: &CycleEnd,
    ) -> StoreCall<Result<bool, StoreError>> {
        let (doubt, reason, hash) = end.sealed.texts();
        let mut call = StoreCall::read_by(&scripts::SEAL, |answer| {
            Ok(match read::<u8>(answer)? {
                2 => Err(StoreError::Replaced),
                recorded => Ok(recorded == 1),
            })
        })
        .key(self.keys.snapshot(self.tenant, warehouse))
        .key(self.keys.cycle(self.tenant, warehouse))
        .key(self.keys.ranges(self.tenant, warehouse))
        .key(self.keys.history(self.tenant, warehouse))
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
        .argument(doubt);
        for item in &end.borders {
            call.push_argument(item.as_str().to_owned());
        }
        call
    }

    /// Takes an operator's word for a quarantined cycle.
    pub fn accept(
        &self,
        warehouse: &WarehouseId,
        acceptance: &Acceptance,
        now: AsOf,
    ) -> StoreCall<Result<Generation, NotAccepted>> {
        let generation = acceptance
            .generation
            .map(|generation| generation.to_string());
        StoreCall::read_by(&scripts::ACCEPT, accepted_or_not)
            .key(self.keys.snapshot(self.tenant, warehouse))
            .key(self.keys.history(self.tenant, warehouse))
            .argument(generation.unwrap_or_default())
            .argument(&acceptance.by)
            .argument(now)
            .argument(u8::from(acceptance.even_if_empty))
            .argument(HISTORY)
    }
}

fn accepted_or_not(answer: Value) -> Result<Result<Generation, NotAccepted>, StoreError> {
    let (word, detail): (String, String) = read(answer)?;
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

fn history_entry(end: &CycleEnd, reason: &str, hash: &str) -> String {
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

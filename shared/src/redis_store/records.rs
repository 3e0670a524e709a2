//! Records read from the plain fields of their hashes, for tests that run without a server.

use super::cycles::{OpenCycle, cycle_of};
use super::error::StoreError;
use super::schedule::{ShardRecord, record_of};
use super::snapshots::{history_entry, snapshot_of};
use super::{CycleEnd, Sealed};
use crate::stock::WarehouseSnapshot;
use redis::Value;
use std::collections::BTreeMap;

fn value_of(fields: &BTreeMap<String, String>) -> Value {
    let text = |text: &String| Value::BulkString(text.as_bytes().to_vec());
    let pairs = fields.iter().map(|(name, value)| (text(name), text(value)));
    Value::Map(pairs.collect())
}

/// The record of a feed.
pub fn snapshot(fields: &BTreeMap<String, String>) -> Result<WarehouseSnapshot, StoreError> {
    snapshot_of(value_of(fields))
}

/// A shard's record.
pub fn shard(fields: &BTreeMap<String, String>) -> Result<ShardRecord, StoreError> {
    record_of(&[Value::Nil, value_of(fields)])
}

/// A cycle under way; none if what is left of it cannot be used.
pub fn cycle(fields: &BTreeMap<String, String>) -> Option<OpenCycle> {
    let fields = fields.iter();
    cycle_of(
        fields
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

/// Reason, kind of the reason, hash and history entry of a cycle's end, as they are recorded.
pub fn end_texts(end: &CycleEnd) -> [String; 4] {
    let (reason, hash) = match &end.sealed {
        Sealed::Complete { hash } => ("", hash.as_str()),
        Sealed::Partial { reason } | Sealed::Quarantined { reason, .. } => (reason.as_str(), ""),
    };
    let entry = history_entry(end, reason, hash);
    let kind = end.sealed.doubt().to_owned();
    [reason.to_owned(), kind, hash.to_owned(), entry]
}

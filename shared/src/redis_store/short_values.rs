//! Values that are read only if they are short: anybody with a right to write may have written anything,
//! and what is never sent fills no memory here. Not for browsing, which has one round trip.

use super::error::StoreError;
use super::store::StockStore;
use std::collections::HashMap;

/// The fields of a hash that were short enough.
pub(super) type ShortFields = HashMap<&'static str, Vec<u8>>;

impl StockStore {
    /// These fields of hashes, each value of at most `longest` bytes; a longer one is as if it were empty.
    pub(super) async fn short_fields(
        &self,
        keys: &[String],
        fields: &[&'static str],
        longest: usize,
    ) -> Result<Vec<ShortFields>, StoreError> {
        let all: Vec<_> = keys
            .iter()
            .flat_map(|key| fields.iter().map(move |field| (key, *field)))
            .collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask_lengths = redis::pipe();
        for (key, field) in &all {
            ask_lengths.cmd("HSTRLEN").arg(key).arg(field);
        }
        let lengths: Vec<usize> = match self.ask_all(&ask_lengths).await {
            // A user with the rights of an earlier version may not ask for lengths.
            Err(error) if error.is_no_right() => vec![1; all.len()],
            lengths => lengths?,
        };
        let mut records: HashMap<&String, ShortFields> = HashMap::new();
        let mut short = Vec::new();
        for ((key, field), length) in all.into_iter().zip(lengths) {
            if length > longest {
                records.entry(key).or_default().insert(field, Vec::new());
            } else if length > 0 {
                short.push((key, field));
            }
        }
        let mut values = Vec::new();
        if !short.is_empty() {
            let mut ask_values = redis::pipe();
            for (key, field) in &short {
                ask_values.cmd("HGET").arg(key).arg(field);
            }
            values = self.ask_all::<Vec<Option<Vec<u8>>>>(&ask_values).await?;
        }
        for ((key, field), value) in short.into_iter().zip(values) {
            if let Some(value) = value {
                records.entry(key).or_default().insert(field, value);
            }
        }
        Ok(keys
            .iter()
            .map(|key| records.remove(key).unwrap_or_default())
            .collect())
    }
}

//! Names from before an identifier had one spelling: read once, renamed.
//!
//! Earlier versions named keys, fields and members as D365, the settings or a caller spelled them; now
//! all of them are comparison keys. The worker renames what it writes before it publishes its tenant,
//! once, and notes that; stock hashes are looked for by `SCAN`, a thousand names at a time. The API
//! renames holds, which it alone writes. Until both are done nobody takes a missing line for a proof.

use super::cycles::PartId;
use super::error::StoreError;
use super::hold_codec::{each_hold_of, holds_of, texts_of};
use super::line_codec::read_line;
use super::script::StoreCall;
use super::scripts;
use super::store::StockStore;
use crate::stock::{AsOf, Sku, StockLine, TenantId, WarehouseId, comparison_key};
use std::collections::HashMap;

/// The rule keys are spelled by.
const RULE: &str = "comparison-key";
/// Names looked at by one command.
const NAMES_PER_SCAN: usize = 1_000;

/// Two texts of holds as one.
fn joined(one: &str, other: &str) -> String {
    let lines = [one, other].into_iter().filter(|text| !text.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

impl StockStore {
    /// Renames what earlier versions of the worker wrote about a tenant, unless that was done before;
    /// gives back how many names were changed. Repeating it after an error does no harm.
    ///
    /// # Errors
    /// If Redis fails or refuses; then it is not noted as done.
    pub async fn respell(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
    ) -> Result<usize, StoreError> {
        if self.is_respelled(tenant).await? {
            return Ok(0);
        }
        let published = self.published_tenant(tenant).await?;
        let before = published.map(|published| published.warehouses());
        // The spellings of before, as far as they are known: the last published settings have them.
        let named: Vec<WarehouseId> = warehouses
            .iter()
            .cloned()
            .chain(before.unwrap_or_default())
            .collect();
        let warehouses = named.as_slice();
        let mut renamed = self.respell_feeds(tenant, warehouses).await?;
        let watermarks = self.watermarks(tenant, warehouses).await?;
        renamed += self.respell_schedule(tenant).await?;
        let low = self.keys().low(tenant);
        renamed += self.respell_members(&low, key_of).await?.len();
        renamed += self.respell_stock(tenant, warehouses).await?;
        self.vouch_for(tenant, warehouses, &watermarks).await?;
        let mut mark = redis::cmd("SET");
        mark.arg(self.keys().spelling(tenant)).arg(RULE);
        self.ask::<()>(&mark).await?;
        Ok(renamed)
    }

    /// Renames what orders hold; gives back how many SKUs were renamed.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn respell_holds(&self, tenant: &TenantId) -> Result<usize, StoreError> {
        let held = self.keys().held(tenant);
        let texts: HashMap<String, String> = self.ask(redis::cmd("HGETALL").arg(held)).await?;
        let mut renamed = 0;
        for (name, text) in &texts {
            let key = comparison_key(name);
            if key != *name && !key.is_empty() {
                renamed += usize::from(self.respell_held(tenant, (name, text), &key).await?);
            }
        }
        Ok(renamed)
    }

    /// Joins what is held under another name to what is held under the key. False if either was changed
    /// meanwhile by a replica of an earlier version: it is tried again.
    async fn respell_held(
        &self,
        tenant: &TenantId,
        (name, text): (&str, &str),
        key: &str,
    ) -> Result<bool, StoreError> {
        let hashes = [self.keys().held(tenant), self.keys().each_held(tenant)];
        // Another spelling may have been joined to it a moment ago.
        let mut pipeline = redis::pipe();
        for hash in &hashes {
            pipeline.cmd("HGET").arg(hash).arg(key);
        }
        let [all, each]: [Option<String>; 2] = self.ask_all(&pipeline).await?;
        let (all, each) = (all.unwrap_or_default(), each.unwrap_or_default());
        let holds = each_hold_of(&all, &each).zip(holds_of(text));
        let holds = holds.map(|(there, others)| [there, others].concat());
        // Unreadable holds are kept as they are, and looked at again at once.
        let until = (holds.iter().flatten()).map(|hold| hold.until).min();
        let (all_after, each_after) = match &holds {
            Some(holds) => texts_of(holds),
            None => (joined(&all, text), each.clone()),
        };
        let until = until.map_or(0, AsOf::unix_ms).to_string();
        let [held, each_held] = hashes;
        let mut call = StoreCall::of(&scripts::SWAP_ORDERS)
            .key(held)
            .key(each_held)
            .key(self.keys().held_until(tenant))
            .argument(0)
            .argument(2);
        for texts in [
            [name, text, "", "", "", "0"],
            [key, &all, &each, &all_after, &each_after, &until],
        ] {
            for text in texts {
                call.push_argument(text.to_owned());
            }
        }
        self.run::<u8>(call).await.map(|done| done == 1)
    }

    /// Whether all names of a tenant are spelled by today's rule.
    pub(super) async fn is_respelled(&self, tenant: &TenantId) -> Result<bool, StoreError> {
        let mark = self.keys().spelling(tenant);
        let rule: Option<String> = self.ask(redis::cmd("GET").arg(mark)).await?;
        Ok(rule.as_deref() == Some(RULE))
    }

    async fn watermarks(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
    ) -> Result<Vec<Option<String>>, StoreError> {
        let mut pipeline = redis::pipe();
        for warehouse in warehouses {
            let key = self.keys().snapshot(tenant, warehouse);
            pipeline.cmd("HGET").arg(key).arg("watermark");
        }
        self.ask_all(&pipeline).await
    }

    /// Snapshots that were complete before the lines were renamed prove absence under the new names.
    async fn vouch_for(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        watermarks: &[Option<String>],
    ) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        for (warehouse, watermark) in warehouses.iter().zip(watermarks) {
            if let Some(watermark) = watermark {
                let key = self.keys().snapshot(tenant, warehouse);
                pipeline.cmd("HSETNX").arg(key).arg("proved").arg(watermark);
            }
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        self.ask_all::<Vec<u8>>(&pipeline).await.map(|_noted| ())
    }

    async fn respell_feeds(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
    ) -> Result<usize, StoreError> {
        let mut renamed = 0;
        for warehouse in warehouses.iter().filter(|w| w.as_str() != w.key()) {
            for (kind, started) in [
                ("snapshot", "started"),
                ("cycle", "started"),
                ("ranges", ""),
                ("history", ""),
            ] {
                let begin = format!("{}{kind}:", self.keys().of_tenant(tenant));
                let before = format!("{begin}{}", warehouse.as_str());
                let now = format!("{begin}{}", warehouse.key());
                renamed += self.rename(before, now, started).await?;
            }
        }
        Ok(renamed)
    }

    async fn respell_schedule(&self, tenant: &TenantId) -> Result<usize, StoreError> {
        let due = self.keys().due(tenant);
        let shards = self.respell_members(&due, shard_key_of).await?;
        for (before, now) in &shards {
            let (before, now) = (
                self.keys().shard(tenant, before),
                self.keys().shard(tenant, now),
            );
            self.rename(before, now, "").await?;
        }
        Ok(shards.len())
    }

    /// Renames members of a sorted set, each with the lower score of both names.
    async fn respell_members(
        &self,
        set: &str,
        key_of: impl Fn(&str) -> String,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let mut all = redis::cmd("ZRANGE");
        all.arg(set).arg(0).arg(-1).arg("WITHSCORES");
        let members: Vec<(String, f64)> = self.ask(&all).await?;
        let named = members.into_iter().map(|(name, score)| {
            let key = key_of(&name);
            (name, key, score)
        });
        let renamed: Vec<_> = named.filter(|(name, key, _)| name != key).collect();
        for chunk in renamed.chunks(NAMES_PER_SCAN) {
            let mut pipeline = redis::pipe();
            pipeline.atomic();
            for (name, key, score) in chunk {
                pipeline.cmd("ZADD").arg(set).arg("LT").arg(*score).arg(key);
                pipeline.cmd("ZREM").arg(set).arg(name);
            }
            self.ask_all::<Vec<u64>>(&pipeline).await?;
        }
        Ok(renamed
            .into_iter()
            .map(|(name, key, _)| (name, key))
            .collect())
    }

    async fn respell_stock(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
    ) -> Result<usize, StoreError> {
        let begin = self.keys().stock_begin(tenant);
        let pattern = format!("{}*", as_itself(&begin));
        let all_hashes = warehouses.iter().any(|w| w.as_str() != w.key());
        let mut renamed = 0;
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(NAMES_PER_SCAN);
            let (next, names): (u64, Vec<Vec<u8>>) = self.ask(&scan).await?;
            for name in names.iter().filter_map(|name| str::from_utf8(name).ok()) {
                let Some(sku) = name.strip_prefix(&begin) else {
                    continue;
                };
                if all_hashes || comparison_key(sku) != sku {
                    renamed += self.respell_hash(tenant, name, sku).await?;
                }
            }
            cursor = next;
            if cursor == 0 {
                return Ok(renamed);
            }
        }
    }

    /// Offers the lines of a hash under their new names, where newer ones may stand, and takes the
    /// names before away.
    async fn respell_hash(
        &self,
        tenant: &TenantId,
        name: &str,
        sku: &str,
    ) -> Result<usize, StoreError> {
        let fields: HashMap<String, String> = self.ask(redis::cmd("HGETALL").arg(name)).await?;
        let is_renamed = comparison_key(sku) != sku;
        let before: Vec<&String> = fields
            .keys()
            .filter(|field| is_renamed || comparison_key(field) != field.as_str())
            .collect();
        let Ok(sku) = Sku::parse(sku) else {
            return Ok(0);
        };
        let lines: Vec<StockLine> = before
            .iter()
            .filter_map(|field| {
                Some(StockLine {
                    sku: sku.clone(),
                    warehouse: WarehouseId::parse(field.as_str()).ok()?,
                    value: read_line(fields[*field].as_bytes())?,
                })
            })
            .collect();
        if before.is_empty() {
            return Ok(0);
        }
        self.apply(tenant, &lines).await?;
        let mut away = redis::cmd(if is_renamed { "DEL" } else { "HDEL" });
        away.arg(name);
        if !is_renamed {
            away.arg(&before);
        }
        self.ask::<u64>(&away).await?;
        Ok(1)
    }

    async fn rename(
        &self,
        before: String,
        now: String,
        started: &str,
    ) -> Result<usize, StoreError> {
        let call = StoreCall::of(&scripts::RESPELL)
            .key(before)
            .key(now)
            .argument(started);
        self.run(call).await
    }
}

fn key_of(name: &str) -> String {
    comparison_key(name).into_owned()
}

/// The shard of a warehouse or of a part of its cycle; other shards keep their names.
fn shard_key_of(shard: &str) -> String {
    match PartId::of_shard(shard) {
        Some((warehouse, part)) => format!("{}#{part}", comparison_key(warehouse)),
        None if shard.starts_with('~') => shard.to_owned(),
        None => key_of(shard),
    }
}

/// A text as a pattern that matches only itself.
fn as_itself(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_respelled_but_for_those_that_are_no_warehouse() {
        for (shard, key) in [
            ("wh-a", "WH-A"),
            ("wh-a #482/3", "WH-A#482/3"),
            ("24#1/1", "24#1/1"),
            ("~asked", "~asked"),
        ] {
            assert_eq!(shard_key_of(shard), key);
        }
    }
}

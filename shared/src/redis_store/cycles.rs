//! A cycle of a warehouse, in parts that any worker may take.
//!
//! A cycle is opened with its item ranges, each of them a part on the schedule. A part's holder notes
//! how far it is, so that another can go on from there; the last part to end makes the warehouse due
//! again, and the worker that takes it seals the cycle. Nothing here decides what a cycle was.

use super::calls::Calls;
use super::error::StoreError;
use super::schedule::{Claim, LeaseLost, count_if_held, if_held};
use super::script::{StoreCall, read};
use super::scripts;
use super::store::StockStore;
use crate::stock::{AsOf, Fingerprint, Generation, ItemNumber, TenantId, WarehouseId};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Parts of one cycle; a record with more is none of ours.
const MOST_PARTS: u32 = 4_096;

/// A stretch of a warehouse's items in D365's own order: after one item, up to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemRange {
    /// The item it begins after; none at the warehouse's beginning.
    pub after: Option<ItemNumber>,
    /// The last item it may hold; none at the warehouse's end.
    pub up_to: Option<ItemNumber>,
}

impl ItemRange {
    /// The ranges between these borders, in their order; one range over everything without any.
    pub fn between(borders: &[ItemNumber]) -> Vec<Self> {
        let mut ranges = Vec::with_capacity(borders.len() + 1);
        let mut after = None;
        for border in borders {
            ranges.push(Self {
                after: after.replace(border.clone()),
                up_to: Some(border.clone()),
            });
        }
        ranges.push(Self { after, up_to: None });
        ranges
    }
}

/// A part of a cycle, as it stands on the schedule: `24#482/3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartId {
    pub generation: Generation,
    pub number: u32,
}

impl PartId {
    /// Splits a shard into a warehouse and a part of its cycle. None for any other shard.
    pub fn of_shard(shard: &str) -> Option<(&str, Self)> {
        let (warehouse, part) = shard.rsplit_once('#')?;
        let (generation, number) = part.split_once('/')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(generation) || !is_number(number) {
            return None;
        }
        let part = Self {
            generation: Generation(generation.parse().ok()?),
            number: number.parse().ok()?,
        };
        Some((warehouse, part))
    }

    pub fn shard_of(self, warehouse: &WarehouseId) -> String {
        format!("{}#{self}", warehouse.key())
    }
}

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.generation, self.number)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCycle {
    pub generation: Generation,
    /// Its start; the watermark, if it turns out to be a snapshot.
    pub started: AsOf,
    /// The settings it is read with; none if it was opened by a version before fingerprints.
    pub settings: Option<Fingerprint>,
    pub parts: Vec<OpenPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPart {
    pub range: ItemRange,
    /// How it ended, in the words of who read it; none while it has not.
    pub end: Option<String>,
}

impl OpenCycle {
    /// What a part reads; none if it is a part of another cycle.
    pub fn range_of(&self, part: PartId) -> Option<&ItemRange> {
        let at = usize::try_from(part.number).ok()?.checked_sub(1)?;
        let open = self.parts.get(at)?;
        (self.generation == part.generation).then_some(&open.range)
    }

    /// From the fields of its hash; none if its number, start or parts are not there.
    pub fn of<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let generation = Generation(field("generation")?.parse().ok()?);
        let started = field("started")?.parse().ok()?;
        let count: u32 = field("parts")?.parse().ok()?;
        if count > MOST_PARTS {
            return None;
        }
        let item = |name: String| field(&name).map(ItemNumber::parse).transpose();
        let parts = (1..=count).map(|number| {
            Some(OpenPart {
                range: ItemRange {
                    after: item(format!("after:{number}")).ok()?,
                    up_to: item(format!("up_to:{number}")).ok()?,
                },
                end: field(&format!("end:{number}")).map(str::to_owned),
            })
        });
        Some(Self {
            generation,
            started,
            settings: field("settings").and_then(|text| text.parse().ok()),
            parts: parts.collect::<Option<_>>()?,
        })
    }

    /// The end of every part; none while one is open.
    pub fn ends(&self) -> Option<Vec<&str>> {
        self.parts.iter().map(|part| part.end.as_deref()).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartEnded {
    /// It is noted; so many parts are still open.
    Noted {
        /// Parts of the cycle that have not ended.
        open: u32,
    },
    /// Its cycle is over or another one by now: it counts for nothing.
    Superseded,
}

impl StockStore {
    /// Opens a cycle whose parts read these ranges; `seen` is the generation of the snapshot record
    /// this was decided on. The warehouse is given back, to be looked after after `watch`. None if
    /// somebody else has opened one since, or the feed is read with other settings.
    pub async fn open_cycle(
        &self,
        tenant: &TenantId,
        warehouse: &WarehouseId,
        seen: Generation,
        started: AsOf,
        ranges: &[ItemRange],
        watch: Duration,
    ) -> Result<Option<Generation>, StoreError> {
        let settings = self.settings();
        let call = self
            .calls(tenant)
            .open_cycle(warehouse, seen, started, settings, ranges, watch);
        self.run(call).await
    }

    /// The cycle under way; none if there is none, or if what is left of it cannot be used.
    pub async fn cycle_under_way(
        &self,
        tenant: &TenantId,
        warehouse: &WarehouseId,
    ) -> Result<Option<OpenCycle>, StoreError> {
        let key = self.keys().cycle(tenant, warehouse);
        let fields: HashMap<String, String> = self.ask(redis::cmd("HGETALL").arg(key)).await?;
        Ok(OpenCycle::of(|name| fields.get(name).map(String::as_str)))
    }

    /// Forgets a cycle that cannot be used, so that another may be opened.
    pub async fn forget_cycle(
        &self,
        tenant: &TenantId,
        warehouse: &WarehouseId,
    ) -> Result<(), StoreError> {
        let key = self.keys().cycle(tenant, warehouse);
        self.ask(redis::cmd("DEL").arg(key)).await
    }

    /// Gives a claimed warehouse back whose cycle is under way, to be looked after again after
    /// `watch` or when its last part ends. Parts that have neither ended nor are scheduled are
    /// scheduled again; returns how many.
    pub async fn watch_cycle(
        &self,
        tenant: &TenantId,
        claim: &Claim,
        watch: Duration,
    ) -> Result<Result<u32, LeaseLost>, StoreError> {
        let call = self.calls(tenant).watch_cycle(claim, watch);
        self.run(call).await
    }

    pub async fn finish_part(
        &self,
        tenant: &TenantId,
        warehouse: &WarehouseId,
        claim: &Claim,
        part: PartId,
        started: AsOf,
        end: &str,
    ) -> Result<Result<PartEnded, LeaseLost>, StoreError> {
        let call = self
            .calls(tenant)
            .finish_part(warehouse, claim, part, started, end);
        self.run(call).await
    }

    pub async fn put_back(
        &self,
        tenant: &TenantId,
        claim: &Claim,
    ) -> Result<Result<(), LeaseLost>, StoreError> {
        let call = self.calls(tenant).put_back(claim);
        self.run(call).await
    }

    /// Where the last complete snapshot would be split: the last items of the parts, but for the
    /// last part. Borders that cannot be read are left out, which makes parts larger, never wrong.
    pub async fn borders(
        &self,
        tenant: &TenantId,
        warehouse: &WarehouseId,
    ) -> Result<Vec<ItemNumber>, StoreError> {
        let key = self.keys().ranges(tenant, warehouse);
        let mut range = redis::cmd("LRANGE");
        range.arg(key).arg(0).arg(MOST_PARTS - 2);
        let borders: Vec<String> = self.ask(&range).await?;
        Ok(borders
            .into_iter()
            .filter_map(|item| ItemNumber::parse(item).ok())
            .collect())
    }
}

impl Calls<'_> {
    /// Opens a cycle whose parts read these ranges; none if refused.
    pub fn open_cycle(
        &self,
        warehouse: &WarehouseId,
        seen: Generation,
        started: AsOf,
        settings: Option<Fingerprint>,
        ranges: &[ItemRange],
        watch: Duration,
    ) -> StoreCall<Option<Generation>> {
        let border = |item: &Option<ItemNumber>| {
            let item = item.as_ref().map(ItemNumber::as_str);
            item.unwrap_or_default().to_owned()
        };
        let mut call = StoreCall::read_by(&scripts::OPEN_CYCLE, |answer| {
            let generation = read::<u64>(answer)?;
            Ok((generation > 0).then_some(Generation(generation)))
        })
        .key(self.keys.snapshot(self.tenant, warehouse))
        .key(self.keys.cycle(self.tenant, warehouse))
        .key(self.keys.due(self.tenant))
        .key(self.keys.shard(self.tenant, warehouse.key()))
        .argument(warehouse.key())
        .argument(seen)
        .argument(started)
        .argument(watch.as_millis())
        .argument(settings.map_or_else(String::new, |own| own.to_string()));
        for range in ranges {
            call.push_argument(border(&range.after));
            call.push_argument(border(&range.up_to));
        }
        call
    }

    /// Looks after a cycle under way: how many parts were scheduled again.
    pub fn watch_cycle(&self, claim: &Claim, watch: Duration) -> StoreCall<Result<u32, LeaseLost>> {
        let call = StoreCall::read_by(&scripts::WATCH_CYCLE, count_if_held);
        self.on_claim(call, claim)
            .key(self.keys.cycle_of(self.tenant, &claim.shard))
            .argument(watch.as_millis())
    }

    pub fn finish_part(
        &self,
        warehouse: &WarehouseId,
        claim: &Claim,
        part: PartId,
        started: AsOf,
        end: &str,
    ) -> StoreCall<Result<PartEnded, LeaseLost>> {
        let call = StoreCall::read_by(&scripts::FINISH_PART, |answer| {
            Ok(match read::<i64>(answer)? {
                -2 => Ok(PartEnded::Superseded),
                open => match u32::try_from(open) {
                    Ok(open) => Ok(PartEnded::Noted { open }),
                    Err(_negative) => Err(LeaseLost),
                },
            })
        });
        self.on_claim(call, claim)
            .key(self.keys.cycle(self.tenant, warehouse))
            .argument(warehouse.key())
            .argument(part.generation)
            .argument(started)
            .argument(part.number)
            .argument(end)
    }

    pub fn put_back(&self, claim: &Claim) -> StoreCall<Result<(), LeaseLost>> {
        self.on_claim(StoreCall::read_by(&scripts::PUT_BACK, if_held), claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> ItemNumber {
        ItemNumber::parse(text).unwrap()
    }

    #[test]
    fn ranges_leave_no_gap_and_do_not_overlap() {
        let range = |after: Option<&str>, up_to: Option<&str>| ItemRange {
            after: after.map(item),
            up_to: up_to.map(item),
        };
        assert_eq!(ItemRange::between(&[]), [ItemRange::default()]);
        assert_eq!(
            ItemRange::between(&[item("B"), item(" a")]),
            [
                range(None, Some("B")),
                range(Some("B"), Some(" a")),
                range(Some(" a"), None)
            ]
        );
    }

    #[test]
    fn a_part_is_told_from_a_warehouse() {
        let part = PartId {
            generation: Generation(482),
            number: 3,
        };
        let warehouse = WarehouseId::parse("2#4").unwrap();
        assert_eq!(part.shard_of(&warehouse), "2#4#482/3");
        assert_eq!(PartId::of_shard("2#4#482/3"), Some(("2#4", part)));
        let lower = WarehouseId::parse("wh-a ").unwrap();
        assert_eq!(part.shard_of(&lower), "WH-A#482/3");
        for other in ["24", "24#", "24#1", "24#1/", "24#/1", "24#a/1", "24#+1/1"] {
            assert_eq!(PartId::of_shard(other), None, "{other}");
        }
    }
}

//! Reading lines: one round trip a question, over one connection kept by the reader.

use super::connection::Link;
use super::error::StoreError;
use super::feed_record::{standing_fields, standing_of};
use super::hold_codec::{each_hold_of, holds_of};
use super::keys::Keys;
use super::line_codec::read_line;
use super::metrics;
use crate::stock::{FeedStanding, Fingerprint, Hold, LineValue, Sku, TenantId, WarehouseId};
use arc_swap::ArcSwap;
use redis::Value;
use std::sync::Arc;

/// Reads for one thread of the API.
#[derive(Debug)]
pub struct StockReader {
    link: Link,
    keys: Keys,
    /// Tenants whose missing lines prove nothing.
    misspelled: Arc<ArcSwap<Vec<TenantId>>>,
    settings: Option<Fingerprint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredLine {
    Value(LineValue),
    Missing,
    /// Something that is no line, or nothing where another name may hold a line: no evidence for
    /// anything, absence included.
    Unreadable,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The feeds, in the order of the warehouses asked for.
    pub feeds: Vec<FeedStanding>,
    /// The lines, SKU by SKU, each with all warehouses asked for.
    pub lines: Vec<StoredLine>,
    pub held: Vec<HeldOfSku>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HeldOfSku {
    #[default]
    Nothing,
    /// These; where they are many, a summary of them unless each was asked for.
    Holds(Vec<Hold>),
    /// Something that is not readable: it may be anything, so nothing is left to sell.
    Unreadable,
}

/// How much is read of the holds of a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Nothing,
    Told,
    Each,
}

impl HeldOfSku {
    fn read(told: &[u8], each: Option<&[u8]>) -> Self {
        if told.is_empty() {
            return Self::Nothing;
        }
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let holds = text(told).and_then(|told| match each {
            Some(each) => each_hold_of(told, text(each)?),
            None => holds_of(told),
        });
        match holds {
            Some(holds) => Self::Holds(holds),
            None => Self::Unreadable,
        }
    }
}

impl Reading {
    /// What of it was read with these settings: other lines are as if they were not there, and other
    /// feeds cold.
    #[must_use]
    pub fn under(mut self, settings: Option<Fingerprint>) -> Self {
        if self.feeds.iter().all(|feed| feed.settings.is_none()) {
            return self;
        }
        let warehouses = self.feeds.len();
        for (at, line) in self.lines.iter_mut().enumerate() {
            let feed = &self.feeds[at % warehouses];
            let is_evidence = match line {
                StoredLine::Value(value) => feed.takes(value.as_of, settings),
                StoredLine::Unreadable => !feed.is_of_other_settings(settings),
                StoredLine::Missing => true,
            };
            if !is_evidence {
                *line = StoredLine::Missing;
            }
        }
        for feed in &mut self.feeds {
            *feed = feed.under(settings);
        }
        self
    }

    /// The lines of one SKU, in the order of the warehouses asked for.
    pub fn of_sku(&self, number: usize) -> &[StoredLine] {
        let warehouses = self.feeds.len();
        self.lines
            .get(number * warehouses..(number + 1) * warehouses)
            .unwrap_or_default()
    }
}

impl StockReader {
    pub(super) fn new(
        link: Link,
        keys: Keys,
        misspelled: Arc<ArcSwap<Vec<TenantId>>>,
        settings: Option<Fingerprint>,
    ) -> Self {
        Self {
            link,
            keys,
            misspelled,
            settings,
        }
    }

    /// Reads lines with the feeds they are judged by.
    ///
    /// The feeds are read first: a watermark that moved after the lines were read would make lines
    /// look missed that are not.
    pub async fn read_many(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        skus: &[Sku],
    ) -> Result<Reading, StoreError> {
        self.read(tenant, warehouses, skus, Detail::Told).await
    }

    /// The same without what orders hold, which a worker's Redis user may not read.
    pub async fn read_lines(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        skus: &[Sku],
    ) -> Result<Reading, StoreError> {
        self.read(tenant, warehouses, skus, Detail::Nothing).await
    }

    /// The same with each hold, for a caller who must know whose they are. Costs more where they are many.
    pub async fn read_each_hold(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        skus: &[Sku],
    ) -> Result<Reading, StoreError> {
        self.read(tenant, warehouses, skus, Detail::Each).await
    }

    async fn read(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        skus: &[Sku],
        detail: Detail,
    ) -> Result<Reading, StoreError> {
        let pipeline = redis::Pipeline::with_capacity(warehouses.len() + skus.len() + 1);
        let reading = self.read_after(pipeline, tenant, warehouses, skus, detail);
        reading.await.map(|(_, reading)| reading)
    }

    /// The same in one round trip with other commands, which come first; gives back their answers. They
    /// must do the same twice as once.
    pub(super) async fn read_after(
        &self,
        mut pipeline: redis::Pipeline,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        skus: &[Sku],
        detail: Detail,
    ) -> Result<(Vec<Value>, Reading), StoreError> {
        let first = pipeline.len();
        for warehouse in warehouses {
            pipeline
                .cmd("HMGET")
                .arg(self.keys.snapshot(tenant, warehouse))
                .arg(standing_fields());
        }
        let mut key = self.keys.stock_begin(tenant);
        let begin = key.len();
        for sku in skus {
            key.truncate(begin);
            key.push_str(sku.key());
            pipeline.cmd("HMGET").arg(&key);
            for warehouse in warehouses {
                pipeline.arg(warehouse.key());
            }
        }
        let held = [self.keys.held(tenant), self.keys.each_held(tenant)];
        let held = match detail {
            Detail::Nothing => &held[..0],
            Detail::Told => &held[..1],
            Detail::Each => &held[..],
        };
        for key in held {
            pipeline.cmd("HMGET").arg(key);
            for sku in skus {
                pipeline.arg(sku.key());
            }
        }
        let mut answers: Vec<Value> = self.link.ask(&pipeline).await?;
        let lines = answers.split_off(first.min(answers.len()));
        let missing = if self.misspelled.load().contains(tenant) {
            StoredLine::Unreadable
        } else {
            StoredLine::Missing
        };
        let reading = reading_of(lines, warehouses.len(), skus.len(), detail, missing)?;
        Ok((answers, reading.under(self.settings)))
    }

    /// Names of keys.
    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }
}

fn reading_of(
    answer: Vec<Value>,
    warehouses: usize,
    skus: usize,
    detail: Detail,
    missing: StoredLine,
) -> Result<Reading, StoreError> {
    let misbehaved = StoreError::Misbehaved {
        what: "stock lines",
    };
    let hashes = match detail {
        Detail::Nothing => 0,
        Detail::Told => 1,
        Detail::Each => 2,
    };
    if answer.len() != warehouses + skus + hashes {
        return Err(misbehaved);
    }
    let mut answer = answer;
    let held = answer.split_off(warehouses + skus);
    let held = match detail {
        Detail::Nothing => Vec::new(),
        Detail::Told | Detail::Each => held_of(&held, skus)?,
    };
    let mut answers = answer.into_iter();
    let mut feeds = Vec::with_capacity(warehouses);
    for value in answers.by_ref().take(warehouses) {
        feeds.push(standing_of(&value)?);
    }
    let mut lines = Vec::with_capacity(warehouses * skus);
    let mut unreadable = 0;
    for value in answers {
        let Value::Array(values) = value else {
            return Err(misbehaved);
        };
        if values.len() != warehouses {
            return Err(misbehaved);
        }
        lines.extend(values.iter().map(|value| match value {
            Value::Nil => missing,
            Value::BulkString(text) => read_line(text).map_or_else(
                || {
                    unreadable += 1;
                    StoredLine::Unreadable
                },
                StoredLine::Value,
            ),
            _ => StoredLine::Unreadable,
        }));
    }
    if unreadable > 0 {
        metrics::unreadable(unreadable);
        tracing::warn!(
            lines = unreadable,
            "stored lines are not readable; they count as unknown"
        );
    }
    Ok(Reading { feeds, lines, held })
}

/// From what everybody reads of each SKU's holds, and each of them if that was read as well.
fn held_of(hashes: &[Value], skus: usize) -> Result<Vec<HeldOfSku>, StoreError> {
    let misbehaved = StoreError::Misbehaved { what: "held stock" };
    let mut texts = hashes.iter().map(|hash| match hash {
        Value::Array(values) if values.len() == skus => Ok(values),
        _ => Err(misbehaved.clone()),
    });
    let told = texts.next().ok_or_else(|| misbehaved.clone())??;
    let each = texts.next().transpose()?;
    let held = told.iter().enumerate().map(|(at, told)| {
        let each = each.and_then(|each| each.get(at)).map(|each| match each {
            Value::BulkString(text) => text.as_slice(),
            _ => &[],
        });
        match told {
            Value::Nil => HeldOfSku::Nothing,
            Value::BulkString(told) => HeldOfSku::read(told, each),
            _ => HeldOfSku::Unreadable,
        }
    });
    Ok(held.collect())
}

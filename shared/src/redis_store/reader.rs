//! Reading lines: one round trip a question, over one connection kept by the reader.

use super::connection::Link;
use super::error::StoreError;
use super::hold_codec::holds_of;
use super::keys::Keys;
use super::line_codec::read_line;
use super::metrics;
use super::snapshots::{STANDING, standing_of};
use crate::stock::{FeedStanding, Fingerprint, Hold, LineValue, Sku, TenantId, WarehouseId};
use redis::Value;

/// Reads for one thread of the API.
#[derive(Debug)]
pub struct StockReader {
    link: Link,
    keys: Keys,
    settings: Option<Fingerprint>,
}

/// What is stored for one SKU in one warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredLine {
    /// A line.
    Value(LineValue),
    /// No line.
    Missing,
    /// Something that is no line: no evidence for anything, absence included.
    Unreadable,
}

/// The answer to one question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The feeds, in the order of the warehouses asked for.
    pub feeds: Vec<FeedStanding>,
    /// The lines, SKU by SKU, each with all warehouses asked for.
    pub lines: Vec<StoredLine>,
    /// What orders hold of each SKU.
    pub held: Vec<HeldOfSku>,
}

/// What orders hold of a SKU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum HeldOfSku {
    /// Nothing.
    #[default]
    Nothing,
    /// These.
    Holds(Vec<Hold>),
    /// Something that is not readable: it may be anything, so nothing is left to sell.
    Unreadable,
}

impl HeldOfSku {
    fn read(text: &[u8]) -> Self {
        if text.is_empty() {
            return Self::Nothing;
        }
        match std::str::from_utf8(text).ok().and_then(holds_of) {
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
    pub(super) fn new(link: Link, keys: Keys, settings: Option<Fingerprint>) -> Self {
        Self {
            link,
            keys,
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
        self.read(tenant, warehouses, skus, true).await
    }

    /// The same without what orders hold, which a worker's Redis user may not read.
    pub async fn read_lines(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        skus: &[Sku],
    ) -> Result<Reading, StoreError> {
        self.read(tenant, warehouses, skus, false).await
    }

    async fn read(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        skus: &[Sku],
        with_held: bool,
    ) -> Result<Reading, StoreError> {
        let mut pipeline = redis::Pipeline::with_capacity(warehouses.len() + skus.len() + 1);
        for warehouse in warehouses {
            pipeline
                .cmd("HMGET")
                .arg(self.keys.snapshot(tenant, warehouse))
                .arg(&STANDING);
        }
        let mut key = self.keys.stock_begin(tenant);
        let begin = key.len();
        for sku in skus {
            key.truncate(begin);
            key.push_str(sku.as_str());
            pipeline.cmd("HMGET").arg(&key);
            for warehouse in warehouses {
                pipeline.arg(warehouse.as_str());
            }
        }
        if with_held {
            pipeline.cmd("HMGET").arg(self.keys.held(tenant));
            for sku in skus {
                pipeline.arg(sku.as_str());
            }
        }
        let mut connection = self.link.connection().await?;
        let mut answer = self
            .link
            .judge(pipeline.query_async::<Vec<Value>>(&mut connection).await)?;
        if !with_held {
            answer.push(Value::Array(vec![Value::Nil; skus.len()]));
        }
        let reading = reading_of(answer, warehouses.len(), skus.len())?;
        Ok(reading.under(self.settings))
    }
}

fn reading_of(answer: Vec<Value>, warehouses: usize, skus: usize) -> Result<Reading, StoreError> {
    let misbehaved = StoreError::Misbehaved {
        what: "stock lines",
    };
    if answer.len() != warehouses + skus + 1 {
        return Err(misbehaved);
    }
    let mut answer = answer;
    let held = held_of(answer.pop(), skus)?;
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
            Value::Nil => StoredLine::Missing,
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

fn held_of(answer: Option<Value>, skus: usize) -> Result<Vec<HeldOfSku>, StoreError> {
    match answer {
        Some(Value::Array(values)) if values.len() == skus => Ok(values
            .iter()
            .map(|value| match value {
                Value::Nil => HeldOfSku::Nothing,
                Value::BulkString(text) => HeldOfSku::read(text),
                _ => HeldOfSku::Unreadable,
            })
            .collect()),
        _ => Err(StoreError::Misbehaved { what: "held stock" }),
    }
}

//! Holds and the records of the orders they belong to, changed together or not at all.

use super::error::StoreError;
use super::hold_codec::{each_hold_of, texts_of};
use super::keys::Keys;
use super::reader::{Detail, HeldOfSku, Reading, StockReader};
use super::script::StoreCall;
use super::scripts;
use super::store::StockStore;
use crate::stock::{AsOf, Hold, HoldOwner, Sku, TenantId, WarehouseId};
use std::time::Duration;

/// The holds of one SKU as they were read.
#[derive(Debug, Clone)]
pub struct HeldSku {
    /// The SKU.
    pub sku: Sku,
    /// Its holds; none if the text in Redis is not readable.
    pub holds: Option<Vec<Hold>>,
    before: Texts,
}

/// What everybody reads of a SKU's holds, and what is kept of each where that is more.
#[derive(Debug, Clone, Default)]
struct Texts {
    told: String,
    each: String,
}

impl HeldSku {
    /// The same SKU with other holds.
    pub fn becomes(&self, holds: Vec<Hold>) -> HeldChange {
        HeldChange {
            sku: self.sku.clone(),
            before: self.before.clone(),
            after: holds,
        }
    }

    /// The same SKU as it reads once it has other holds.
    #[must_use]
    pub fn holding(&self, holds: Vec<Hold>) -> Self {
        Self {
            holds: Some(holds),
            ..self.clone()
        }
    }
}

impl From<&HeldSku> for HeldOfSku {
    fn from(held: &HeldSku) -> Self {
        match &held.holds {
            None => Self::Unreadable,
            Some(holds) if holds.is_empty() => Self::Nothing,
            Some(holds) => Self::Holds(holds.clone()),
        }
    }
}

/// Other holds for a SKU.
#[derive(Debug, Clone)]
pub struct HeldChange {
    sku: Sku,
    before: Texts,
    after: Vec<Hold>,
}

/// The record of an order or reservation as it was read: JSON, or none.
#[derive(Debug, Clone)]
pub struct OrderText {
    /// Whose.
    pub owner: HoldOwner,
    /// Its text.
    pub text: Option<String>,
}

impl OrderText {
    /// The same order with another record, kept for this long.
    pub fn becomes(&self, after: String, kept: Duration) -> OrderChange {
        OrderChange {
            owner: self.owner.clone(),
            before: self.text.clone().unwrap_or_default(),
            after,
            kept,
        }
    }
}

/// Another record for an order.
#[derive(Debug, Clone)]
pub struct OrderChange {
    owner: HoldOwner,
    before: String,
    after: String,
    kept: Duration,
}

/// What an order is decided from, as it was read in one round trip.
#[derive(Debug, Clone, Default)]
pub struct OrderReading {
    /// Feeds, lines, and what is held of each SKU.
    pub stock: Reading,
    /// The records asked for.
    pub records: Vec<OrderText>,
    /// The holds of the SKUs, as they are to be changed; none if no records were asked for.
    pub held: Vec<HeldSku>,
}

/// Asks for records, then for the holds of SKUs.
fn ask_for_orders(
    keys: &Keys,
    tenant: &TenantId,
    owners: &[HoldOwner],
    skus: &[Sku],
) -> redis::Pipeline {
    let mut pipeline = redis::pipe();
    for owner in owners {
        pipeline.cmd("GET").arg(keys.order(tenant, owner));
    }
    if !skus.is_empty() {
        for key in [keys.held(tenant), keys.each_held(tenant)] {
            pipeline.cmd("HMGET").arg(key);
            for sku in skus {
                pipeline.arg(sku.key());
            }
        }
    }
    pipeline
}

/// Reads the answers to [`ask_for_orders`].
fn orders_of(
    mut answers: Vec<redis::Value>,
    owners: &[HoldOwner],
    skus: &[Sku],
) -> Result<(Vec<OrderText>, Vec<HeldSku>), StoreError> {
    let misbehaved = || StoreError::Misbehaved { what: "orders" };
    let hashes = if skus.is_empty() { 0 } else { 2 };
    if answers.len() != owners.len() + hashes {
        return Err(misbehaved());
    }
    let mut texts = answers.split_off(owners.len()).into_iter().map(|value| {
        redis::from_redis_value::<Vec<Option<String>>>(value)
            .ok()
            .filter(|texts| texts.len() == skus.len())
            .ok_or_else(misbehaved)
    });
    let told = texts.next().transpose()?.unwrap_or_default();
    let each = texts.next().transpose()?.unwrap_or_default();
    let records = owners.iter().zip(answers).map(|(owner, value)| {
        let text = redis::from_redis_value::<Option<String>>(value);
        Ok(OrderText {
            owner: owner.clone(),
            text: text.map_err(|_not_text| misbehaved())?,
        })
    });
    let records = records.collect::<Result<Vec<_>, StoreError>>()?;
    let held = skus.iter().zip(told.into_iter().zip(each));
    let held = held.map(|(sku, (told, each))| {
        let (told, each) = (told.unwrap_or_default(), each.unwrap_or_default());
        HeldSku {
            sku: sku.clone(),
            holds: each_hold_of(&told, &each),
            before: Texts { told, each },
        }
    });
    Ok((records, held.collect()))
}

impl StockReader {
    /// Reads stock, the records of some orders and the holds of the SKUs, in one round trip. Without
    /// orders, what is held is read as browsing does.
    pub async fn read_for_order(
        &self,
        tenant: &TenantId,
        warehouses: &[WarehouseId],
        skus: &[Sku],
        owners: &[HoldOwner],
    ) -> Result<OrderReading, StoreError> {
        if owners.is_empty() {
            let stock = self.read_many(tenant, warehouses, skus).await?;
            return Ok(OrderReading {
                stock,
                ..OrderReading::default()
            });
        }
        let orders = ask_for_orders(self.keys(), tenant, owners, skus);
        let reading = self.read_after(orders, tenant, warehouses, skus, Detail::Nothing);
        let (answers, mut stock) = reading.await?;
        let (records, held) = orders_of(answers, owners, skus)?;
        stock.held = held.iter().map(HeldOfSku::from).collect();
        Ok(OrderReading {
            stock,
            records,
            held,
        })
    }
}

impl StockStore {
    /// Reads records and the holds of SKUs, in the order asked for.
    pub async fn read_orders(
        &self,
        tenant: &TenantId,
        owners: &[HoldOwner],
        skus: &[Sku],
    ) -> Result<(Vec<OrderText>, Vec<HeldSku>), StoreError> {
        if owners.is_empty() && skus.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let pipeline = ask_for_orders(self.keys(), tenant, owners, skus);
        orders_of(self.ask_all(&pipeline).await?, owners, skus)
    }

    /// Changes records and holds for a caller who waits for so long, unless one of them reads otherwise
    /// by now. Says whether it was done.
    ///
    /// # Errors
    /// [`StoreError::TooLate`] if Redis came to it after that time: nothing was changed.
    pub async fn swap_orders(
        &self,
        tenant: &TenantId,
        records: &[OrderChange],
        held: &[HeldChange],
        patience: Duration,
    ) -> Result<bool, StoreError> {
        let mut call = StoreCall::of(&scripts::SWAP_ORDERS)
            .within(patience)
            .key(self.keys().held(tenant))
            .key(self.keys().each_held(tenant))
            .key(self.keys().held_until(tenant))
            .argument(records.len())
            .argument(held.len());
        for record in records {
            call.push_key(self.keys().order(tenant, &record.owner));
            call.push_argument(record.before.clone());
            call.push_argument(record.after.clone());
            call.push_argument(record.kept.as_millis().max(1).to_string());
        }
        for change in held {
            let ends = change.after.iter().map(|hold| hold.until).min();
            call.push_argument(change.sku.key().to_owned());
            let (told, each) = texts_of(&change.after);
            call.push_argument(change.before.told.clone());
            call.push_argument(change.before.each.clone());
            call.push_argument(told);
            call.push_argument(each);
            call.push_argument(ends.map_or(0, AsOf::unix_ms).to_string());
        }
        self.run::<u8>(call).await.map(|done| done == 1)
    }

    /// SKUs some of whose holds end until then, those that end first before others; of these so many
    /// after so many.
    pub async fn ending_holds(
        &self,
        tenant: &TenantId,
        until: AsOf,
        (skipped, most): (usize, usize),
    ) -> Result<Vec<Sku>, StoreError> {
        let key = self.keys().held_until(tenant);
        let mut range = redis::cmd("ZRANGEBYSCORE");
        range.arg(&key).arg("-inf").arg(until.unix_ms());
        range.arg("LIMIT").arg(skipped).arg(most);
        let skus: Vec<String> = self.ask(&range).await?;
        Ok(skus
            .into_iter()
            .filter_map(|sku| Sku::parse(sku).ok())
            .collect())
    }
}

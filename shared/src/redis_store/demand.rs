//! What is asked for, what is low, and how many calls may be spent on it between snapshots.

use super::error::StoreError;
use super::script::StoreCall;
use super::scripts;
use super::store::StockStore;
use crate::stock::{Sku, TenantId};

/// SKUs of one script call: counting them holds up readers beside it.
const SKUS_PER_CALL: usize = 500;
/// Most SKUs of a tenant whose questions are counted: with fewer, one that is asked for every few
/// seconds is pushed out again each time before it has counted twice.
const MOST_ASKED: usize = 20_000;
/// Most SKUs of a tenant with low stock.
const MOST_LOW: usize = 5_000;

impl StockStore {
    /// Counts SKUs that were asked for, with how often.
    pub async fn note_asked(
        &self,
        tenant: &TenantId,
        asked: &[(Sku, u32)],
    ) -> Result<(), StoreError> {
        for chunk in asked.chunks(SKUS_PER_CALL) {
            let mut call = StoreCall::of(&scripts::NOTE_ASKED)
                .key(self.keys().asked(tenant))
                .key(self.keys().demand(tenant))
                .argument(MOST_ASKED);
            for (sku, weight) in chunk {
                call.push_argument(sku.key().to_owned());
                call.push_argument(weight.to_string());
            }
            self.run::<u64>(call).await?;
        }
        Ok(())
    }

    /// The SKUs asked for most, most asked first.
    pub async fn most_asked(
        &self,
        tenant: &TenantId,
        count: usize,
    ) -> Result<Vec<Sku>, StoreError> {
        self.ranked("ZREVRANGE", self.keys().asked(tenant), count)
            .await
    }

    /// Notes SKUs whose stock is low, with how much there is in whole units; the lowest are kept.
    pub async fn note_low(&self, tenant: &TenantId, low: &[(Sku, u32)]) -> Result<(), StoreError> {
        if low.is_empty() {
            return Ok(());
        }
        let key = self.keys().low(tenant);
        let mut pipeline = redis::pipe();
        for chunk in low.chunks(SKUS_PER_CALL) {
            let add = pipeline.cmd("ZADD").arg(&key);
            for (sku, stock) in chunk {
                add.arg(*stock).arg(sku.key());
            }
            pipeline.ignore();
        }
        pipeline
            .cmd("ZREMRANGEBYRANK")
            .arg(&key)
            .arg(MOST_LOW)
            .arg(-1)
            .ignore();
        self.ask_all(&pipeline).await
    }

    /// The SKUs with the lowest stock, lowest first.
    pub async fn lowest(&self, tenant: &TenantId, count: usize) -> Result<Vec<Sku>, StoreError> {
        self.ranked("ZRANGE", self.keys().low(tenant), count).await
    }

    /// Takes SKUs out of the low ones.
    pub async fn forget_low(&self, tenant: &TenantId, skus: &[Sku]) -> Result<(), StoreError> {
        if skus.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = skus.iter().map(Sku::key).collect();
        let mut remove = redis::cmd("ZREM");
        remove.arg(self.keys().low(tenant)).arg(&names);
        self.ask(&remove).await
    }

    /// Takes at most `wanted` calls out of the tenant's budget of demand, which fills at
    /// `per_second` and holds `size`.
    pub async fn take_demand_calls(
        &self,
        tenant: &TenantId,
        per_second: f64,
        size: u32,
        wanted: u32,
    ) -> Result<u32, StoreError> {
        let call = StoreCall::of(&scripts::TAKE_DEMAND_CALLS)
            .key(self.keys().demand(tenant))
            .argument(per_second)
            .argument(size)
            .argument(wanted);
        self.run(call).await
    }

    async fn ranked(
        &self,
        command: &'static str,
        key: String,
        count: usize,
    ) -> Result<Vec<Sku>, StoreError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut range = redis::cmd(command);
        range.arg(&key).arg(0).arg(count - 1);
        let skus: Vec<String> = self.ask(&range).await?;
        Ok(skus
            .into_iter()
            .filter_map(|sku| Sku::parse(sku).ok())
            .collect())
    }
}

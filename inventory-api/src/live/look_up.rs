//! Asks one tenant's D365 about SKUs, inside a deadline.
//!
//! SKUs go out in chunks, concurrently; what one chunk cannot find out does not spoil another.

use super::deadline::Deadline;
use super::environment::Environment;
use super::failure::LiveFailure;
use super::items::{self, ItemsOfSkus};
use super::live_result::{LiveResult, collect};
use crate::http::priority::Priority;
use crate::metrics;
use futures_util::future::join_all;
use moka::future::Cache;
use shared::d365::{
    D365Error, LookUp, LookUpAnswer, OnHandSource, VariantQuestion, check_askable, look_up_chunks,
};
use shared::stock::{ItemNumber, Sku, SkuMapper, SkuMapping, Variant, VariantIndex, WarehouseId};
use std::sync::Arc;
use std::time::Duration;

/// Longest address of an order's look-up: chains of 25 items, answered side by side.
const ORDER_ADDRESS: usize = 2_000;
/// SKUs whose variants one D365 request asks for.
const VARIANT_CHUNK: usize = 25;
/// SKUs whose variants one process remembers, per tenant.
const REMEMBERED_SKUS: u64 = 50_000;

/// Asks one tenant's D365.
#[derive(Debug)]
pub(crate) struct LiveLookUp {
    source: Arc<dyn OnHandSource>,
    mapping: SkuMapping,
    /// Shared with the other tenants of this environment.
    environment: Arc<Environment>,
    /// For each SKU the variants that carry it as number or as item.
    variants: Cache<Sku, Arc<[Variant]>>,
}

impl LiveLookUp {
    /// Asks `source`, as far as its environment bears it.
    pub(crate) fn new(
        source: Arc<dyn OnHandSource>,
        mapping: SkuMapping,
        environment: Arc<Environment>,
        variants_max_age: Duration,
    ) -> Self {
        let variants = Cache::builder()
            .max_capacity(REMEMBERED_SKUS)
            .time_to_live(variants_max_age)
            .build();
        Self {
            source,
            mapping,
            environment,
            variants,
        }
    }

    /// Whether D365 can be asked for a SKU exactly; otherwise why not.
    pub(crate) fn check_askable(&self, sku: &Sku) -> Result<(), String> {
        if let Err(cause) = check_askable(sku.as_str()) {
            return Err(match cause {
                D365Error::Unaskable { problem, .. } => {
                    format!("D365 cannot be asked for this SKU live: {problem}")
                }
                other => other.to_string(),
            });
        }
        if let SkuMapping::Template(template) = &self.mapping {
            let readings = SkuMapper::Template(template.clone()).items_of(sku).len();
            if readings > items::MOST_READINGS {
                return Err(format!(
                    "this SKU can be read as {readings} item numbers; live at most {}",
                    items::MOST_READINGS
                ));
            }
        }
        Ok(())
    }

    /// Whether a look-up could be sent right away that ends with this deadline.
    pub(crate) fn has_room(&self, priority: Priority, deadline: &Deadline) -> bool {
        let left = deadline.left().unwrap_or_default();
        self.environment.has_room(priority, left)
    }

    /// How long D365's last answer took; nothing before the first.
    pub(crate) fn last_answer_took(&self) -> Duration {
        self.environment.last_answer_took()
    }

    /// Asks for SKUs in warehouses. Ends with the deadline at the latest.
    pub(crate) async fn ask(
        &self,
        skus: &[Sku],
        warehouses: &[WarehouseId],
        deadline: &Deadline,
        priority: Priority,
    ) -> LiveResult {
        let started = deadline.now();
        let mapper = match self.mapper(skus, deadline, priority).await {
            Ok(mapper) => mapper,
            Err(failure) => {
                metrics::live_answer(Err(&failure), deadline.since(started));
                return LiveResult::all_failed(skus.len() * warehouses.len(), failure);
            }
        };
        let items = ItemsOfSkus::of(skus, &mapper);
        let chunks = look_up_chunks(&items.items, warehouses, ORDER_ADDRESS);
        let answers = join_all(chunks.into_iter().map(async |chunk| {
            let started = deadline.now();
            let answer = self.ask_chunk(&chunk, warehouses, deadline, priority).await;
            metrics::live_answer(answer.as_ref().map(|_| ()), deadline.since(started));
            (chunk, answer)
        }))
        .await;
        collect(skus, warehouses, &items, &mapper, answers)
    }

    async fn ask_chunk(
        &self,
        items: &[ItemNumber],
        warehouses: &[WarehouseId],
        deadline: &Deadline,
        priority: Priority,
    ) -> Result<LookUpAnswer, LiveFailure> {
        self.environment
            .call(deadline, priority, async |time_left| {
                let question = LookUp {
                    items: items.to_vec(),
                    warehouses: warehouses.to_vec(),
                    time_left,
                    gives_way: priority < Priority::Order,
                };
                self.source.look_up(&question).await
            })
            .await
    }

    /// The mapping with what it needs for these SKUs.
    async fn mapper(
        &self,
        skus: &[Sku],
        deadline: &Deadline,
        priority: Priority,
    ) -> Result<SkuMapper, LiveFailure> {
        Ok(match &self.mapping {
            SkuMapping::ItemNumber => SkuMapper::ItemNumber,
            SkuMapping::Template(template) => SkuMapper::Template(template.clone()),
            SkuMapping::Variants => {
                SkuMapper::Variants(Arc::new(self.variants_of(skus, deadline, priority).await?))
            }
        })
    }

    async fn variants_of(
        &self,
        skus: &[Sku],
        deadline: &Deadline,
        priority: Priority,
    ) -> Result<VariantIndex, LiveFailure> {
        let mut known: Vec<Variant> = Vec::new();
        let mut unknown: Vec<Sku> = Vec::new();
        for sku in skus {
            match self.variants.get(sku).await {
                Some(variants) => known.extend(variants.iter().cloned()),
                None => unknown.push(sku.clone()),
            }
        }
        let answers = join_all(unknown.chunks(VARIANT_CHUNK).map(async |chunk| {
            let variants = self
                .environment
                .call(deadline, priority, async |time_left| {
                    let question = VariantQuestion::Of {
                        skus: chunk.to_vec(),
                        time_left,
                    };
                    self.source.variants(&question).await
                })
                .await?;
            Ok::<_, LiveFailure>((chunk, variants))
        }))
        .await;
        for answer in answers {
            let (asked, variants) = answer?;
            for sku in asked {
                let of_sku: Arc<[Variant]> = variants
                    .iter()
                    .filter(|variant| variant.sku == *sku || variant.item.key() == sku.key())
                    .cloned()
                    .collect();
                known.extend(of_sku.iter().cloned());
                // "No variant" is not remembered: a variant released a minute from now would be
                // looked for as a plain item, and its absence claimed.
                if !of_sku.is_empty() {
                    self.variants.insert(sku.clone(), of_sku).await;
                }
            }
        }
        Ok(VariantIndex::new(known))
    }
}

#[cfg(test)]
mod tests;

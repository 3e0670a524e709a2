//! Asking D365 now, inside one deadline.
//!
//! SKUs go out in chunks, concurrently; what one chunk cannot learn does not spoil another. An
//! environment that keeps failing is left alone for a while (`breaker`). Nothing here decides what a
//! failure means for the caller, and nothing is shared: `live_desk` does that.

mod breaker;
mod deadline;
mod environment;
mod findings;
mod items;

pub(crate) use deadline::{Arrival, Deadline};
pub(crate) use environment::Environment;
pub(crate) use findings::{Finding, Findings};

use crate::asked_skus::AskedSkus;
use crate::error::ApiError;
use crate::metrics;
use crate::weight::Weight;
use findings::collect;
use futures_util::future::join_all;
use items::ItemsOfSkus;
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

/// What a caller wants when D365 does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnLiveFailure {
    /// No answer.
    Fail,
    /// The cached number, marked as such.
    Cache,
}

/// Why there is no live answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LiveFailure {
    /// Nobody gave us a sign-in for this tenant's D365.
    #[error("no D365 credentials are configured for this organization (api.live.entra)")]
    NoCredentials,
    /// D365 kept failing and is left alone for a while.
    #[error("D365 keeps failing; it is asked again in {} s", wait.as_secs().max(1))]
    Resting {
        /// How long.
        wait: Duration,
    },
    /// The deadline passed first.
    #[error("the deadline passed before D365 was asked or had answered")]
    DeadlinePassed,
    /// D365 or Entra ID failed.
    #[error(transparent)]
    Erp(#[from] D365Error),
}

impl LiveFailure {
    /// What a caller may know.
    pub(crate) fn outside(&self) -> &'static str {
        match self {
            Self::NoCredentials => "Live stock is not available for this organization.",
            Self::DeadlinePassed | Self::Erp(D365Error::TimedOut { .. }) => {
                "The ERP did not answer in time."
            }
            Self::Erp(D365Error::Throttled { .. }) => "The ERP asks to wait.",
            Self::Erp(D365Error::Crowded) => "Too many questions to the ERP are under way.",
            Self::Resting { .. }
            | Self::Erp(D365Error::Connection { .. } | D365Error::Token { .. }) => {
                "The ERP cannot be reached."
            }
            Self::Erp(
                D365Error::Status { .. }
                | D365Error::BadAnswer { .. }
                | D365Error::Setup { .. }
                | D365Error::Unaskable { .. },
            ) => "The ERP answered with an error.",
        }
    }
}

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

    /// Whether D365 can be asked for all of a question's SKUs.
    pub(crate) fn check_all_askable(&self, skus: &AskedSkus) -> Result<(), ApiError> {
        for (number, sku) in skus.all().iter().enumerate() {
            self.check_askable(sku)
                .map_err(|problem| ApiError::invalid(skus.path(number), problem))?;
        }
        Ok(())
    }

    /// Whether a look-up could be sent right away that ends with this deadline.
    pub(crate) fn has_room(&self, weight: Weight, deadline: &Deadline) -> bool {
        let left = deadline.left().unwrap_or_default();
        self.environment.has_room(weight, left)
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
        weight: Weight,
    ) -> Findings {
        let started = deadline.now();
        let mapper = match self.mapper(skus, deadline, weight).await {
            Ok(mapper) => mapper,
            Err(failure) => {
                metrics::live_answer(Err(&failure), deadline.since(started));
                return Findings::all_failed(skus.len() * warehouses.len(), failure);
            }
        };
        let items = ItemsOfSkus::of(skus, &mapper);
        let chunks = look_up_chunks(&items.items, warehouses, ORDER_ADDRESS);
        let answers = join_all(chunks.into_iter().map(async |chunk| {
            let started = deadline.now();
            let answer = self.ask_chunk(&chunk, warehouses, deadline, weight).await;
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
        weight: Weight,
    ) -> Result<LookUpAnswer, LiveFailure> {
        self.environment
            .call(deadline, weight, async |time_left| {
                let question = LookUp {
                    items: items.to_vec(),
                    warehouses: warehouses.to_vec(),
                    time_left,
                    gives_way: weight < Weight::Order,
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
        weight: Weight,
    ) -> Result<SkuMapper, LiveFailure> {
        Ok(match &self.mapping {
            SkuMapping::ItemNumber => SkuMapper::ItemNumber,
            SkuMapping::Template(template) => SkuMapper::Template(template.clone()),
            SkuMapping::Variants => {
                SkuMapper::Variants(Arc::new(self.variants_of(skus, deadline, weight).await?))
            }
        })
    }

    async fn variants_of(
        &self,
        skus: &[Sku],
        deadline: &Deadline,
        weight: Weight,
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
                .call(deadline, weight, async |time_left| {
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
                    .filter(|variant| variant.sku == *sku || variant.item.as_str() == sku.as_str())
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

//! Released product variants, read now and then and kept.

use super::variant_findings::VariantFindings;
use shared::d365::{
    D365Error, OnHandSource, VARIANT_SKUS_PER_CALL, VariantQuestion, check_askable,
};
use shared::process::clock::Clock;
use shared::stock::{ItemNumber, Sku, TenantId, Variant, VariantIndex};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

const TIME_PER_QUESTION: Duration = Duration::from_secs(30);

/// Asks for the variants that carry these numbers, and for all variants of items so named. At most
/// [`VARIANT_SKUS_PER_CALL`] of them, so that it is one call.
pub(crate) async fn variants_of(
    source: &dyn OnHandSource,
    skus: &[Sku],
) -> Result<Vec<Variant>, D365Error> {
    let question = VariantQuestion::Of {
        skus: skus.to_vec(),
        time_left: TIME_PER_QUESTION,
    };
    source.variants(&question).await
}

/// An item as D365 can be asked for its variants; none if it cannot.
pub(crate) fn as_question(item: &ItemNumber) -> Option<Sku> {
    let sku = Sku::parse(item.as_str()).ok()?;
    check_askable(sku.as_str()).is_ok().then_some(sku)
}

/// Calls it takes to ask about so many SKUs or items.
pub(crate) fn calls_about(skus: usize) -> usize {
    skus.div_ceil(VARIANT_SKUS_PER_CALL)
}

/// A tenant's variants.
#[derive(Debug)]
pub(crate) struct Variants {
    max_age: Duration,
    /// Held while variants are read, so that several cycles read them once.
    known: Mutex<Option<Known>>,
    findings: Arc<VariantFindings>,
}

#[derive(Debug)]
struct Known {
    index: Arc<VariantIndex>,
    read_at: Duration,
    is_outdated: bool,
}

impl Variants {
    pub(crate) fn new(max_age: Duration) -> Self {
        Self {
            max_age,
            known: Mutex::new(None),
            findings: Arc::default(),
        }
    }

    pub(crate) fn findings(&self) -> &Arc<VariantFindings> {
        &self.findings
    }

    /// There are variants this list lacks: the next one who asks reads it again. Nothing changes if it
    /// is not the latest one, or is being read just now.
    pub(crate) fn note_outdated(&self, list: &Arc<VariantIndex>) {
        if let Ok(mut known) = self.known.try_lock()
            && let Some(known) = &mut *known
            && Arc::ptr_eq(&known.index, list)
        {
            known.is_outdated = true;
        }
    }

    /// The variants, read again when they are too old. If reading fails, the old ones serve up to
    /// twice their age.
    pub(crate) async fn index(
        &self,
        tenant: &TenantId,
        source: &dyn OnHandSource,
        clock: &dyn Clock,
    ) -> Result<Arc<VariantIndex>, D365Error> {
        let mut known = self.known.lock().await;
        let now = clock.monotonic();
        let age = known
            .as_ref()
            .map(|known| now.saturating_sub(known.read_at));
        if let (Some(known), Some(age)) = (&*known, age)
            && age < self.max_age
            && !known.is_outdated
        {
            return Ok(Arc::clone(&known.index));
        }
        match source.variants(&VariantQuestion::All).await {
            Ok(variants) => {
                let index = Arc::new(VariantIndex::new(variants));
                tracing::info!(tenant.id = %tenant, variants = index.len(), "released product variants were read");
                *known = Some(Known {
                    index: Arc::clone(&index),
                    read_at: now,
                    is_outdated: false,
                });
                self.findings.forget();
                Ok(index)
            }
            Err(error) => match (&*known, age) {
                (Some(old), Some(age)) if age < self.max_age * 2 => {
                    tracing::warn!(tenant.id = %tenant, %error, age_s = age.as_secs(),
                        "released product variants could not be read again; the old ones serve");
                    Ok(Arc::clone(&old.index))
                }
                _ => Err(error),
            },
        }
    }
}

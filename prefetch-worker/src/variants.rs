//! Released product variants, read now and then and kept.

use shared::d365::{D365Error, OnHandSource, VariantQuestion};
use shared::process::clock::Clock;
use shared::stock::{TenantId, VariantIndex};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A tenant's variants.
#[derive(Debug)]
pub(crate) struct Variants {
    max_age: Duration,
    /// Held while variants are read, so that several cycles read them once.
    known: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    index: Arc<VariantIndex>,
    read_at: Duration,
}

impl Variants {
    pub(crate) fn new(max_age: Duration) -> Self {
        Self {
            max_age,
            known: Mutex::new(None),
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
                });
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

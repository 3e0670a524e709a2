//! Which SKUs are asked for, so that prefetchers read those again first.
//!
//! Approximate on purpose: of two thousand requests between two flushes each is counted, of those
//! that come on top one in eight, for eight; a process counts at most 16,384 SKUs a tenant between two
//! flushes and drops what comes on top; a counter that is busy is left alone; counts of a flush that
//! Redis did not take are dropped. All of it moves a SKU within the order of reading only.

use crate::metrics;
use shared::redis_store::StockStore;
use shared::stock::{Sku, TenantId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Requests between two flushes that are counted one and all: 400 a second, some thousandths of a
/// core. A sample of fewer would not set the thousandth SKU apart from the two-thousandth.
const COUNTED_ALL: u64 = 2_000;
/// Beyond them one request of so many is counted, for all of them.
const ONE_IN: u32 = 8;
/// SKUs of one tenant between two flushes.
const MOST_SKUS: usize = 16_384;
const FLUSH_EVERY: Duration = Duration::from_secs(5);

/// Counts by tenant and SKU.
type Counts = HashMap<TenantId, HashMap<Sku, u32>>;

/// Counts what is asked for.
#[derive(Debug, Default)]
pub(crate) struct AskedRecorder {
    /// Since the last flush.
    requests: AtomicU64,
    counts: Mutex<Counts>,
}

impl AskedRecorder {
    /// Notes a request's SKUs. Costs one addition for seven requests of eight where there are many.
    pub(crate) fn note(&self, tenant: &TenantId, skus: &[Sku]) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let weight = if number < COUNTED_ALL { 1 } else { ONE_IN };
        if !number.is_multiple_of(u64::from(weight)) {
            return;
        }
        let mut counts = match self.counts.try_lock() {
            Ok(counts) => counts,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if !counts.contains_key(tenant) {
            counts.insert(tenant.clone(), HashMap::new());
        }
        let Some(counts) = counts.get_mut(tenant) else {
            return;
        };
        for sku in skus {
            if let Some(count) = counts.get_mut(sku) {
                *count = count.saturating_add(weight);
            } else if counts.len() < MOST_SKUS {
                counts.insert(sku.clone(), weight);
            }
        }
    }

    fn take(&self) -> Counts {
        self.requests.store(0, Ordering::Relaxed);
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds the counts to Redis now and then, until cancelled.
    pub(crate) async fn keep_flushing(&self, store: &StockStore, stop: CancellationToken) {
        while tokio::time::timeout(FLUSH_EVERY, stop.cancelled())
            .await
            .is_err()
        {
            for (tenant, counts) in self.take() {
                let counts: Vec<(Sku, u32)> = counts.into_iter().collect();
                if let Err(error) = store.note_asked(&tenant, &counts).await {
                    metrics::asked_not_told(counts.len());
                    tracing::debug!(tenant.id = %tenant, %error,
                        "what was asked for could not be noted");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skus(range: std::ops::Range<usize>) -> Vec<Sku> {
        range
            .map(|number| Sku::parse(format!("S{number}")).unwrap())
            .collect()
    }

    #[test]
    fn each_request_is_counted_whole_and_of_very_many_one_in_eight_for_eight() {
        let recorder = AskedRecorder::default();
        let tenant = TenantId::parse("t").unwrap();
        for requests in [80, 2_000, 10_000] {
            for _ in 0..requests {
                recorder.note(&tenant, &skus(0..3));
            }
            let counts = recorder.take();
            assert_eq!(counts[&tenant].len(), 3);
            assert!(counts[&tenant].values().all(|count| *count == requests));
        }
        assert!(recorder.take().is_empty());
    }

    #[test]
    fn what_is_asked_for_is_bounded() {
        let recorder = AskedRecorder::default();
        let tenant = TenantId::parse("t").unwrap();
        for number in 0..200 {
            recorder.note(&tenant, &skus(number * 1_000..(number + 1) * 1_000));
        }
        assert_eq!(recorder.take()[&tenant].len(), MOST_SKUS);
    }
}

//! Orders of one process for the same SKU go one after the other: they do not compete for its text in
//! Redis.

use shared::stock::{Sku, TenantId};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// More only makes it rarer that orders for different SKUs wait for each other.
const LOCKS: u64 = 256;

/// A lock for each SKU; some SKUs share one.
#[derive(Debug)]
pub(crate) struct SkuLocks(Vec<Arc<Mutex<()>>>);

/// The locks of some SKUs, until it is dropped.
#[derive(Debug)]
pub(super) struct Locked {
    guards: Vec<OwnedMutexGuard<()>>,
    /// Others had one of them before.
    pub(super) has_waited: bool,
}

impl Default for SkuLocks {
    fn default() -> Self {
        Self((0..LOCKS).map(|_| Arc::default()).collect())
    }
}

impl SkuLocks {
    /// Locks all these SKUs. Locks are taken in their order, so that nobody waits in a circle.
    pub(super) async fn lock(&self, tenant: &TenantId, skus: &[Sku]) -> Locked {
        let numbers: BTreeSet<usize> = skus
            .iter()
            .map(|sku| {
                let mut hasher = DefaultHasher::new();
                (tenant, sku).hash(&mut hasher);
                usize::try_from(hasher.finish() % LOCKS).unwrap_or_default()
            })
            .collect();
        let mut locked = Locked {
            guards: Vec::with_capacity(numbers.len()),
            has_waited: false,
        };
        for lock in numbers.into_iter().filter_map(|number| self.0.get(number)) {
            let guard = match Arc::clone(lock).try_lock_owned() {
                Ok(guard) => guard,
                Err(_taken) => {
                    locked.has_waited = true;
                    Arc::clone(lock).lock_owned().await
                }
            };
            locked.guards.push(guard);
        }
        locked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn orders_for_the_same_sku_go_one_after_the_other_whatever_else_they_name() {
        let locks = SkuLocks::default();
        let tenant = TenantId::parse("t").unwrap();
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let orders = (0..50).map(async |number: usize| {
            let mut skus = vec![
                Sku::parse("A").unwrap(),
                Sku::parse(format!("{number}")).unwrap(),
            ];
            if number.is_multiple_of(2) {
                skus.reverse();
            }
            let _locked = locks.lock(&tenant, &skus).await;
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            inside.fetch_sub(1, Ordering::SeqCst);
        });
        futures_util::future::join_all(orders).await;
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }
}

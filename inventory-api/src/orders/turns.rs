//! One after the other: orders of one process for the same SKU do not fight over its text in Redis.

use shared::stock::{Sku, TenantId};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// More only makes it rarer that orders for different SKUs wait for each other.
const PLACES: u64 = 256;

/// Where orders queue.
#[derive(Debug)]
pub(crate) struct Turns(Vec<Arc<Mutex<()>>>);

impl Default for Turns {
    fn default() -> Self {
        Self((0..PLACES).map(|_| Arc::default()).collect())
    }
}

impl Turns {
    /// Waits for the turn of all these SKUs; it ends when the guards are dropped. Places are taken in
    /// their order, so that nobody waits in a circle.
    pub(crate) async fn wait(&self, tenant: &TenantId, skus: &[Sku]) -> Vec<OwnedMutexGuard<()>> {
        let places: BTreeSet<usize> = skus
            .iter()
            .map(|sku| {
                let mut hasher = DefaultHasher::new();
                (tenant, sku).hash(&mut hasher);
                usize::try_from(hasher.finish() % PLACES).unwrap_or_default()
            })
            .collect();
        let mut guards = Vec::with_capacity(places.len());
        for place in places {
            if let Some(place) = self.0.get(place) {
                guards.push(Arc::clone(place).lock_owned().await);
            }
        }
        guards
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn orders_for_the_same_sku_take_turns_whatever_else_they_name() {
        let turns = Turns::default();
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
            let _turn = turns.wait(&tenant, &skus).await;
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            inside.fetch_sub(1, Ordering::SeqCst);
        });
        futures_util::future::join_all(orders).await;
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }
}

//! Callers whose questions follow Zipf's law, with their own count of what they asked for.

use integration_tests::api_client::ApiClient;
use integration_tests::chance::Chance;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Questions at once before new ones count as failed: a bound for this process.
const MOST_AT_ONCE: usize = 500;
/// The weight of the SKU that is asked for most; the n-th has an n-th of it.
const HEAVIEST: u64 = 1_000_000_000;

/// Ask about these items, the first most often.
#[derive(Debug)]
pub(super) struct Callers {
    items: Vec<String>,
    warehouses: Vec<String>,
    /// Sums of the weights up to and with each item.
    weights: Vec<u64>,
    asked: Mutex<Asked>,
    skus: usize,
}

#[derive(Debug)]
struct Asked {
    chance: Chance,
    /// How often each item was asked for.
    tally: Vec<u32>,
    questions: u64,
    failed: u64,
}

impl Callers {
    /// Questions of `skus` SKUs each; which items are popular follows from the seed.
    pub(super) fn new(
        mut items: Vec<String>,
        warehouses: Vec<String>,
        skus: usize,
        seed: u64,
    ) -> Self {
        let mut chance = Chance::of(seed);
        for last in (1..items.len()).rev() {
            let other = chance.place(last + 1);
            items.swap(last, other);
        }
        let mut sum = 0;
        let weights = (1..=items.len() as u64)
            .map(|rank| {
                sum += HEAVIEST / rank;
                sum
            })
            .collect();
        let asked = Asked {
            chance,
            tally: vec![0; items.len()],
            questions: 0,
            failed: 0,
        };
        Self {
            items,
            warehouses,
            weights,
            asked: Mutex::new(asked),
            skus,
        }
    }

    /// Asks so often, whether replies come or not. Does not end by itself.
    #[expect(
        clippy::disallowed_methods,
        reason = "questions are bounded by places and by the client's patience"
    )]
    pub(super) async fn ask(self: &Arc<Self>, api: &ApiClient, per_second: u32) {
        let places = Arc::new(Semaphore::new(MOST_AT_ONCE));
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second.max(1));
        loop {
            ticks.tick().await;
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                self.asked().failed += 1;
                continue;
            };
            let (callers, api) = (Arc::clone(self), api.clone());
            tokio::spawn(async move {
                let (warehouse, numbers) = callers.question();
                let skus: Vec<&str> = numbers.iter().map(|n| callers.items[*n].as_str()).collect();
                let reply = api.fast(&callers.warehouses[warehouse], &skus).await;
                let is_good = reply.is_ok_and(|reply| reply.status.is_success());
                let mut asked = callers.asked();
                asked.questions += 1;
                asked.failed += u64::from(!is_good);
                drop(place);
            });
        }
    }

    /// The items asked for most so far.
    pub(super) fn most_asked(&self, count: usize) -> Vec<String> {
        let tally = self.asked().tally.clone();
        let mut numbers: Vec<usize> = (0..tally.len()).collect();
        numbers.sort_by_key(|number| std::cmp::Reverse(tally[*number]));
        let most = numbers.into_iter().take(count);
        most.map(|number| self.items[number].clone()).collect()
    }

    /// Questions replied to, and those that failed.
    pub(super) fn questions(&self) -> (u64, u64) {
        let asked = self.asked();
        (asked.questions, asked.failed)
    }

    fn question(&self) -> (usize, Vec<usize>) {
        let all = self.weights.last().copied().unwrap_or_default();
        let mut asked = self.asked();
        let warehouse = asked.chance.place(self.warehouses.len());
        let mut numbers = HashSet::with_capacity(self.skus);
        while numbers.len() < self.skus.min(self.items.len()) {
            let drawn = asked.chance.below(all);
            let number = self.weights.partition_point(|sum| *sum <= drawn);
            if numbers.insert(number) {
                asked.tally[number] += 1;
            }
        }
        (warehouse, numbers.into_iter().collect())
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_popular_is_asked_for_in_proportion_and_counted() {
        let items: Vec<String> = (0..1_000).map(|n| format!("S{n}")).collect();
        let callers = Callers::new(items, vec!["24".to_owned()], 1, 7);
        for _ in 0..50_000 {
            callers.question();
        }
        let tally = callers.asked().tally.clone();
        // The first of a thousand has a share of 1/7.49, the tenth a tenth of that.
        assert!((6_200..7_200).contains(&tally[0]), "{}", tally[0]);
        assert!((550..790).contains(&tally[9]), "{}", tally[9]);
        assert_eq!(callers.most_asked(1), [callers.items[0].clone()]);
    }
}

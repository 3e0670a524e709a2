//! Browse load at a fixed rate: a service that stalls is asked all the same, so that its stall shows.

use crate::api_client::ApiClient;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Questions at once before the load counts new ones as failed: a bound for this process.
const MOST_AT_ONCE: u32 = 2_000;

/// What is asked, how often.
#[derive(Debug, Clone)]
pub struct Browse {
    /// Questions a second.
    pub per_second: u32,
    /// SKUs of one question.
    pub skus: usize,
    /// Warehouses, asked in turn.
    pub warehouses: Vec<String>,
    /// Items, asked in turn.
    pub items: Vec<String>,
    /// Start of the walk through the items; the same seed asks the same questions.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Browsed {
    /// Time from the instant a question was due to its reply, sorted.
    pub latencies: Vec<Duration>,
    /// Questions without a good reply.
    pub failed: u64,
}

impl Browsed {
    /// All questions.
    pub fn questions(&self) -> u64 {
        self.latencies.len() as u64 + self.failed
    }

    /// Takes another stretch of the same load in.
    pub fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.latencies.sort_unstable();
        self.failed += other.failed;
    }

    /// The time that so many percent of the questions took less than.
    pub fn percentile(&self, percent: usize) -> Duration {
        percentile(&self.latencies, percent)
    }
}

/// The value that so many percent of sorted ones are below.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).copied().unwrap_or_default()
}

impl Browse {
    /// Asks until `until` is over.
    #[expect(
        clippy::disallowed_methods,
        reason = "questions are waited for before this returns"
    )]
    pub async fn run(&self, api: &ApiClient, until: impl Future<Output = ()>) -> Browsed {
        let result = Arc::new(Mutex::new(Browsed::default()));
        let places = Arc::new(Semaphore::new(MOST_AT_ONCE as usize));
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / self.per_second.max(1));
        let mut number = self.seed;
        let asking = async {
            loop {
                let due: Instant = ticks.tick().await;
                number = number.wrapping_add(1);
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    lock(&result).failed += 1;
                    continue;
                };
                let (api, result) = (api.clone(), Arc::clone(&result));
                let (warehouse, skus) = self.question(number);
                tokio::spawn(async move {
                    let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
                    let reply = api.fast(&warehouse, &skus).await;
                    let took = due.elapsed();
                    match reply {
                        Ok(reply) if reply.status.is_success() => {
                            lock(&result).latencies.push(took);
                        }
                        _ => lock(&result).failed += 1,
                    }
                    drop(place);
                });
            }
        };
        tokio::select! {
            () = asking => {}
            () = until => {}
        }
        // The last replies are part of the result.
        let all = places.acquire_many(MOST_AT_ONCE);
        drop(tokio::time::timeout(Duration::from_secs(10), all).await);
        let mut browsed = std::mem::take(&mut *lock(&result));
        browsed.latencies.sort_unstable();
        browsed
    }

    fn question(&self, number: u64) -> (String, Vec<String>) {
        let place =
            |number: u64, of: usize| usize::try_from(number % of.max(1) as u64).unwrap_or_default();
        let warehouse = self.warehouses[place(number, self.warehouses.len())].clone();
        // A step without a common factor visits all items.
        let first = place(number.wrapping_mul(7_919), self.items.len());
        let skus = (0..self.skus)
            .map(|n| self.items[(first + n) % self.items.len()].clone())
            .collect();
        (warehouse, skus)
    }
}

fn lock(result: &Mutex<Browsed>) -> std::sync::MutexGuard<'_, Browsed> {
    result.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Browse load at a fixed rate: a service that stalls is asked all the same, so that its stall shows.

use crate::api_client::ApiClient;
use crate::oracle::Told;
use d365_simulator::Simulator;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Questions at once before the load counts new ones as failed: a bound for this process.
const MOST_AT_ONCE: usize = 2_000;

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
    /// Whether the lines of the replies are kept for the oracle.
    pub keeps_lines: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Browsed {
    /// Time from the instant a question was due to its reply, in microseconds, sorted.
    pub latencies_us: Vec<u64>,
    /// Questions without a good reply.
    pub failed: u64,
    /// The lines told, in the order of their replies.
    pub told: Vec<Told>,
}

impl Browsed {
    /// All questions.
    pub fn questions(&self) -> u64 {
        self.latencies_us.len() as u64 + self.failed
    }

    /// Takes another stretch of the same load in.
    pub fn add(&mut self, other: Self) {
        self.latencies_us.extend(other.latencies_us);
        self.latencies_us.sort_unstable();
        self.failed += other.failed;
        self.told.extend(other.told);
    }

    /// A quantile of the latencies; `0.99` is the p99.
    pub fn quantile(&self, share: f64) -> Duration {
        let count = self.latencies_us.len();
        if count == 0 {
            return Duration::ZERO;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list that fits into memory"
        )]
        let place = ((count as f64 * share) as usize).min(count - 1);
        Duration::from_micros(self.latencies_us[place])
    }
}

impl Browse {
    /// Asks until `until` is over.
    #[expect(
        clippy::disallowed_methods,
        reason = "questions are waited for before this returns"
    )]
    pub async fn run(
        &self,
        api: &ApiClient,
        simulator: &Arc<Simulator>,
        until: impl Future<Output = ()>,
    ) -> Browsed {
        let result = Arc::new(Mutex::new(Browsed::default()));
        let places = Arc::new(Semaphore::new(MOST_AT_ONCE));
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
                let (api, simulator) = (api.clone(), Arc::clone(simulator));
                let (warehouse, skus) = self.question(number);
                let (result, keeps_lines) = (Arc::clone(&result), self.keeps_lines);
                tokio::spawn(async move {
                    let asked = simulator.now();
                    let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
                    let reply = api.fast(&warehouse, &skus).await;
                    let took = due.elapsed();
                    let seen = simulator.now();
                    let mut result = lock(&result);
                    match reply {
                        Ok(reply) if reply.status.is_success() => {
                            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                            result.latencies_us.push(micros);
                            if keeps_lines {
                                result.told.extend(Told::of_reply(&reply.json, asked, seen));
                            }
                        }
                        _ => result.failed += 1,
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
        let all = u32::try_from(MOST_AT_ONCE).unwrap_or(u32::MAX);
        drop(tokio::time::timeout(Duration::from_secs(10), places.acquire_many(all)).await);
        let mut browsed = std::mem::take(&mut *lock(&result));
        browsed.latencies_us.sort_unstable();
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

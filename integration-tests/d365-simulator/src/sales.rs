//! Stock that moves while the simulator runs: random sales at a steady rate.

use std::sync::{Mutex, RwLock};
use std::time::Duration;

use crate::clock::{Clock, Stopwatch};
use crate::locks::{lock, write};
use crate::world::{Random, World};

/// Company whose stock moves.
const COMPANY: &str = "usmf";
/// Sales happen in bursts this far apart.
const BEAT: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct Pace {
    per_second: f64,
    /// Sales made so far.
    made: u64,
    random: Random,
}

/// The rate of sales, shared with the task that makes them.
#[derive(Debug)]
pub(crate) struct Sales(Mutex<Pace>);

impl Sales {
    pub(crate) fn new(seed: u64, per_second: f64) -> Self {
        Self(Mutex::new(Pace {
            per_second: per_second.max(0.0),
            made: 0,
            random: Random::stream(seed, u64::MAX),
        }))
    }

    /// Sets the rate. Sales happen under the same lock, so with `0` none is in flight when this returns.
    pub(crate) fn set_rate(&self, per_second: f64) {
        lock(&self.0).per_second = per_second.max(0.0);
    }

    /// The rate, and how many sales have been made.
    pub(crate) fn rate_and_made(&self) -> (f64, u64) {
        let pace = lock(&self.0);
        (pace.per_second, pace.made)
    }

    /// Sells for ever.
    pub(crate) async fn sell(&self, world: &RwLock<World>, clock: &Clock) {
        let mut owed = 0.0;
        loop {
            let waiting = Stopwatch::start();
            tokio::time::sleep(BEAT).await;
            let mut pace = lock(&self.0);
            owed += pace.per_second * waiting.elapsed().as_secs_f64();
            // After a stall, or a stop, sales are dropped rather than made all at once.
            owed = owed.min(pace.per_second.max(1.0));
            while owed >= 1.0 {
                owed -= 1.0;
                let traded = write(world).trade(COMPANY, &mut pace.random, clock.now());
                pace.made += u64::from(traded);
            }
        }
    }
}

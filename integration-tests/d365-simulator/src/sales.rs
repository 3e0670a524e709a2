//! Stock that moves while the simulator runs: random sales at a steady rate.

use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::{Clock, Stopwatch};
use crate::locks::{lock, write};
use crate::world::{Random, World};

/// Company whose stock moves.
const COMPANY: &str = "usmf";
/// Sales happen in bursts this far apart at most.
const BEAT: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct Pace {
    per_second: f64,
    stopped: bool,
    /// Sales made so far.
    made: u64,
    random: Random,
}

/// The rate of sales, shared with the thread that makes them.
#[derive(Debug)]
pub(crate) struct Sales {
    pace: Mutex<Pace>,
    changed: Condvar,
}

impl Sales {
    pub(crate) fn new(seed: u64, per_second: f64) -> Self {
        let pace = Pace {
            per_second: per_second.max(0.0),
            stopped: false,
            made: 0,
            random: Random::stream(seed, u64::MAX),
        };
        Self {
            pace: Mutex::new(pace),
            changed: Condvar::new(),
        }
    }

    /// Sets the rate. Sales happen under the same lock, so with `0` none is in flight when this returns.
    pub(crate) fn set_rate(&self, per_second: f64) {
        lock(&self.pace).per_second = per_second.max(0.0);
        self.changed.notify_all();
    }

    /// The rate, and how many sales have been made.
    pub(crate) fn rate_and_made(&self) -> (f64, u64) {
        let pace = lock(&self.pace);
        (pace.per_second, pace.made)
    }

    pub(crate) fn stop(&self) {
        lock(&self.pace).stopped = true;
        self.changed.notify_all();
    }

    /// Starts the thread that sells until stopped.
    pub(crate) fn start(
        self: &Arc<Self>,
        world: Arc<RwLock<World>>,
        clock: Arc<Clock>,
    ) -> std::io::Result<JoinHandle<()>> {
        let sales = Arc::clone(self);
        std::thread::Builder::new()
            .name("sales".to_owned())
            .spawn(move || sales.sell_until_stopped(&world, &clock))
    }

    fn sell_until_stopped(&self, world: &RwLock<World>, clock: &Clock) {
        let mut owed = 0.0;
        let mut pace = lock(&self.pace);
        while !pace.stopped {
            let waiting = Stopwatch::start();
            pace = if pace.per_second > 0.0 {
                let beat = self.changed.wait_timeout(pace, BEAT);
                beat.unwrap_or_else(PoisonError::into_inner).0
            } else {
                owed = 0.0;
                self.changed
                    .wait(pace)
                    .unwrap_or_else(PoisonError::into_inner)
            };
            if pace.stopped || pace.per_second <= 0.0 {
                continue;
            }
            owed += pace.per_second * waiting.elapsed().as_secs_f64();
            // After a stall sales are dropped rather than made all at once.
            owed = owed.min(pace.per_second);
            while owed >= 1.0 {
                owed -= 1.0;
                let traded = write(world).trade(COMPANY, &mut pace.random, clock.now());
                pace.made += u64::from(traded);
            }
        }
    }
}

//! A run: faults for some minutes, then two calm intervals in which every warehouse must get its snapshot.
//!
//! A run is its seed: the same seed gives the same run. Every worker's step makes at most one call to
//! Redis, so a fault can fall between any two.

use super::faults::Weather;
use super::trace::{Failure, Trace};
use super::world::{BEGIN_MS, Broken, Event, INTERVAL, LEASE_MS, Plan, Seen, Simulation};
use crate::chance::Chance;
use crate::evidence::violated;
use crate::script_engine::Scripts;
use crate::store::Recorded;
use prefetch_worker::scheduler::plan;
use std::cmp::Reverse;
use std::time::Duration;

const FAULTS_MS: i64 = 480_000;

/// Runs a seed. A failure is run again to name its last steps.
pub fn run(seed: u64, scripts: &Scripts, weather: Option<Weather>) -> Result<Seen, Failure> {
    let world = |trace| Simulation::begun(seed, scripts, weather, trace);
    let played = world(Trace::default()).and_then(|mut world| {
        world.play()?;
        Ok(world.seen)
    });
    played.map_err(|broken| Failure {
        seed,
        broken: broken.to_string(),
        steps: world(Trace::on()).map_or_else(
            |_same| Vec::new(),
            |mut again| {
                let _same = again.play();
                again.trace.steps()
            },
        ),
    })
}

/// Runs a seed and gives every call and command. Nothing expires in it.
pub fn record(seed: u64, weather: Weather) -> Result<Vec<Recorded>, String> {
    let world = Simulation::begun(seed, &Scripts::real(), Some(weather), Trace::default());
    let mut world = world.map_err(|broken| broken.to_string())?;
    world.store.recorded = Some(Vec::new());
    world.store.line_ttl = Duration::from_hours(168);
    world.play().map_err(|broken| broken.to_string())?;
    Ok(world.store.recorded.unwrap_or_default())
}

impl Simulation {
    fn begun(
        seed: u64,
        scripts: &Scripts,
        weather: Option<Weather>,
        trace: Trace,
    ) -> Result<Self, Broken> {
        let mut chance = Chance::of(seed);
        let plan = Plan::of(&mut chance, weather);
        let mut world = Self::planned(chance, scripts, plan, trace)?;
        for warehouse in 0..plan.warehouses {
            for item in 0..world.truth.items().len() {
                if world.chance.happens(800) {
                    world.truth.changes(warehouse, item, BEGIN_MS - 1_000);
                }
            }
        }
        for worker in 0..plan.workers {
            let delay = world.chance.between(0, 3_000);
            world.start_worker(worker, delay);
        }
        for (event, longest) in [
            (Event::TruthChanges, 3_000),
            (Event::LiveBegins, 3_000),
            (Event::FaultDue, 10_000),
            (Event::RefreshAsked, 90_000),
            (Event::ReadersAsk, 5_000),
        ] {
            let delay = world.chance.between(0, longest);
            world.after(delay, event);
        }
        Ok(world)
    }

    fn play(&mut self) -> Result<(), Broken> {
        self.run_until(BEGIN_MS + FAULTS_MS)?;
        self.calm_down();
        let calm_from = self.now_ms;
        let intervals = 2 * i64::try_from(INTERVAL.as_millis()).unwrap_or(0);
        self.run_until(calm_from + self.longest_wait() + LEASE_MS + intervals)?;
        for (place, warehouse) in self.truth.warehouses().iter().enumerate() {
            let watermark = self.feeds[place].watermark;
            let since = watermark.and_then(|mark| self.evidence.opened_at(place, mark));
            if since.is_none_or(|opened| opened < calm_from) {
                let record = self.store.snapshot(&self.redis, warehouse);
                let what = "got no snapshot in two calm intervals";
                violated("I9", format!("{warehouse} {what}: {record:?}"))?;
            }
        }
        Ok(())
    }

    /// What failed before may be waiting for its next try, or fail once more for what it met.
    fn longest_wait(&self) -> i64 {
        let now = self.redis_now_ms();
        let waiting = self.store.earliest(&self.redis).into_iter();
        let waits = waiting.map(|(_, due)| due - now);
        let backoffs = self.truth.warehouses().iter().map(|warehouse| {
            let record = self.store.shard_record(&self.redis, warehouse.key());
            let backoff = plan::backoff(record.failures + 1, INTERVAL).as_millis();
            i64::try_from(backoff).unwrap_or(i64::MAX)
        });
        waits.chain(backoffs).max().unwrap_or(0)
    }

    fn run_until(&mut self, end_ms: i64) -> Result<(), Broken> {
        while self.next_event(end_ms)? {}
        self.now_ms = end_ms;
        self.set_redis_clock();
        Ok(())
    }

    /// The next event up to that time; false if there is none.
    pub(super) fn next_event(&mut self, end_ms: i64) -> Result<bool, Broken> {
        let next = self.queue.peek();
        if next.is_none_or(|Reverse((at_ms, _, _))| *at_ms > end_ms) {
            return Ok(false);
        }
        let Some(Reverse((at_ms, _, event))) = self.queue.pop() else {
            return Ok(false);
        };
        self.now_ms = self.now_ms.max(at_ms);
        self.set_redis_clock();
        match event {
            Event::Worker {
                worker,
                epoch,
                activity,
            } => self.worker_event(worker, epoch, activity)?,
            Event::TruthChanges => self.change_truth(),
            Event::LiveBegins => self.begin_look_up(),
            Event::LiveAnswer(number) => self.end_look_up(number)?,
            Event::FaultDue => self.fault_due()?,
            Event::RefreshAsked => self.ask_for_refresh()?,
            Event::ReadersAsk => self.readers_ask()?,
        }
        self.judge_what_changed()?;
        Ok(true)
    }
}

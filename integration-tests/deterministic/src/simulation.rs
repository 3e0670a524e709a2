//! The simulated world: D365, workers, live callers, readers and faults on one virtual clock.
//!
//! A run is its seed: the same seed gives the same run. Every worker's step makes at most one call to
//! Redis, so a fault can fall between any two.

mod callers;
mod clock;
mod faults;
mod kill;
mod publisher;
mod reading;
mod step_kind;
mod tending;
mod trace;
mod worker;

pub use faults::{Fault, Weather};
pub use kill::{Kill, KillRun, KillWorld, Moment, RESUMED_WITHIN_MS, run_with_kill};
pub use step_kind::StepKind;
pub use trace::Failure;

use crate::chance::Chance;
use crate::evidence::{Evidence, Read, Violation, Written};
use crate::fake_redis::{Entries, FakeRedis};
use crate::house::{House, HouseError};
use crate::rules::Rules;
use crate::truth::Truth;
use clock::WorldClock;
use kill::Killing;
use prefetch_worker::scheduler::plan;
use shared::stock::{AsOf, FeedStanding, StockLine};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use trace::Trace;
use worker::{Activity, Worker};

const BEGIN_MS: i64 = 1_800_000_000_000;
const STORM_MS: i64 = 480_000;
const INTERVAL_MS: i64 = 60_000;
const LEASE_MS: i64 = 30_000;
const PART_TIME_MS: i64 = 3_000;
const GUARD_PERCENT: u8 = 30;
/// Contents of Redis that a failover may go back to.
const REMEMBERED: usize = 40;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// An invariant.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// A script or the model itself.
    #[error(transparent)]
    House(#[from] HouseError),
}

/// What a run saw: a test of the simulation asks whether its faults happened at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Events.
    pub events: u64,
    /// Faults, by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// Complete snapshots.
    pub snapshots: u64,
    /// Cycles that were partial or quarantined.
    pub failed_cycles: u64,
    /// Parts read on from another's notes.
    pub resumed: u64,
    /// Lines written over older ones.
    pub applied: u64,
    /// Lines refused.
    pub refused: u64,
    /// Cycles of more than one part.
    pub split_cycles: u64,
    /// Answers judged absent by snapshots.
    pub judged: u64,
}

impl Seen {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        self.snapshots += other.snapshots;
        self.failed_cycles += other.failed_cycles;
        self.resumed += other.resumed;
        self.applied += other.applied;
        self.refused += other.refused;
        self.split_cycles += other.split_cycles;
        self.judged += other.judged;
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Worker {
        worker: usize,
        epoch: u64,
        activity: Activity,
    },
    TruthChanges,
    LiveBegins,
    LiveAnswer(usize),
    FaultDue,
    RefreshAsked,
    ReadersAsk,
}

/// What a world is made of.
#[derive(Debug, Clone, Copy)]
struct Plan {
    line_ttl_ms: i64,
    warehouses: usize,
    workers: usize,
    page_size: usize,
    weather: Weather,
}

impl Plan {
    /// Drawn; the weather too, unless it is asked for.
    fn of(chance: &mut Chance, weather: Option<Weather>) -> Self {
        Self {
            line_ttl_ms: if chance.happens(300) {
                600_000
            } else {
                604_800_000
            },
            warehouses: if chance.happens(500) { 1 } else { 2 },
            workers: usize::try_from(chance.between(2, 4)).unwrap_or(2),
            weather: weather.unwrap_or_else(|| Weather::of(chance)),
            page_size: usize::try_from(chance.between(3, 5)).unwrap_or(3),
        }
    }
}

/// A live look-up under way.
#[derive(Debug, Clone)]
struct LookUp {
    warehouse: usize,
    item: usize,
    line: StockLine,
    read: Read,
}

/// The world.
pub struct Simulation<'a> {
    rules: &'a Rules,
    weather: Weather,
    house: House,
    redis: FakeRedis,
    past: VecDeque<Arc<Entries>>,
    chance: Chance,
    now_ms: i64,
    clock: WorldClock,
    truth: Truth,
    evidence: Evidence,
    workers: Vec<Worker>,
    look_ups: BTreeMap<usize, LookUp>,
    queue: BinaryHeap<Reverse<(i64, u64, Event)>>,
    scheduled: u64,
    page_size: usize,
    last_fault_ms: i64,
    is_calm: bool,
    feeds: Vec<FeedStanding>,
    seen: Seen,
    trace: Trace,
    killing: Option<Killing>,
}

/// Runs a seed. A failure is run again to tell its last steps.
pub fn run(seed: u64, rules: &Rules, weather: Option<Weather>) -> Result<Seen, Failure> {
    let quiet = Simulation::with(seed, rules, weather, Trace::off());
    quiet.and_then(|mut world| world.play()).map_err(|broken| {
        let mut trace = Trace::off();
        if let Ok(mut told) = Simulation::with(seed, rules, weather, Trace::on()) {
            // It breaks the same way, or the test of that fails.
            let _same = told.play();
            trace = told.trace;
        }
        Failure::of(seed, &broken, trace)
    })
}

fn stamp(ms: i64) -> AsOf {
    AsOf::from_unix_ms(ms).unwrap_or(AsOf::EPOCH)
}

impl<'a> Simulation<'a> {
    fn with(
        seed: u64,
        rules: &'a Rules,
        weather: Option<Weather>,
        trace: Trace,
    ) -> Result<Self, Broken> {
        let mut chance = Chance::of(seed);
        let plan = Plan::of(&mut chance, weather);
        let mut world = Self::planned(chance, rules, plan, trace)?;
        world.begin();
        Ok(world)
    }

    /// As it is before anything happens.
    fn planned(chance: Chance, rules: &'a Rules, plan: Plan, trace: Trace) -> Result<Self, Broken> {
        Ok(Self {
            rules,
            weather: plan.weather,
            house: House::with(&rules.scripts, plan.line_ttl_ms)?,
            redis: FakeRedis::default(),
            past: VecDeque::new(),
            now_ms: BEGIN_MS,
            clock: WorldClock::default(),
            truth: Truth::of(plan.warehouses, 10).map_err(HouseError::from)?,
            evidence: Evidence::default(),
            workers: (0..plan.workers).map(Worker::new).collect(),
            look_ups: BTreeMap::new(),
            queue: BinaryHeap::new(),
            scheduled: 0,
            page_size: plan.page_size,
            last_fault_ms: BEGIN_MS,
            is_calm: false,
            feeds: vec![FeedStanding::default(); plan.warehouses],
            seen: Seen::default(),
            trace,
            killing: None,
            chance,
        })
    }

    fn begin(&mut self) {
        for warehouse in 0..self.truth.warehouses().len() {
            for item in 0..self.truth.items().len() {
                if self.chance.happens(800) {
                    self.truth.changes(warehouse, item, BEGIN_MS - 1_000);
                }
            }
        }
        for worker in 0..self.workers.len() {
            let delay = self.chance.between(0, 3_000);
            self.start_worker(worker, delay);
        }
        for (event, longest) in [
            (Event::TruthChanges, 3_000),
            (Event::LiveBegins, 3_000),
            (Event::FaultDue, 10_000),
            (Event::RefreshAsked, 90_000),
            (Event::ReadersAsk, 5_000),
        ] {
            let delay = self.chance.between(0, longest);
            self.after(delay, event);
        }
    }

    /// The storm, then two calm intervals in which every warehouse must get its snapshot (I9).
    fn play(&mut self) -> Result<Seen, Broken> {
        self.run_until(BEGIN_MS + STORM_MS)?;
        self.calm_down();
        let calm_from = self.now_ms;
        let waits = self.longest_wait()? + LEASE_MS;
        self.run_until(calm_from + waits + 2 * INTERVAL_MS)?;
        for (place, warehouse) in self.truth.warehouses().to_vec().iter().enumerate() {
            let watermark = self.feeds[place].watermark;
            let since = watermark.and_then(|mark| self.evidence.opened_at(place, mark));
            if since.is_none_or(|opened| opened < calm_from) {
                let record = self.house.snapshot(&self.redis, warehouse)?;
                return Err(Violation {
                    invariant: "I9",
                    what: format!("{warehouse} got no snapshot in two calm intervals: {record:?}"),
                }
                .into());
            }
        }
        Ok(self.seen.clone())
    }

    /// What failed in the storm may be waiting for its next try, or fail once more for what it met.
    fn longest_wait(&mut self) -> Result<i64, Broken> {
        let now = self.redis_now_ms();
        let waiting = self.house.earliest(&mut self.redis)?;
        let mut longest = waiting.iter().map(|(_, due)| due - now).max().unwrap_or(0);
        for warehouse in self.truth.warehouses() {
            let record = self.house.shard_record(&self.redis, warehouse.as_str())?;
            let backoff = plan::backoff(record.failures + 1, tending::ms(INTERVAL_MS)).as_millis();
            longest = longest.max(i64::try_from(backoff).unwrap_or(i64::MAX));
        }
        Ok(longest)
    }

    fn run_until(&mut self, end_ms: i64) -> Result<(), Broken> {
        while self.next_event(end_ms)? {}
        self.now_ms = end_ms;
        self.set_redis_clock();
        Ok(())
    }

    /// The next event up to that time; false if there is none.
    fn next_event(&mut self, end_ms: i64) -> Result<bool, Broken> {
        let next = self.queue.peek();
        if next.is_none_or(|Reverse((at_ms, _, _))| *at_ms > end_ms) {
            return Ok(false);
        }
        let Some(Reverse((at_ms, _, event))) = self.queue.pop() else {
            return Ok(false);
        };
        self.now_ms = self.now_ms.max(at_ms);
        self.set_redis_clock();
        self.seen.events += 1;
        self.happen(event)?;
        self.judge_what_changed()?;
        Ok(true)
    }

    fn happen(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Worker {
                worker,
                epoch,
                activity,
            } => self.worker_event(worker, epoch, activity)?,
            Event::TruthChanges => self.change_truth(),
            Event::LiveBegins => self.begin_look_up()?,
            Event::LiveAnswer(number) => self.end_look_up(number)?,
            Event::FaultDue => self.fault_due()?,
            Event::RefreshAsked => self.ask_for_refresh()?,
            Event::ReadersAsk => self.readers_ask()?,
        }
        Ok(())
    }

    fn after(&mut self, delay_ms: i64, event: Event) {
        self.scheduled += 1;
        let at = self.now_ms + delay_ms.max(0);
        self.queue.push(Reverse((at, self.scheduled, event)));
    }

    fn redis_now_ms(&self) -> i64 {
        self.now_ms + self.clock.ahead_ms()
    }

    fn set_redis_clock(&mut self) {
        let now_us = self.redis_now_ms() * 1_000;
        self.redis.set_clock_us(now_us);
    }

    /// Before every write: what a failover may go back to.
    fn remember(&mut self) {
        if self.past.len() >= REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(self.redis.contents());
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        let at = self.now_ms - BEGIN_MS;
        self.trace.note(at, text);
    }

    /// Writes lines as any writer does, and judges each write.
    fn apply(&mut self, lines: &[StockLine]) -> Result<Vec<i64>, Broken> {
        self.remember();
        let mut before = Vec::with_capacity(lines.len());
        for line in lines {
            let stored = self
                .house
                .stored(&self.redis, line.sku.as_str(), &line.warehouse)?;
            before.push(stored.map(str::to_owned));
        }
        let verdicts = self.house.apply(&mut self.redis, lines)?;
        for ((line, before), verdict) in lines.iter().zip(before).zip(&verdicts) {
            let how = match verdict {
                1 => Written::Newer,
                2 => Written::OverCorrupt,
                _ => {
                    self.seen.refused += 1;
                    continue;
                }
            };
            self.seen.applied += u64::from(before.is_some());
            let place = self.place_of(line);
            let stored = self
                .house
                .stored(&self.redis, line.sku.as_str(), &line.warehouse)?;
            if let (Some(place), Some(after)) = (place, stored) {
                self.evidence
                    .judge_write(&self.truth, place, before.as_deref(), (after, how))?;
            }
        }
        Ok(verdicts)
    }

    fn place_of(&self, line: &StockLine) -> Option<(usize, usize)> {
        let warehouse = self.truth.warehouse_at(line.warehouse.as_str())?;
        let items = self.truth.items();
        let item = items
            .iter()
            .position(|item| item.as_str() == line.sku.as_str())?;
        Some((warehouse, item))
    }

    /// Readers ask for whatever changed.
    fn judge_what_changed(&mut self) -> Result<(), Broken> {
        let touched = self.redis.take_touched();
        if touched.is_empty() {
            return Ok(());
        }
        for warehouse in 0..self.truth.warehouses().len() {
            let name = self.truth.warehouses()[warehouse].clone();
            let is_new = touched.contains(&self.house.snapshot_key(&name));
            if is_new {
                self.feeds[warehouse] = self.house.snapshot(&self.redis, &name)?.standing;
            }
            for item in 0..self.truth.items().len() {
                let key = self.house.stock_key(self.truth.items()[item].as_str())?;
                if is_new || touched.contains(&key) {
                    self.judge_answer(warehouse, item)?;
                }
            }
        }
        Ok(())
    }

    fn judge_answer(&mut self, warehouse: usize, item: usize) -> Result<(), Broken> {
        let name = &self.truth.warehouses()[warehouse];
        let stored = self
            .house
            .stored(&self.redis, self.truth.items()[item].as_str(), name)?;
        let ttl = Duration::from_millis(self.house.line_ttl_ms.unsigned_abs());
        let now = stamp(self.redis_now_ms());
        self.seen.judged += 1;
        self.evidence.judge_answer(
            &self.truth,
            (warehouse, item),
            stored,
            &self.feeds[warehouse],
            (now, ttl, self.rules.absence),
        )?;
        Ok(())
    }
}

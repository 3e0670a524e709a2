//! The simulated world: D365, workers, live callers, readers and faults on one virtual clock.

use super::faults::{Fault, Weather};
use super::kill_plan::Killing;
use super::trace::Trace;
use super::worker::{Activity, Worker};
use crate::chance::Chance;
use crate::evidence::{Evidence, Read, Violation, Written};
use crate::redis_model::{Entries, RedisModel};
use crate::script_engine::Scripts;
use crate::store::{ModelError, Store};
use crate::truth::Truth;
use shared::redis_store::{Calls, StoreCall};
use shared::stock::{AsOf, FeedStanding, StockLine, Verdict};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(super) const BEGIN_MS: i64 = 1_800_000_000_000;
pub(super) const INTERVAL: Duration = Duration::from_mins(1);
pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const LEASE_MS: i64 = 30_000;
pub(super) const PART_TIME: Duration = Duration::from_secs(3);
pub(super) const GUARD_PERCENT: u8 = 30;
/// Contents of Redis that a failover may go back to.
const REMEMBERED: usize = 40;
const ITEMS: usize = 10;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Violation(#[from] Violation),
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// What a run saw: a test of the simulation asks whether its faults happened at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Faults, by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// What else happened, by name.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Seen {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (what, count) in &other.counts {
            *self.counts.entry(what).or_default() += count;
        }
    }

    pub(super) fn count(&mut self, what: &'static str, happened: bool) {
        *self.counts.entry(what).or_default() += u64::from(happened);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
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
pub(super) struct Plan {
    pub(super) line_ttl: Duration,
    pub(super) warehouses: usize,
    pub(super) workers: usize,
    pub(super) page_size: usize,
    pub(super) weather: Weather,
}

impl Plan {
    /// Drawn; the weather too, unless it is asked for.
    pub(super) fn of(chance: &mut Chance, weather: Option<Weather>) -> Self {
        Self {
            line_ttl: if chance.happens(300) {
                Duration::from_mins(10)
            } else {
                Duration::from_hours(168)
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
pub(super) struct LookUp {
    pub(super) warehouse: usize,
    pub(super) item: usize,
    pub(super) as_of: AsOf,
    pub(super) read: Read,
}

/// How a call to Redis went: what it did, and whether the worker heard of it.
pub(super) struct Called<T> {
    pub(super) done: Option<T>,
    pub(super) is_heard: bool,
}

impl<T> Called<T> {
    pub(super) fn heard(self) -> Option<T> {
        self.done.filter(|_| self.is_heard)
    }
}

pub(super) struct Simulation {
    pub(super) weather: Weather,
    pub(super) store: Store,
    pub(super) redis: RedisModel,
    pub(super) past: VecDeque<Arc<Entries>>,
    pub(super) chance: Chance,
    pub(super) now_ms: i64,
    /// When Redis' clock was stepped, and how far it was ahead of the truth from then on.
    pub(super) clock_steps: Vec<(i64, i64)>,
    pub(super) truth: Truth,
    pub(super) evidence: Evidence,
    pub(super) workers: Vec<Worker>,
    pub(super) look_ups: BTreeMap<usize, LookUp>,
    pub(super) queue: BinaryHeap<Reverse<(i64, u64, Event)>>,
    pub(super) scheduled: u64,
    pub(super) page_size: usize,
    pub(super) last_fault_ms: i64,
    pub(super) is_calm: bool,
    pub(super) feeds: Vec<FeedStanding>,
    pub(super) seen: Seen,
    pub(super) trace: Trace,
    pub(super) killing: Option<Killing>,
}

pub(super) fn stamp(ms: i64) -> AsOf {
    AsOf::from_unix_ms(ms).unwrap_or(AsOf::EPOCH)
}

impl Simulation {
    /// As it is before anything happens.
    pub(super) fn planned(
        chance: Chance,
        scripts: &Scripts,
        plan: Plan,
        trace: Trace,
    ) -> Result<Self, Broken> {
        Ok(Self {
            weather: plan.weather,
            store: Store::with(scripts, plan.line_ttl)?,
            redis: RedisModel::default(),
            past: VecDeque::new(),
            now_ms: BEGIN_MS,
            clock_steps: Vec::new(),
            truth: Truth::of(plan.warehouses, ITEMS).map_err(ModelError::from)?,
            evidence: Evidence::default(),
            workers: (0..plan.workers).map(|n| Worker::new(n, 0)).collect(),
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

    pub(super) fn after(&mut self, delay_ms: i64, event: Event) {
        self.scheduled += 1;
        let at = self.now_ms + delay_ms.max(0);
        self.queue.push(Reverse((at, self.scheduled, event)));
    }

    /// How far ahead of the truth Redis' clock was at an instant.
    pub(super) fn ahead_at(&self, at_ms: i64) -> i64 {
        let mut steps = self.clock_steps.iter().rev();
        let latest = steps.find(|(from, _)| *from <= at_ms);
        latest.map_or(0, |(_, ahead)| *ahead)
    }

    pub(super) fn redis_now_ms(&self) -> i64 {
        self.now_ms + self.ahead_at(self.now_ms)
    }

    pub(super) fn set_redis_clock(&mut self) {
        let now_ms = self.redis_now_ms();
        self.redis.set_clock_ms(now_ms);
    }

    /// Before every write: what a failover may go back to.
    pub(super) fn remember(&mut self) {
        if self.past.len() >= REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back(Arc::clone(self.redis.entries()));
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        let at = self.now_ms - BEGIN_MS;
        self.trace.note(at, text);
    }

    /// One call to Redis, which may be lost on its way there or back.
    pub(super) fn reach<T>(
        &mut self,
        act: impl FnOnce(&mut Store, &mut RedisModel) -> Result<T, ModelError>,
    ) -> Result<Called<T>, Broken> {
        let is_heard = !self.strikes(Fault::LostCall, 6);
        if !is_heard && self.chance.happens(500) {
            let done = None;
            return Ok(Called { done, is_heard });
        }
        self.remember();
        let done = Some(act(&mut self.store, &mut self.redis)?);
        Ok(Called { done, is_heard })
    }

    /// One call of the store.
    pub(super) fn call<T>(
        &mut self,
        make: impl FnOnce(Calls<'_>) -> StoreCall<T>,
    ) -> Result<Called<T>, Broken> {
        self.reach(|store, redis| {
            let call = make(store.calls());
            store.run(redis, &call)
        })
    }

    /// Writes lines as any writer does, and judges each write.
    pub(super) fn apply(&mut self, lines: &[StockLine]) -> Result<Vec<Verdict>, Broken> {
        self.remember();
        let mut before = Vec::with_capacity(lines.len());
        for line in lines {
            before.push(self.stored(line)?);
        }
        let all: Vec<&StockLine> = lines.iter().collect();
        let call = self.store.calls().apply(&all, self.store.line_ttl);
        let verdicts = self.store.run(&mut self.redis, &call)?;
        for ((line, before), verdict) in lines.iter().zip(before).zip(&verdicts) {
            let how = match verdict {
                Verdict::Applied => Written::Newer,
                Verdict::AppliedOverCorrupt => Written::OverCorrupt,
                _ => {
                    self.seen.count("refused lines", true);
                    continue;
                }
            };
            self.seen.count("replaced lines", before.is_some());
            if let (Some(place), Some(after)) = (self.place_of(line), self.stored(line)?) {
                self.evidence
                    .judge_write(&self.truth, place, before.as_deref(), (&after, how))?;
            }
        }
        Ok(verdicts)
    }

    fn stored(&self, line: &StockLine) -> Result<Option<String>, Broken> {
        let (sku, warehouse) = (line.sku.as_str(), &line.warehouse);
        let stored = self.store.stored(&self.redis, sku, warehouse)?;
        Ok(stored.map(str::to_owned))
    }

    pub(super) fn place_of(&self, line: &StockLine) -> Option<(usize, usize)> {
        let warehouse = self.truth.warehouse_at(line.warehouse.as_str())?;
        let mut items = self.truth.items().iter();
        let item = items.position(|item| item.as_str() == line.sku.as_str())?;
        Some((warehouse, item))
    }

    /// Readers ask for whatever changed.
    pub(super) fn judge_what_changed(&mut self) -> Result<(), Broken> {
        let touched = self.redis.take_touched();
        if touched.is_empty() {
            return Ok(());
        }
        for warehouse in 0..self.truth.warehouses().len() {
            let name = &self.truth.warehouses()[warehouse];
            let is_new = touched.contains(&self.store.snapshot_key(name));
            if is_new {
                self.feeds[warehouse] = self.store.snapshot(&self.redis, name).standing;
            }
            for item in 0..self.truth.items().len() {
                let key = self.store.stock_key(self.truth.items()[item].as_str())?;
                if is_new || touched.contains(&key) {
                    self.judge_answer(warehouse, item)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn judge_answer(&self, warehouse: usize, item: usize) -> Result<(), Broken> {
        let name = &self.truth.warehouses()[warehouse];
        let item_name = self.truth.items()[item].as_str();
        let stored = self.store.stored(&self.redis, item_name, name)?;
        let now = stamp(self.redis_now_ms());
        self.evidence.judge_answer(
            &self.truth,
            (warehouse, item),
            stored,
            &self.feeds[warehouse],
            (now, self.store.line_ttl),
        )?;
        Ok(())
    }

    /// Whether a fault that may happen happens here.
    pub(super) fn strikes(&mut self, fault: Fault, per_mille: u64) -> bool {
        let strikes = !self.is_calm && self.weather.has(fault) && self.chance.happens(per_mille);
        if strikes {
            self.count_fault(fault);
        }
        strikes
    }

    pub(super) fn count_fault(&mut self, fault: Fault) {
        *self.seen.faults.entry(fault).or_default() += 1;
        if fault.excuses_two_readers() {
            self.last_fault_ms = self.now_ms;
        }
    }

    /// The time a step takes.
    pub(super) fn step_ms(&mut self) -> i64 {
        if self.chance.happens(30) {
            self.chance.between(100, 900)
        } else {
            self.chance.between(1, 10)
        }
    }
}

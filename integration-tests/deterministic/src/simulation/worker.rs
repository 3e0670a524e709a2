//! A worker as a machine of small steps: what runs at once in the real one (reading, publishing,
//! keeping the lease, the heartbeat) are activities of their own here.

use super::publisher::Publisher;
use super::reading::PartWork;
use super::tending::TendStep;
use super::{Broken, Event, Fault, LEASE_MS, Simulation, stamp};
use crate::fake_redis::FakeRedis;
use crate::house::{Held, House, HouseError};
use shared::redis_store::PartId;
use shared::stock::AsOf;
use std::collections::{BTreeMap, VecDeque};

const BEAT_MS: i64 = 10_000;
const SAMPLE_EVERY_MS: i64 = 800;
const AFTER_REBUILDING_MS: i64 = 100;
const LONGEST_REST_MS: i64 = 1_000;

/// What of a worker is to take its next step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Activity {
    Poller(u64),
    Keeper(u64),
    Publisher(u64),
    Beat,
}

/// Where the poller is.
#[derive(Debug, Default)]
pub(super) enum Phase {
    #[default]
    Idle,
    Claiming(VecDeque<(String, i64)>),
    Tending {
        held: Held,
        warehouse: usize,
        step: TendStep,
    },
    Part(Box<PartWork>),
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) number: usize,
    epoch: u64,
    is_dead: bool,
    /// It looked for work and found none.
    rests: bool,
    pub(super) is_stopping: bool,
    paused: Option<(i64, i64)>,
    pub(super) phase: Phase,
    pub(super) poll: u64,
    pub(super) publishers: BTreeMap<u64, Publisher>,
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

impl Worker {
    pub(super) fn new(number: usize) -> Self {
        Self {
            number,
            epoch: 0,
            is_dead: false,
            rests: false,
            is_stopping: false,
            paused: None,
            phase: Phase::Idle,
            poll: 0,
            publishers: BTreeMap::new(),
        }
    }

    /// The name Redis knows it by.
    pub(super) fn name(&self) -> String {
        format!("w{}", self.number)
    }

    /// Killed for good: nothing it had planned happens.
    pub(super) fn die(&mut self) {
        *self = Self {
            epoch: self.epoch + 1,
            is_dead: true,
            ..Self::new(self.number)
        };
    }

    /// Whether it is free to take a shard.
    pub(super) fn rests(&self) -> bool {
        self.rests && !self.is_dead
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead
    }

    pub(super) fn pause(&mut self, from_ms: i64, until_ms: i64) {
        self.paused = Some((from_ms, until_ms));
    }

    pub(super) fn end_pause(&mut self, now_ms: i64) {
        if let Some((_, until)) = &mut self.paused {
            *until = (*until).min(now_ms);
        }
    }
}

impl Simulation<'_> {
    /// Starts a worker, or starts it again with nothing of what it knew.
    pub(super) fn start_worker(&mut self, number: usize, delay_ms: i64) {
        let epoch = self.workers[number].epoch + 1;
        self.workers[number] = Worker {
            epoch,
            ..Worker::new(number)
        };
        let event = |activity| Event::Worker {
            worker: number,
            epoch,
            activity,
        };
        self.after(delay_ms, event(Activity::Beat));
        self.after(delay_ms + 5, event(Activity::Poller(0)));
    }

    pub(super) fn schedule(&mut self, number: usize, delay_ms: i64, activity: Activity) {
        let epoch = self.workers[number].epoch;
        let event = Event::Worker {
            worker: number,
            epoch,
            activity,
        };
        self.after(delay_ms, event);
    }

    pub(super) fn worker_event(
        &mut self,
        number: usize,
        epoch: u64,
        activity: Activity,
    ) -> Result<(), Broken> {
        let worker = &self.workers[number];
        if worker.epoch != epoch {
            return Ok(());
        }
        if let Some((_, until)) = worker.paused
            && until > self.now_ms
        {
            let delay = until - self.now_ms + self.chance.between(0, 20);
            self.schedule(number, delay, activity);
            return Ok(());
        }
        let kind = self.kind_if_counted(number, &activity);
        if let Some(kind) = kind
            && self.dies_before(number, kind)
        {
            return Ok(());
        }
        match activity {
            Activity::Poller(poll) if poll == self.workers[number].poll => self.poll(number)?,
            Activity::Poller(_) => {}
            Activity::Keeper(serial) => self.keep_lease(number, serial)?,
            Activity::Publisher(serial) => self.publish(number, serial)?,
            Activity::Beat => self.beat(number)?,
        }
        if kind.is_some() {
            self.may_die_after(number);
        }
        Ok(())
    }

    /// The worker's clock: Redis' as it was at the latest of its samples, of which a worker that stands
    /// still takes none.
    pub(super) fn worker_ahead(&self, number: usize) -> i64 {
        let phase = i64::try_from(number).unwrap_or(0) * 190;
        let since_sample = (self.now_ms + phase).rem_euclid(SAMPLE_EVERY_MS);
        let sampled = self.now_ms - since_sample;
        match self.workers[number].paused {
            Some((from, until)) if sampled < until && until <= self.now_ms => {
                self.clock.ahead_at(from)
            }
            _ => self.clock.ahead_at(sampled),
        }
    }

    pub(super) fn worker_now(&self, number: usize) -> AsOf {
        let ahead = self.worker_ahead(number);
        stamp(self.now_ms + ahead)
    }

    /// One call to Redis, which may be lost on its way there or back.
    pub(super) fn call<T>(
        &mut self,
        call: impl FnOnce(&House, &mut FakeRedis) -> Result<T, HouseError>,
    ) -> Result<Called<T>, Broken> {
        let is_heard = !self.strikes(Fault::LostCall, 6);
        if !is_heard && self.chance.happens(500) {
            return Ok(Called {
                done: None,
                is_heard,
            });
        }
        self.remember();
        let done = Some(call(&self.house, &mut self.redis)?);
        Ok(Called { done, is_heard })
    }

    pub(super) fn set_phase(&mut self, number: usize, delay_ms: i64, phase: Phase) {
        let worker = &mut self.workers[number];
        worker.phase = phase;
        worker.poll += 1;
        let poll = worker.poll;
        let is_at_work = !matches!(worker.phase, Phase::Idle);
        self.schedule(number, delay_ms, Activity::Poller(poll));
        if is_at_work && self.strikes(Fault::Pause, 4) {
            self.stand_still(number);
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

    fn beat(&mut self, number: usize) -> Result<(), Broken> {
        let warehouses = self.truth.warehouses().to_vec();
        self.call(|house, redis| house.ensure_scheduled(redis, &warehouses))?;
        self.schedule(number, BEAT_MS, Activity::Beat);
        Ok(())
    }

    fn poll(&mut self, number: usize) -> Result<(), Broken> {
        match std::mem::take(&mut self.workers[number].phase) {
            Phase::Idle => self.look_for_work(number),
            Phase::Claiming(candidates) => self.claim(number, candidates),
            Phase::Tending {
                held,
                warehouse,
                step,
            } => self.tend(number, held, warehouse, step),
            Phase::Part(work) => self.work_on_part(number, work),
        }
    }

    fn look_for_work(&mut self, number: usize) -> Result<(), Broken> {
        if self.workers[number].is_stopping {
            self.note(|| format!("worker {number} has stopped"));
            let back_in = self.chance.between(500, 30_000);
            self.start_worker(number, back_in);
            return Ok(());
        }
        let now = self.redis_now_ms();
        let heard = self.call(House::earliest)?.heard();
        if heard.as_ref().is_some_and(Vec::is_empty) {
            // An empty schedule is a lost one.
            let warehouses = self.truth.warehouses().to_vec();
            self.call(|house, redis| house.ensure_scheduled(redis, &warehouses))?;
            self.set_phase(number, AFTER_REBUILDING_MS, Phase::Idle);
            return Ok(());
        }
        let candidates = heard.unwrap_or_default();
        let next = candidates.first().map(|(_, due)| due - now);
        let due: VecDeque<_> = candidates
            .into_iter()
            .filter(|(_, due)| *due <= now)
            .collect();
        self.workers[number].rests = due.is_empty();
        if due.is_empty() {
            let rest = next.unwrap_or(LONGEST_REST_MS).clamp(1, LONGEST_REST_MS);
            self.set_phase(number, rest, Phase::Idle);
        } else {
            let step = self.step_ms();
            self.set_phase(number, step, Phase::Claiming(due));
        }
        Ok(())
    }

    fn claim(
        &mut self,
        number: usize,
        mut candidates: VecDeque<(String, i64)>,
    ) -> Result<(), Broken> {
        let Some((shard, due)) = candidates.pop_front() else {
            self.set_phase(number, LONGEST_REST_MS, Phase::Idle);
            return Ok(());
        };
        let holder = self.workers[number].name();
        let called =
            self.call(|house, redis| house.claim(redis, (&shard, due), &holder, LEASE_MS))?;
        let step = self.step_ms();
        let Some(claimed) = called.heard() else {
            self.set_phase(number, LONGEST_REST_MS, Phase::Idle);
            return Ok(());
        };
        let Some(held) = claimed else {
            self.set_phase(number, step, Phase::Claiming(candidates));
            return Ok(());
        };
        self.note(|| format!("worker {number} claims {shard} with token {}", held.token));
        let phase = match PartId::of_shard(&shard) {
            Some((warehouse, id)) => {
                let warehouse = self.truth.warehouse_at(warehouse).unwrap_or(0);
                Phase::Part(Box::new(PartWork::claimed(
                    held,
                    warehouse,
                    id,
                    self.now_ms,
                )))
            }
            None => Phase::Tending {
                held,
                warehouse: self.truth.warehouse_at(&shard).unwrap_or(0),
                step: TendStep::Record,
            },
        };
        self.set_phase(number, step, phase);
        Ok(())
    }
}

//! The loop of a worker as a machine of small steps: look for work, claim it, do it.

use super::faults::Fault;
use super::worker::{Activity, PartWork, Phase, WarehouseStep, Worker};
use super::world::{Broken, Event, LEASE, LEASE_MS, Simulation, stamp};
use shared::redis_store::{Claim, PartId};
use shared::stock::AsOf;
use std::collections::VecDeque;

const BEAT_MS: i64 = 10_000;
const SAMPLE_EVERY_MS: i64 = 800;
const AFTER_REBUILDING_MS: i64 = 100;
const LONGEST_REST_MS: i64 = 1_000;
pub(super) const NOTE_EVERY_MS: i64 = 1_000;
/// With less of the lease left than this no page is started.
const RESERVE_MS: i64 = 10_000;

impl Simulation {
    /// Starts a worker, or starts it again with nothing of what it knew.
    pub(super) fn start_worker(&mut self, number: usize, delay_ms: i64) {
        let epoch = self.workers[number].epoch + 1;
        self.workers[number] = Worker::new(number, epoch);
        self.schedule(number, delay_ms, Activity::Beat);
        self.schedule(number, delay_ms + 5, Activity::Poller(0));
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
        if let Some(killing) = &mut self.killing {
            killing.count(number);
        }
        if self.dies(number, false) {
            return Ok(());
        }
        match activity {
            Activity::Poller(poll) if poll == self.workers[number].poll => self.poll(number)?,
            Activity::Poller(_) => {}
            Activity::Keeper(serial) => self.keep_lease(number, serial)?,
            Activity::Writer(serial) => self.write_next(number, serial)?,
            Activity::Beat => {
                self.rebuild_schedule()?;
                self.schedule(number, BEAT_MS, Activity::Beat);
            }
        }
        self.dies(number, true);
        Ok(())
    }

    fn rebuild_schedule(&mut self) -> Result<(), Broken> {
        let warehouses = self.truth.warehouses().to_vec();
        self.reach(|store, redis| store.ensure_scheduled(redis, &warehouses))?;
        Ok(())
    }

    /// How far the worker's clock is ahead: as Redis' was at the latest of its samples, of which a worker
    /// that stands still takes none.
    pub(super) fn worker_ahead(&self, number: usize) -> i64 {
        let phase = i64::try_from(number).unwrap_or(0) * 190;
        let since_sample = (self.now_ms + phase).rem_euclid(SAMPLE_EVERY_MS);
        let sampled = self.now_ms - since_sample;
        match self.workers[number].paused {
            Some((from, until)) if sampled < until && until <= self.now_ms => self.ahead_at(from),
            _ => self.ahead_at(sampled),
        }
    }

    pub(super) fn worker_now(&self, number: usize) -> AsOf {
        stamp(self.now_ms + self.worker_ahead(number))
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

    fn poll(&mut self, number: usize) -> Result<(), Broken> {
        match std::mem::take(&mut self.workers[number].phase) {
            Phase::Idle => self.look_for_work(number),
            Phase::Claiming(candidates) => self.claim(number, candidates),
            Phase::Warehouse {
                claim,
                warehouse,
                step,
            } => self.work_on_warehouse(number, claim, warehouse, step),
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
        let earliest = self
            .reach(|store, redis| Ok(store.earliest(redis)))?
            .heard();
        if earliest.as_ref().is_some_and(Vec::is_empty) {
            // An empty schedule is a lost one.
            self.rebuild_schedule()?;
            self.set_phase(number, AFTER_REBUILDING_MS, Phase::Idle);
            return Ok(());
        }
        let candidates = earliest.unwrap_or_default();
        let next = candidates.first().map(|(_, due)| due - now);
        let candidates = candidates.into_iter();
        let due: VecDeque<_> = candidates.filter(|(_, due)| *due <= now).collect();
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
        let (holder, due_ms) = (self.workers[number].name(), due.unsigned_abs());
        let called = self.call(|calls| calls.claim(&shard, &holder, LEASE, due_ms))?;
        let step = self.step_ms();
        let Some(claimed) = called.heard() else {
            self.set_phase(number, LONGEST_REST_MS, Phase::Idle);
            return Ok(());
        };
        let Some(token) = claimed else {
            self.set_phase(number, step, Phase::Claiming(candidates));
            return Ok(());
        };
        self.note(|| format!("worker {number} claims {shard} with token {token}"));
        let place = |name: &str| self.truth.warehouse_at(name).unwrap_or(0);
        let phase = match PartId::of_shard(&shard).map(|(name, id)| (place(name), id)) {
            Some((warehouse, id)) => {
                let claim = Claim { shard, token };
                let work = PartWork::claimed(claim, warehouse, id, self.now_ms);
                Phase::Part(Box::new(work))
            }
            None => Phase::Warehouse {
                warehouse: place(&shard),
                claim: Claim { shard, token },
                step: WarehouseStep::Record,
            },
        };
        self.set_phase(number, step, phase);
        Ok(())
    }

    pub(super) fn keep_lease(&mut self, number: usize, serial: u64) -> Result<(), Broken> {
        let Phase::Part(work) = &self.workers[number].phase else {
            return Ok(());
        };
        if work.serial != serial || !work.is_read() {
            return Ok(());
        }
        let (claim, extended_ms) = (work.claim.clone(), work.extended_ms);
        let writer = self.workers[number].writers.get_mut(&serial);
        let place = writer.and_then(|writer| writer.place.take());
        if place.is_none() && self.now_ms < extended_ms + LEASE_MS / 3 {
            self.schedule(number, NOTE_EVERY_MS, Activity::Keeper(serial));
            return Ok(());
        }
        let called = self.call(|calls| calls.extend(&claim, LEASE, place.as_ref()))?;
        match called.heard() {
            Some(Ok(())) => {
                if let Phase::Part(work) = &mut self.workers[number].phase {
                    work.extended_ms = self.now_ms;
                }
            }
            None if self.now_ms + RESERVE_MS <= extended_ms + LEASE_MS => {
                if let Some(writer) = self.workers[number].writers.get_mut(&serial)
                    && writer.place.is_none()
                {
                    writer.place = place;
                }
            }
            lost => {
                self.note(|| format!("worker {number} lets {} go: {lost:?}", claim.shard));
                let delay = self.step_ms();
                self.set_phase(number, delay, Phase::Idle);
                return Ok(());
            }
        }
        self.schedule(number, NOTE_EVERY_MS, Activity::Keeper(serial));
        Ok(())
    }
}

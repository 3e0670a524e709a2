//! Faults that begin at an instant, and the calm after them.

use super::faults::Fault;
use super::world::{Broken, Event, Simulation};
use std::sync::Arc;

impl Simulation {
    pub(super) fn fault_due(&mut self) -> Result<(), Broken> {
        if self.is_calm {
            return Ok(());
        }
        let sudden = Fault::are_sudden().iter().copied();
        let kinds: Vec<Fault> = sudden.filter(|fault| self.weather.has(*fault)).collect();
        if let Some(fault) = self.chance.pick(&kinds).copied() {
            self.count_fault(fault);
            self.strike(fault)?;
        }
        let delay = self.chance.between(500, 40_000);
        self.after(delay, Event::FaultDue);
        Ok(())
    }

    fn strike(&mut self, fault: Fault) -> Result<(), Broken> {
        let worker = self.chance.index(self.workers.len());
        match fault {
            Fault::Kill => {
                self.note(|| format!("worker {worker} is killed"));
                let back_in = self.chance.between(500, 60_000);
                self.start_worker(worker, back_in);
            }
            Fault::Pause => self.stand_still(worker),
            Fault::Stop => {
                self.note(|| format!("worker {worker} is asked to stop"));
                self.workers[worker].is_stopping = true;
            }
            Fault::Failover => {
                let lost = self.chance.index(self.past.len());
                if let Some(earlier) = self.past.iter().rev().nth(lost).cloned() {
                    self.note(|| format!("failover: the last {} writes are lost", lost + 1));
                    self.redis.fail_over_to(earlier);
                    self.past.clear();
                }
            }
            Fault::Emptied => {
                self.note(|| "Redis comes back empty".to_owned());
                self.redis.fail_over_to(Arc::default());
                self.past.clear();
            }
            Fault::Evicted => self.evict()?,
            _ => self.step_clock(),
        }
        Ok(())
    }

    pub(super) fn stand_still(&mut self, worker: usize) {
        let pause = self.chance.between(1_000, 70_000);
        self.note(|| format!("worker {worker} stands still for {pause} ms"));
        self.workers[worker].paused = Some((self.now_ms, self.now_ms + pause));
    }

    fn evict(&mut self) -> Result<(), Broken> {
        let store = &self.store;
        let shards = store.earliest(&self.redis).into_iter();
        let records = shards.map(|(shard, _)| store.shard_key(&shard));
        let warehouses = self.truth.warehouses().iter();
        let cycles = warehouses.map(|warehouse| store.cycle_key(warehouse));
        let keys: Vec<String> = records.chain(cycles).chain([store.due_key()]).collect();
        if let Some(key) = self.chance.pick(&keys) {
            self.remember();
            self.store.command(&mut self.redis, &["DEL", key])?;
            self.note(|| format!("{key} is evicted"));
        }
        Ok(())
    }

    fn step_clock(&mut self) {
        let ahead = match self.ahead_at(self.now_ms) {
            0 if self.chance.happens(500) => 30_000,
            0 => -30_000,
            _ => 0,
        };
        self.clock_steps.push((self.now_ms, ahead));
        self.set_redis_clock();
        self.evidence.clock_stepped(self.now_ms);
        self.note(|| format!("Redis' clock is {ahead} ms ahead of the truth from now on"));
    }

    /// Nothing fails any more; who stands still goes on.
    pub(super) fn calm_down(&mut self) {
        self.is_calm = true;
        self.last_fault_ms = self.now_ms;
        self.note(|| "calm".to_owned());
        for worker in &mut self.workers {
            if let Some((_, until)) = &mut worker.paused {
                *until = (*until).min(self.now_ms);
            }
        }
    }
}

//! What goes wrong, and how often.

use super::{BEGIN_MS, Broken, Event, STORM_MS, Simulation};
use crate::chance::Chance;
use std::sync::Arc;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A worker is killed, and comes back later with nothing.
    Kill,
    /// A worker stands still, often past its lease.
    Pause,
    /// A worker is asked to stop, and comes back later.
    Stop,
    /// A replica that is behind becomes the primary.
    Failover,
    /// Redis comes back empty.
    Emptied,
    /// The due set, a shard's record or a cycle goes away.
    Evicted,
    /// Redis' clock is set 30 s forward or back.
    ClockStep,
    /// A call to Redis is lost, or only its answer.
    LostCall,
    /// A page fails.
    LostPage,
    /// D365 says 429.
    Throttled,
    /// A page takes long.
    SlowPage,
    /// A live answer is written long after it was read.
    LateWrite,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::Kill,
        Self::Pause,
        Self::Stop,
        Self::Failover,
        Self::Emptied,
        Self::Evicted,
        Self::ClockStep,
        Self::LostCall,
        Self::LostPage,
        Self::Throttled,
        Self::SlowPage,
        Self::LateWrite,
    ];

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Which faults a run has: each seed has some, so that they do not hide each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather(u16);

impl Weather {
    /// Half of all faults.
    pub(super) fn of(chance: &mut Chance) -> Self {
        Self::with(Fault::ALL.into_iter().filter(|_| chance.happens(500)))
    }

    /// These faults.
    pub fn with(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self(faults.into_iter().fold(0, |bits, fault| bits | fault.bit()))
    }

    /// Whether this fault may happen.
    pub fn has(self, fault: Fault) -> bool {
        self.0 & fault.bit() != 0
    }
}

impl Simulation<'_> {
    /// Whether a fault that may happen happens here.
    pub(super) fn strikes(&mut self, fault: Fault, per_mille: u64) -> bool {
        let strikes = !self.is_calm && self.weather.has(fault) && self.chance.happens(per_mille);
        if strikes {
            self.count_fault(fault);
        }
        strikes
    }

    fn count_fault(&mut self, fault: Fault) {
        *self.seen.faults.entry(fault).or_default() += 1;
        // These alone must not make two workers read one part.
        if !matches!(
            fault,
            Fault::LostPage | Fault::Throttled | Fault::SlowPage | Fault::LateWrite
        ) {
            self.last_fault_ms = self.now_ms;
        }
    }

    pub(super) fn fault_due(&mut self) -> Result<(), Broken> {
        if self.is_calm {
            return Ok(());
        }
        let kinds = [
            Fault::Kill,
            Fault::Pause,
            Fault::Stop,
            Fault::Failover,
            Fault::Emptied,
            Fault::Evicted,
            Fault::ClockStep,
        ];
        let kinds: Vec<Fault> = kinds
            .into_iter()
            .filter(|fault| self.weather.has(*fault))
            .collect();
        if let Some(fault) = self.chance.pick(&kinds).copied() {
            self.count_fault(fault);
            self.strike(fault)?;
        }
        let delay = self.chance.between(500, 40_000);
        self.after(delay, Event::FaultDue);
        Ok(())
    }

    fn strike(&mut self, fault: Fault) -> Result<(), Broken> {
        let worker = usize::try_from(self.chance.below(self.workers.len() as u64)).unwrap_or(0);
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
                let lost = usize::try_from(self.chance.below(self.past.len() as u64)).unwrap_or(0);
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
        self.workers[worker].pause(self.now_ms, self.now_ms + pause);
    }

    fn evict(&mut self) -> Result<(), Broken> {
        let mut keys = vec![self.house.due_key()];
        let shards: Vec<String> = self
            .house
            .earliest(&mut self.redis)?
            .into_iter()
            .map(|(shard, _)| shard)
            .collect();
        keys.extend(shards.iter().map(|shard| self.house.shard_key(shard)));
        for warehouse in self.truth.warehouses() {
            keys.push(self.house.cycle_key(warehouse));
        }
        if let Some(key) = self.chance.pick(&keys).cloned() {
            self.remember();
            self.redis.remove(&key);
            self.note(|| format!("{key} is evicted"));
        }
        Ok(())
    }

    fn step_clock(&mut self) {
        let ahead = match self.clock.ahead_ms() {
            0 if self.chance.happens(500) => 30_000,
            0 => -30_000,
            _ => 0,
        };
        self.clock.step_to(self.now_ms, ahead);
        self.set_redis_clock();
        self.evidence.clock_stepped(self.now_ms);
        self.note(|| format!("Redis' clock is {ahead} ms ahead of the truth from now on"));
    }

    /// The storm is over: the dead come back, nothing fails any more.
    pub(super) fn calm_down(&mut self) {
        self.is_calm = true;
        self.last_fault_ms = self.now_ms;
        let at = self.now_ms - BEGIN_MS;
        self.trace.note(at, || format!("calm after {STORM_MS} ms"));
        for worker in 0..self.workers.len() {
            self.workers[worker].end_pause(self.now_ms);
        }
    }
}

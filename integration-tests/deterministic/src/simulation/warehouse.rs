//! A claimed warehouse: its cycle is opened, looked after, or sealed.

use super::worker::{Phase, WarehouseStep};
use super::world::{Broken, GUARD_PERCENT, INTERVAL, LEASE, PART_TIME, Simulation};
use prefetch_worker::scheduler::plan;
use prefetch_worker::snapshot::next_step::NextStep;
use prefetch_worker::snapshot::verdict::{Rules, as_partial, end_of};
use shared::redis_store::{Claim, CycleEnd, Finished, ItemRange, OpenCycle, Sealed};
use shared::stock::{Fingerprint, SnapshotState, WarehouseSnapshot};
use std::time::Duration;

const SEAL_TRIES: u32 = 5;
/// What everything is read with.
const SETTINGS: [u8; 8] = [0xaa; 8];

impl WarehouseStep {
    fn failed() -> Self {
        Self::Backoff {
            error: "Redis failed".to_owned(),
        }
    }
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Simulation {
    pub(super) fn work_on_warehouse(
        &mut self,
        number: usize,
        claim: Claim,
        warehouse: usize,
        step: WarehouseStep,
    ) -> Result<(), Broken> {
        let (delay, next) = self.warehouse_step(number, &claim, warehouse, step)?;
        let delay = delay + self.step_ms();
        let phase = next.map_or(Phase::Idle, |step| Phase::Warehouse {
            claim,
            warehouse,
            step,
        });
        self.set_phase(number, delay, phase);
        Ok(())
    }

    fn warehouse_step(
        &mut self,
        number: usize,
        claim: &Claim,
        place: usize,
        step: WarehouseStep,
    ) -> Result<(i64, Option<WarehouseStep>), Broken> {
        let name = self.truth.warehouses()[place].clone();
        let next = match step {
            WarehouseStep::Record => {
                let called = self.reach(|store, redis| Ok(store.snapshot(redis, &name)))?;
                let record = called.heard().map(Box::new);
                Some(record.map_or_else(WarehouseStep::failed, WarehouseStep::Cycle))
            }
            WarehouseStep::Cycle(record) => {
                let called = self.reach(|store, redis| Ok(store.cycle(redis, &name)))?;
                let cycle = called
                    .heard()
                    .map(|cycle| self.next_for(number, &record, cycle));
                Some(cycle.unwrap_or_else(WarehouseStep::failed))
            }
            WarehouseStep::Forget { seen } => {
                let called = self.reach(|store, redis| {
                    let cycle = store.cycle_key(&name);
                    store.command(redis, &["DEL", &cycle])
                })?;
                let forgotten = called.heard().map(|()| WarehouseStep::Borders { seen });
                Some(forgotten.unwrap_or_else(WarehouseStep::failed))
            }
            WarehouseStep::Borders { seen } => {
                let called = self.reach(|store, redis| Ok(store.borders(redis, &name)))?;
                let started = self.worker_now(number);
                let opening = called.heard().map(|borders| WarehouseStep::Open {
                    seen,
                    started,
                    noted_ms: self.now_ms,
                    ranges: ItemRange::between(&borders),
                });
                Some(opening.unwrap_or_else(WarehouseStep::failed))
            }
            WarehouseStep::Open {
                seen,
                started,
                noted_ms,
                ranges,
            } => {
                let settings = Some(Fingerprint::of_bytes(SETTINGS));
                let called = self.call(|calls| {
                    calls.open_cycle(&name, seen, started, settings, &ranges, LEASE)
                })?;
                if let Some(Some(generation)) = called.done {
                    let parts = ranges.len();
                    self.seen.count("split cycles", parts > 1);
                    let cycle = (place, generation.0, started);
                    self.evidence.was_opened(cycle, noted_ms);
                    self.note(|| {
                        format!("worker {number} opens cycle {generation} of {name}, started {started}, {parts} parts")
                    });
                }
                called.heard().is_none().then(WarehouseStep::failed)
            }
            WarehouseStep::Watch => {
                let called = self.call(|calls| calls.watch_cycle(claim, LEASE))?;
                called.heard().is_none().then(WarehouseStep::failed)
            }
            WarehouseStep::Seal { end, tries } => return self.seal(number, place, end, tries),
            WarehouseStep::Backoff { error } => {
                let shard = &claim.shard;
                let called = self.reach(|store, redis| Ok(store.shard_record(redis, shard)))?;
                let failures = called.heard().map_or(0, |record| record.failures);
                Some(WarehouseStep::GiveBack {
                    wait_ms: whole_ms(plan::backoff(failures + 1, INTERVAL)),
                    how: Finished::Failed { error },
                })
            }
            WarehouseStep::GiveBack { wait_ms, how } => {
                let wait = Duration::from_millis(wait_ms);
                self.call(|calls| calls.finish(claim, wait, &how))?;
                None
            }
        };
        Ok((0, next))
    }

    fn next_for(
        &mut self,
        number: usize,
        record: &WarehouseSnapshot,
        cycle: Option<OpenCycle>,
    ) -> WarehouseStep {
        let seen = record.generation;
        let chance = self.chance.below(1_000);
        match NextStep::of(record, cycle) {
            NextStep::Open => WarehouseStep::Forget { seen },
            NextStep::Watch(_) => WarehouseStep::Watch,
            NextStep::Seal(cycle, whole) => {
                let rules = Rules {
                    recent_rows: record.recent_rows.clone(),
                    guard_percent: GUARD_PERCENT,
                    interval: INTERVAL,
                    part_time: PART_TIME,
                    chance: u32::try_from(chance).unwrap_or(0),
                };
                let now = self.worker_now(number);
                let end = Box::new(end_of(&cycle, &whole, now, &rules));
                WarehouseStep::Seal { end, tries: 1 }
            }
        }
    }

    fn seal(
        &mut self,
        number: usize,
        place: usize,
        end: Box<CycleEnd>,
        tries: u32,
    ) -> Result<(i64, Option<WarehouseStep>), Broken> {
        let name = self.truth.warehouses()[place].clone();
        let called = self.call(|calls| calls.seal(&name, &end))?;
        if called.done == Some(Ok(true)) {
            self.sealed(number, place, &end)?;
        }
        let (delay, next) = match called.heard() {
            Some(Err(replaced)) => {
                let sealed = as_partial(&replaced);
                let end = Box::new(CycleEnd { sealed, ..*end });
                (0, WarehouseStep::Seal { end, tries: 1 })
            }
            Some(Ok(_)) => (0, self.given_back(number, &end)),
            None if tries < SEAL_TRIES => {
                let tries = tries + 1;
                (100 << tries, WarehouseStep::Seal { end, tries })
            }
            None => (100 << tries, WarehouseStep::failed()),
        };
        Ok((delay, Some(next)))
    }

    fn given_back(&self, number: usize, end: &CycleEnd) -> WarehouseStep {
        match &end.sealed {
            Sealed::Complete { .. } => WarehouseStep::GiveBack {
                wait_ms: whole_ms(self.worker_now(number).age_at(end.next_due)),
                how: Finished::Well,
            },
            Sealed::Partial { reason } | Sealed::Quarantined { reason, .. } => {
                WarehouseStep::Backoff {
                    error: reason.clone(),
                }
            }
        }
    }

    fn sealed(&mut self, number: usize, place: usize, end: &CycleEnd) -> Result<(), Broken> {
        let name = &self.truth.warehouses()[place];
        let record = self.store.snapshot(&self.redis, name);
        let (state, generation) = (record.standing.state, end.generation);
        let reason = record.reason.unwrap_or_default();
        self.note(|| {
            format!("worker {number} seals cycle {generation} of {place}: {state} {reason}")
        });
        let is_complete = state == SnapshotState::Complete;
        self.seen.count("complete snapshots", is_complete);
        self.seen.count("failed cycles", !is_complete);
        if is_complete {
            self.evidence.judge_seal(&self.truth, place, end)?;
        }
        if self.killing.is_some() {
            self.judge_whole(place, end, &record.standing)?;
        }
        Ok(())
    }
}

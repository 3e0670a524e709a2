//! A claimed warehouse: its cycle is opened, looked after, or sealed.

use super::worker::Phase;
use super::{Broken, GUARD_PERCENT, INTERVAL_MS, LEASE_MS, PART_TIME_MS, Simulation};
use crate::house::{Held, SealAnswer};
use crate::rules::SealRule;
use prefetch_worker::scheduler::plan;
use prefetch_worker::snapshot::next_step::NextStep;
use prefetch_worker::snapshot::part_facts::PartFacts;
use prefetch_worker::snapshot::verdict::{self, Rules, as_partial};
use shared::redis_store::{CycleEnd, ItemRange, OpenCycle, Sealed, StoreError};
use shared::stock::{AsOf, SnapshotState, WarehouseSnapshot};
use std::time::Duration;

const SEAL_TRIES: u32 = 5;

/// What is to be done next.
#[derive(Debug)]
pub(super) enum TendStep {
    Record,
    Cycle(Box<WarehouseSnapshot>),
    Forget {
        seen: u64,
    },
    Borders {
        seen: u64,
    },
    Open {
        seen: u64,
        started: AsOf,
        noted_ms: i64,
        ranges: Vec<ItemRange>,
    },
    Watch,
    Seal {
        end: Box<CycleEnd>,
        tries: u32,
    },
    Backoff {
        error: String,
    },
    GiveBack {
        wait_ms: i64,
        error: Option<String>,
    },
}

impl TendStep {
    fn failed() -> Self {
        Self::Backoff {
            error: "Redis failed".to_owned(),
        }
    }
}

pub(super) fn ms(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

fn whole_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl Simulation<'_> {
    pub(super) fn tend(
        &mut self,
        number: usize,
        held: Held,
        place: usize,
        step: TendStep,
    ) -> Result<(), Broken> {
        let (delay, next) = self.tend_step(number, &held, place, step)?;
        let delay = delay + self.step_ms();
        let phase = match next {
            Some(step) => Phase::Tending {
                held,
                warehouse: place,
                step,
            },
            None => Phase::Idle,
        };
        self.set_phase(number, delay, phase);
        Ok(())
    }

    fn tend_step(
        &mut self,
        number: usize,
        held: &Held,
        place: usize,
        step: TendStep,
    ) -> Result<(i64, Option<TendStep>), Broken> {
        let warehouse = self.truth.warehouses()[place].clone();
        let next = match step {
            TendStep::Record => {
                let called = self.call(|house, redis| house.snapshot(redis, &warehouse))?;
                let record = called.heard().map(Box::new);
                Some(record.map_or_else(TendStep::failed, TendStep::Cycle))
            }
            TendStep::Cycle(record) => {
                let called = self.call(|house, redis| Ok(house.cycle(redis, &warehouse)))?;
                match called.heard() {
                    Some(cycle) => Some(self.next_for(number, &record, cycle)),
                    None => Some(TendStep::failed()),
                }
            }
            TendStep::Forget { seen } => {
                let called = self.call(|house, redis| house.forget_cycle(redis, &warehouse))?;
                let forgotten = called.heard().map(|()| TendStep::Borders { seen });
                Some(forgotten.unwrap_or_else(TendStep::failed))
            }
            TendStep::Borders { seen } => {
                let called = self.call(|house, redis| house.borders(redis, &warehouse))?;
                let started = self.worker_now(number);
                let opening = called.heard().map(|borders| TendStep::Open {
                    seen,
                    started,
                    noted_ms: self.now_ms,
                    ranges: ItemRange::between(&borders),
                });
                Some(opening.unwrap_or_else(TendStep::failed))
            }
            TendStep::Open {
                seen,
                started,
                noted_ms,
                ranges,
            } => {
                let called = self.call(|house, redis| {
                    house.open_cycle(redis, &warehouse, seen, started, &ranges, LEASE_MS)
                })?;
                if let Some(Some(generation)) = called.done {
                    self.seen.split_cycles += u64::from(ranges.len() > 1);
                    self.evidence
                        .was_opened((place, generation, started), noted_ms);
                    self.note(|| format!("worker {number} opens cycle {generation} of {warehouse}, started {started}, {} parts", ranges.len()));
                }
                called.heard().is_none().then(TendStep::failed)
            }
            TendStep::Watch => {
                let called =
                    self.call(|house, redis| house.watch_cycle(redis, held, &warehouse, LEASE_MS))?;
                called.heard().is_none().then(TendStep::failed)
            }
            TendStep::Seal { end, tries } => return self.seal(number, place, end, tries),
            TendStep::Backoff { error } => {
                let called = self.call(|house, redis| house.shard_record(redis, &held.shard))?;
                let failures = called.heard().map_or(0, |record| record.failures);
                Some(TendStep::GiveBack {
                    wait_ms: whole_ms(plan::backoff(failures + 1, ms(INTERVAL_MS))),
                    error: Some(error),
                })
            }
            TendStep::GiveBack { wait_ms, error } => {
                self.call(|house, redis| house.finish(redis, held, wait_ms, error.as_deref()))?;
                None
            }
        };
        Ok((0, next))
    }

    fn next_for(
        &mut self,
        number: usize,
        record: &WarehouseSnapshot,
        mut cycle: Option<OpenCycle>,
    ) -> TendStep {
        if self.rules.seal == SealRule::AnyPart
            && let Some(cycle) = &mut cycle
            && cycle.parts.iter().any(|part| part.end.is_some())
        {
            for part in &mut cycle.parts {
                part.end
                    .get_or_insert_with(|| PartFacts::default().to_notes());
            }
        }
        let now = self.worker_now(number);
        let chance = self.chance.below(1_000);
        match NextStep::of(record, cycle) {
            NextStep::Open => TendStep::Forget {
                seen: record.generation.0,
            },
            NextStep::Watch(_) => TendStep::Watch,
            NextStep::Seal(cycle, whole) => {
                let rules = Rules {
                    recent_rows: record.recent_rows.clone(),
                    guard_percent: GUARD_PERCENT,
                    interval: ms(INTERVAL_MS),
                    part_time: ms(PART_TIME_MS),
                    chance: u32::try_from(chance).unwrap_or(0),
                };
                let end = Box::new(verdict::end_of(&cycle, &whole, now, &rules));
                TendStep::Seal { end, tries: 1 }
            }
        }
    }

    fn seal(
        &mut self,
        number: usize,
        place: usize,
        end: Box<CycleEnd>,
        tries: u32,
    ) -> Result<(i64, Option<TendStep>), Broken> {
        let warehouse = self.truth.warehouses()[place].clone();
        let called = self.call(|house, redis| house.seal(redis, &warehouse, &end))?;
        if called.done == Some(SealAnswer::Recorded) {
            self.sealed(number, place, &end)?;
        }
        let heard = called.heard();
        if heard == Some(SealAnswer::Replaced) {
            let sealed = as_partial(&StoreError::Replaced);
            let end = Box::new(CycleEnd { sealed, ..*end });
            return Ok((0, Some(TendStep::Seal { end, tries: 1 })));
        }
        if heard.is_none() {
            let pause = 200 << tries;
            let next = if tries < SEAL_TRIES {
                TendStep::Seal {
                    end,
                    tries: tries + 1,
                }
            } else {
                TendStep::failed()
            };
            return Ok((pause, Some(next)));
        }
        let next = match &end.sealed {
            Sealed::Complete { .. } => {
                let now = self.worker_now(number);
                TendStep::GiveBack {
                    wait_ms: whole_ms(now.age_at(end.next_due)),
                    error: None,
                }
            }
            Sealed::Partial { reason } | Sealed::Quarantined { reason, .. } => TendStep::Backoff {
                error: reason.clone(),
            },
        };
        Ok((0, Some(next)))
    }

    fn sealed(&mut self, number: usize, place: usize, end: &CycleEnd) -> Result<(), Broken> {
        let warehouse = self.truth.warehouses()[place].clone();
        let record = self.house.snapshot(&self.redis, &warehouse)?;
        self.note(|| {
            format!(
                "worker {number} seals cycle {} of {warehouse}: {} {}",
                end.generation,
                record.standing.state,
                record.reason.as_deref().unwrap_or_default()
            )
        });
        if record.standing.state == SnapshotState::Complete {
            self.seen.snapshots += 1;
            self.evidence.judge_seal(&self.truth, place, end)?;
        } else {
            self.seen.failed_cycles += 1;
        }
        if self.killing.is_some() {
            self.judge_whole(place, end, &record.standing)?;
        }
        Ok(())
    }
}

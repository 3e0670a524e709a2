//! A calm world in which one worker is killed -9 at a counted step and does not come back.
//!
//! What it held must be in other hands, or done, a lease and five seconds later, unless all the living
//! have their hands full; every cycle must be sealed whole all the same. Nothing else goes wrong, so
//! anything less is the kill's doing.

use super::faults::Weather;
use super::kill_plan::{Kill, KillRun, KillWorld, Killing};
use super::trace::Trace;
use super::worker::Worker;
use super::world::{BEGIN_MS, Broken, LEASE_MS, Plan, Simulation, stamp};
use crate::chance::Chance;
use crate::evidence::{Violation, violated};
use crate::script_engine::Scripts;
use shared::redis_store::{CycleEnd, Sealed, read_line};
use shared::stock::{AsOf, FeedStanding, LineContent, StockState, judge};
use std::time::Duration;

/// From the kill to the instant at which all it held has gone on elsewhere, if anybody is free.
pub const RESUMED_WITHIN_MS: i64 = LEASE_MS + 5_000;
/// A page longer than a third of the lease, so that leases are extended with nothing to note.
const SLOW_PAGE_MS: i64 = 14_000;
const SLOW_PAGE_EVERY: u64 = 4;
/// Longer than the keeper waits between two looks, so that notes and writes cross.
const SLOW_WRITE_MS: i64 = 1_500;
const SLOW_WRITE_EVERY: u64 = 3;
/// The first is read as one part, the second as many.
const CYCLES: usize = 2;
/// The longest a run may take.
const LONGEST_MS: i64 = 600_000;

/// Runs a world until its cycles are sealed and nothing is in dead hands; what broke, and the last
/// steps before it, as text.
pub fn run_with_kill(
    scripts: &Scripts,
    world: KillWorld,
    kill: Option<Kill>,
) -> Result<KillRun, String> {
    let begun = |trace| Simulation::with_kill(scripts, world, kill, trace);
    let played = begun(Trace::default()).and_then(|mut world| world.play_killing());
    played.map_err(|broken| {
        let steps = begun(Trace::on()).map_or_else(
            |_same| Vec::new(),
            |mut again| {
                let _same = again.play_killing();
                again.trace.steps()
            },
        );
        format!("{broken}\n{kill:?}, after:\n{}", steps.join("\n"))
    })
}

impl Simulation {
    fn with_kill(
        scripts: &Scripts,
        world: KillWorld,
        kill: Option<Kill>,
        trace: Trace,
    ) -> Result<Self, Broken> {
        let plan = Plan {
            line_ttl: Duration::from_hours(168),
            warehouses: world.warehouses,
            workers: world.workers * world.pollers,
            page_size: world.page_size,
            weather: Weather::with([]),
        };
        let mut simulation = Self::planned(Chance::of(world.seed), scripts, plan, trace)?;
        simulation.killing = Some(Killing {
            world,
            kill,
            run: KillRun {
                steps: vec![0; world.workers],
                ..KillRun::default()
            },
            pages: 0,
            writes: 0,
            died_ms: None,
            still_held: Vec::new(),
            sealed: vec![Vec::new(); world.warehouses],
        });
        for warehouse in 0..world.warehouses {
            for item in 0..simulation.truth.items().len() {
                simulation.truth.changes(warehouse, item, BEGIN_MS - 1_000);
            }
        }
        for number in 0..plan.workers {
            let delay = i64::try_from(number).unwrap_or(0) * 310;
            simulation.start_worker(number, delay);
        }
        Ok(simulation)
    }

    fn play_killing(&mut self) -> Result<KillRun, Broken> {
        loop {
            if !self.next_event(BEGIN_MS + LONGEST_MS)? {
                violated("I9", "the cycles were never sealed".to_owned())?;
            }
            self.judge_resumed()?;
            let Some(killing) = &self.killing else {
                continue;
            };
            let is_sealed = killing.sealed.iter().all(|cycles| cycles.len() >= CYCLES);
            let is_killed = killing.kill.is_none() || killing.died_ms.is_some();
            if is_sealed && is_killed && killing.still_held.is_empty() {
                let resumed = self.seen.counts.get("resumed parts").copied();
                return Ok(KillRun {
                    resumed: resumed.unwrap_or_default(),
                    ..killing.run.clone()
                });
            }
        }
    }

    /// How long the next page takes, if that is planned.
    pub(super) fn planned_page_ms(&mut self) -> Option<i64> {
        let killing = self.killing.as_mut()?;
        killing.pages += 1;
        let is_slow = killing.pages.is_multiple_of(SLOW_PAGE_EVERY);
        is_slow.then_some(SLOW_PAGE_MS)
    }

    /// How much longer than others the next write takes to begin.
    pub(super) fn planned_write_delay_ms(&mut self) -> i64 {
        let Some(killing) = &mut self.killing else {
            return 0;
        };
        killing.writes += 1;
        let is_slow = killing.writes.is_multiple_of(SLOW_WRITE_EVERY);
        if is_slow { SLOW_WRITE_MS } else { 0 }
    }

    /// Kills the worker if this side of this step is to be its last.
    pub(super) fn dies(&mut self, number: usize, is_taken: bool) -> bool {
        let killing = self.killing.as_ref();
        let Some(killing) = killing.filter(|killing| killing.strikes(number, is_taken)) else {
            return false;
        };
        let pollers = killing.world.pollers;
        self.note(|| format!("worker {number} and its like are killed"));
        let first = number / pollers * pollers;
        for worker in &mut self.workers[first..first + pollers] {
            worker.die();
        }
        let held = self.in_dead_hands();
        let now = self.now_ms;
        if let Some(killing) = &mut self.killing {
            killing.died_ms = Some(now);
            killing.run.held = held.len();
            killing.still_held = held;
        }
        true
    }

    /// The shards whose holder is dead, by Redis.
    fn in_dead_hands(&self) -> Vec<String> {
        let dead = self.workers.iter().filter(|worker| worker.is_dead);
        let dead: Vec<String> = dead.map(Worker::name).collect();
        let prefix = self.store.shard_key("");
        let shards = self.redis.entries().keys();
        let shards = shards.filter_map(|key| key.strip_prefix(&prefix));
        let is_held = |shard: &&str| {
            let holder = self.store.shard_record(&self.redis, shard).holder;
            holder.is_some_and(|holder| dead.contains(&holder))
        };
        shards.filter(is_held).map(str::to_owned).collect()
    }

    fn judge_resumed(&mut self) -> Result<(), Violation> {
        let killing = self.killing.as_ref();
        let Some(killing) = killing.filter(|killing| !killing.still_held.is_empty()) else {
            return Ok(());
        };
        let after_ms = self.now_ms - killing.died_ms.unwrap_or(self.now_ms);
        let still_held = self.in_dead_hands();
        let is_free = |worker: &Worker| worker.rests && !worker.is_dead;
        let is_somebody_free = self.workers.iter().any(is_free);
        if !still_held.is_empty() && after_ms > RESUMED_WITHIN_MS && is_somebody_free {
            let what = format!("{still_held:?} is in dead hands {after_ms} ms after the kill");
            violated("resume", what)?;
        }
        if let Some(killing) = &mut self.killing {
            if still_held.is_empty() {
                killing.run.resumed_after_ms = after_ms;
            }
            killing.still_held = still_held;
        }
        Ok(())
    }

    /// A cycle that was sealed is whole: complete, each row counted once, each line stored, and the
    /// watermark is its start.
    pub(super) fn judge_whole(
        &mut self,
        place: usize,
        end: &CycleEnd,
        feed: &FeedStanding,
    ) -> Result<(), Violation> {
        let items = 0..self.truth.items().len();
        let rows = items
            .clone()
            .map(|item| self.truth.rows(place, item, self.now_ms).len());
        let rows: usize = rows.sum();
        let killing = self.killing.as_ref();
        let before = killing.and_then(|killing| killing.sealed[place].last().copied());
        let is_complete = matches!(end.sealed, Sealed::Complete { .. });
        let has_moved = feed.watermark == Some(end.started)
            && feed.previous_watermark == before
            && before.is_none_or(|before| before < end.started);
        if !is_complete || end.rows != rows as u64 || !has_moved {
            let what = format!("{rows} rows are there; sealed was {end:?}, and known is {feed:?}");
            violated("whole", what)?;
        }
        for item in items {
            self.judge_stored(place, item, end.started, feed)?;
        }
        if let Some(killing) = &mut self.killing {
            killing.sealed[place].push(end.started);
        }
        Ok(())
    }

    fn judge_stored(
        &self,
        place: usize,
        item: usize,
        started: AsOf,
        feed: &FeedStanding,
    ) -> Result<(), Violation> {
        let name = self.truth.items()[item].as_str();
        let warehouse = &self.truth.warehouses()[place];
        let stored = self.store.stored(&self.redis, name, warehouse);
        let line = stored.ok().flatten();
        let line = line.and_then(|text| read_line(text.as_bytes()));
        let amount = line.and_then(|line| match line.content {
            LineContent::Quantities(quantities) => quantities.available.as_integer(),
            LineContent::Absent => None,
        });
        let now = stamp(self.redis_now_ms());
        let judged = judge(line.as_ref(), feed, now, self.store.line_ttl);
        let is_of_this_cycle = line.is_some_and(|line| line.as_of >= started);
        let is_true = amount.is_some() && amount == self.truth.amount(place, item, self.now_ms);
        if is_true && is_of_this_cycle && judged.state == StockState::Present {
            return Ok(());
        }
        let what = format!(
            "{name} of {warehouse} is stored as {line:?}, {:?}",
            judged.state
        );
        violated("whole", what)
    }
}

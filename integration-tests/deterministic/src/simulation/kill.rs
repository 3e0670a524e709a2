//! A calm world in which one worker is killed -9 at a counted step and does not come back.
//!
//! What it held must be in other hands, or done, a lease and five seconds later, unless all the living
//! have their hands full; every cycle must be sealed whole all the same. Nothing else goes wrong, so
//! anything less is the kill's doing.

use super::worker::{Activity, Worker};
use super::{BEGIN_MS, Broken, LEASE_MS, Plan, Simulation, StepKind, Trace, Weather, stamp};
use crate::chance::Chance;
use crate::evidence::{Violation, violated};
use crate::rules::Rules;
use shared::redis_store::{CycleEnd, Sealed, read_line};
use shared::stock::{AsOf, FeedStanding, LineContent, StockState, judge};
use std::time::Duration;

/// From the kill to the instant at which all it held has gone on elsewhere, if anybody is free.
pub const RESUMED_WITHIN_MS: i64 = LEASE_MS + 5_000;
/// A page longer than a third of the lease, so that leases are extended with nothing to note.
pub(super) const SLOW_PAGE_MS: i64 = 14_000;
/// Every so-manieth page is slow.
const SLOW_EVERY: u64 = 4;
/// Longer than the keeper waits between two looks, so that notes and writes cross.
const SLOW_WRITE_MS: i64 = 1_500;
/// Every so-manieth hand-over is written slowly.
const SLOW_WRITE_EVERY: u64 = 3;
/// The first is read as one part, the second as many.
const CYCLES: usize = 2;
/// The longest a run may take.
const LONGEST_MS: i64 = 600_000;

/// A world to kill a worker in.
#[derive(Debug, Clone, Copy)]
pub struct KillWorld {
    /// Workers; all but one live on.
    pub workers: usize,
    /// What each of them does at once, as `parallel_shards`; they die together.
    pub pollers: usize,
    /// Warehouses of ten items.
    pub warehouses: usize,
    /// Rows of a page.
    pub page_size: usize,
    /// The length of steps and pages comes from here.
    pub seed: u64,
}

/// On which side of its step a worker is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The step is not taken.
    Before,
    /// The step is taken, and nobody hears of it.
    After,
}

/// Who is killed when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// The worker.
    pub worker: usize,
    /// Its step, from 0.
    pub step: usize,
    /// The side of it.
    pub moment: Moment,
}

/// What a run was.
#[derive(Debug, Clone)]
pub struct KillRun {
    /// The steps of every worker up to the end, or to its death.
    pub steps: Vec<Vec<StepKind>>,
    /// Shards that were in the dead worker's hands.
    pub held: usize,
    /// From the kill until the last of them was in other hands or done, in ms.
    pub resumed_after_ms: i64,
    /// Parts read on from another's notes.
    pub resumed: u64,
}

/// The kill of a run and what came of it.
#[derive(Debug)]
pub(super) struct Killing {
    world: KillWorld,
    kill: Option<Kill>,
    steps: Vec<Vec<StepKind>>,
    pages: u64,
    writes: u64,
    died_ms: Option<i64>,
    held: usize,
    still_held: Vec<String>,
    resumed_after_ms: i64,
    /// The starts of the cycles sealed so far, by warehouse.
    sealed: Vec<Vec<AsOf>>,
}

/// Runs a world until its cycles are sealed and nothing is in dead hands; what broke, and the last
/// steps before it, as text.
pub fn run_with_kill(
    rules: &Rules,
    world: KillWorld,
    kill: Option<Kill>,
) -> Result<KillRun, String> {
    let started = |trace| Simulation::with_kill(rules, world, kill, trace);
    let quiet = started(Trace::off()).and_then(|mut world| world.play_killing());
    quiet.map_err(|broken| {
        let steps = started(Trace::on()).map_or_else(
            |_same| Vec::new(),
            |mut told| {
                let _same = told.play_killing();
                told.trace.steps()
            },
        );
        format!("{broken}\n{kill:?}, after:\n{}", steps.join("\n"))
    })
}

impl<'a> Simulation<'a> {
    fn with_kill(
        rules: &'a Rules,
        world: KillWorld,
        kill: Option<Kill>,
        trace: Trace,
    ) -> Result<Self, Broken> {
        let plan = Plan {
            line_ttl_ms: 604_800_000,
            warehouses: world.warehouses,
            workers: world.workers * world.pollers,
            page_size: world.page_size,
            weather: Weather::with([]),
        };
        let mut simulation = Self::planned(Chance::of(world.seed), rules, plan, trace)?;
        simulation.killing = Some(Killing {
            world,
            kill,
            steps: vec![Vec::new(); world.workers],
            pages: 0,
            writes: 0,
            died_ms: None,
            held: 0,
            still_held: Vec::new(),
            resumed_after_ms: 0,
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
                return Ok(KillRun {
                    steps: killing.steps.clone(),
                    held: killing.held,
                    resumed_after_ms: killing.resumed_after_ms,
                    resumed: self.seen.resumed,
                });
            }
        }
    }

    /// Whether this page is one of the slow ones.
    pub(super) fn is_slow_by_plan(&mut self) -> bool {
        let Some(killing) = &mut self.killing else {
            return false;
        };
        killing.pages += 1;
        killing.pages.is_multiple_of(SLOW_EVERY)
    }

    /// How much longer than others this write takes to begin.
    pub(super) fn write_delay_by_plan(&mut self) -> i64 {
        let Some(killing) = &mut self.killing else {
            return 0;
        };
        killing.writes += 1;
        if killing.writes.is_multiple_of(SLOW_WRITE_EVERY) {
            SLOW_WRITE_MS
        } else {
            0
        }
    }

    /// The kind of a step, if steps are counted.
    pub(super) fn kind_if_counted(&self, number: usize, activity: &Activity) -> Option<StepKind> {
        self.killing.as_ref()?;
        self.step_kind(number, activity)
    }

    /// Counts a step; true if the worker dies instead of taking it.
    pub(super) fn dies_before(&mut self, number: usize, kind: StepKind) -> bool {
        let Some(killing) = &mut self.killing else {
            return false;
        };
        let steps = &mut killing.steps[number / killing.world.pollers];
        steps.push(kind);
        let dies = killing.is_struck(number, Moment::Before);
        if dies {
            self.kill(number);
        }
        dies
    }

    /// Kills the worker if this step was to be its last.
    pub(super) fn may_die_after(&mut self, number: usize) {
        let killing = self.killing.as_ref();
        if killing.is_some_and(|killing| killing.is_struck(number, Moment::After)) {
            self.kill(number);
        }
    }

    fn kill(&mut self, number: usize) {
        self.note(|| format!("worker {number} and its like are killed"));
        let pollers = self
            .killing
            .as_ref()
            .map_or(1, |killing| killing.world.pollers);
        let first = number / pollers * pollers;
        for worker in &mut self.workers[first..first + pollers] {
            worker.die();
        }
        let held = self.in_dead_hands();
        let now = self.now_ms;
        if let Some(killing) = &mut self.killing {
            killing.died_ms = Some(now);
            killing.held = held.len();
            killing.still_held = held;
        }
    }

    /// The shards whose holder is dead, by Redis.
    fn in_dead_hands(&self) -> Vec<String> {
        let prefix = self.house.shard_key("");
        let dead: Vec<String> = self
            .workers
            .iter()
            .filter(|worker| worker.is_dead())
            .map(Worker::name)
            .collect();
        let shards = self.redis.entries().keys();
        let shards = shards.filter_map(|key| key.strip_prefix(&prefix));
        let is_held = |shard: &&str| {
            let record = self.house.shard_record(&self.redis, shard);
            let holder = record.ok().and_then(|record| record.holder);
            holder.is_some_and(|holder| dead.contains(&holder))
        };
        shards.filter(is_held).map(str::to_owned).collect()
    }

    fn judge_resumed(&mut self) -> Result<(), Violation> {
        let died_ms = self.killing.as_ref().and_then(|killing| killing.died_ms);
        let Some(died_ms) = died_ms else {
            return Ok(());
        };
        let is_waiting = self
            .killing
            .as_ref()
            .is_some_and(|killing| !killing.still_held.is_empty());
        if !is_waiting {
            return Ok(());
        }
        let still_held = self.in_dead_hands();
        let after_ms = self.now_ms - died_ms;
        let is_somebody_free = self.workers.iter().any(Worker::rests);
        if !still_held.is_empty() && after_ms > RESUMED_WITHIN_MS && is_somebody_free {
            let what = format!("{still_held:?} is in dead hands {after_ms} ms after the kill");
            return violated("resume", what);
        }
        if let Some(killing) = &mut self.killing {
            killing.still_held = still_held;
            if killing.still_held.is_empty() {
                killing.resumed_after_ms = after_ms;
            }
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
        let rows: usize = items
            .clone()
            .map(|item| self.truth.rows(place, item, self.now_ms).len())
            .sum();
        let before = self
            .killing
            .as_ref()
            .and_then(|killing| killing.sealed[place].last().copied());
        let is_complete = matches!(end.sealed, Sealed::Complete { .. });
        let has_moved = feed.watermark == Some(end.started)
            && feed.previous_watermark == before
            && before.is_none_or(|before| before < end.started);
        if !is_complete || end.rows != rows as u64 || !has_moved {
            let what = format!("{rows} rows are there; sealed was {end:?}, and known is {feed:?}");
            return violated("whole", what);
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
        let stored = self.house.stored(&self.redis, name, warehouse);
        let line = stored
            .ok()
            .flatten()
            .and_then(|text| read_line(text.as_bytes()));
        let told = line.and_then(|line| match line.content {
            LineContent::Quantities(quantities) => quantities.available.as_integer(),
            LineContent::Absent => None,
        });
        let ttl = Duration::from_millis(self.house.line_ttl_ms.unsigned_abs());
        let judged = judge(line.as_ref(), feed, stamp(self.redis_now_ms()), ttl);
        let is_of_this_cycle = line.is_some_and(|line| line.as_of >= started);
        if told.is_some()
            && told == self.truth.amount(place, item, self.now_ms)
            && judged.state == StockState::Present
            && is_of_this_cycle
        {
            return Ok(());
        }
        violated(
            "whole",
            format!(
                "{name} of {warehouse} is stored as {line:?}, {:?}",
                judged.state
            ),
        )
    }
}

impl Killing {
    fn is_struck(&self, number: usize, moment: Moment) -> bool {
        let worker = number / self.world.pollers;
        let at = self.steps[worker].len().checked_sub(1);
        self.died_ms.is_none()
            && self.kill.is_some_and(|kill| {
                kill.worker == worker && Some(kill.step) == at && kill.moment == moment
            })
    }
}

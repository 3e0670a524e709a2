//! A small world in which every order of events is tried.
//!
//! Two workers, a live caller, two items of one warehouse; a failover that forgets what was written
//! since the replica's link broke, a step of the clock, a lost page, changes of the truth, and time
//! that passes beyond the leases: as many of each as the bounds say. A step is one call to Redis, one
//! question to D365, or one answer of it. Scripts, parts, seals and states are the real ones.

mod explore;
mod late;
mod step;

pub use explore::{Explored, Search, explore};

use crate::evidence::{Evidence, Read};
use crate::fake_redis::{Entries, FakeRedis, Value};
use crate::house::{Held, House, HouseError};
use crate::rules::Rules;
use crate::simulation::Broken;
use crate::truth::Truth;
use late::Late;
use shared::redis_store::CycleEnd;
use shared::stock::AsOf;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

const BEGIN_MS: i64 = 1_800_000_000_000;
const LEASE_MS: i64 = 30_000;
/// The item the live caller asks for: the one that comes and goes.
const ASKED_FOR: usize = 1;
/// A step of the clock.
const STEP_MS: i64 = 30_000;

/// What may happen at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Failovers.
    pub failovers: u8,
    /// Steps of the clock.
    pub clock_steps: u8,
    /// Lost pages.
    pub lost_pages: u8,
    /// Changes of the truth: the second item appears or vanishes.
    pub changes: u8,
    /// Live look-ups.
    pub look_ups: u8,
    /// How often time passes beyond the leases.
    pub passes: u8,
    /// Rows of a page.
    pub page_size: u32,
    /// How many of the two items are there at first.
    pub items: u8,
}

/// Something that may happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A worker takes its next step.
    Worker(u8),
    /// A worker's page is lost on its way.
    PageLost(u8),
    /// The live caller takes its next step.
    Caller,
    /// The truth changes.
    TruthChanges,
    /// The replica gets no more writes.
    ReplicaFallsBehind,
    /// The replica takes over.
    Failover,
    /// The clock is set forward.
    ClockForward,
    /// The clock is set back.
    ClockBack,
    /// Time passes beyond every lease.
    TimePasses,
}

/// What a worker is about to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
enum Stage {
    #[default]
    Idle,
    Look(Held),
    Forget(Held, u64),
    Open(u64, AsOf, i64),
    Watch(Held),
    Seal(Held, Seal),
    GiveBack(Held, Option<String>),
    Begin(Held),
    Answer(Reading, Asked),
    Store(Reading, Vec<(usize, String)>, After),
    Note(Reading),
    EndPart(Reading, String),
}

impl Stage {
    /// The lines on their way and the starts of the cycles it knows of.
    fn tells<'a>(&'a self, texts: &mut Vec<&'a str>, starts: &mut Vec<AsOf>) {
        match self {
            Self::Open(_, started, _) => starts.push(*started),
            Self::Seal(_, Seal(end)) => starts.push(end.started),
            Self::Answer(reading, _) | Self::Note(reading) | Self::EndPart(reading, _) => {
                starts.push(reading.started);
            }
            Self::Store(reading, lines, _) => {
                starts.push(reading.started);
                texts.extend(lines.iter().map(|(_, text)| text.as_str()));
            }
            Self::Idle
            | Self::Look(_)
            | Self::Forget(..)
            | Self::Watch(_)
            | Self::GiveBack(..)
            | Self::Begin(_) => {}
        }
    }
}

/// A cycle's end in a form that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seal(Box<CycleEnd>);

impl Hash for Seal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        format!("{:?}", self.0).hash(state);
    }
}

/// A part in a worker's hands: what is noted about it, from which the real reader goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Reading {
    held: Held,
    generation: u64,
    number: u32,
    started: AsOf,
    rows: u64,
    cursor: Option<String>,
    notes: Option<String>,
}

/// A question under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Asked {
    as_of: AsOf,
    start_ms: i64,
    clock_ahead_ms: i64,
}

/// What follows once the lines are stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum After {
    Note,
    End(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    Asked(Asked),
    Answered(String),
}

/// A state of the world.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    redis: FakeRedis,
    replica: Option<Arc<Entries>>,
    now_us: i64,
    ahead_ms: i64,
    truth: Arc<Truth>,
    evidence: Arc<Evidence>,
    stages: [Arc<Stage>; 2],
    caller: Option<Caller>,
    left: Bounds,
    /// Whether nothing has gone wrong so far.
    is_untroubled: bool,
    /// A step that was put off to this instant: what it matters to must come next.
    put_off: Option<Late>,
}

impl World {
    /// A first cycle has been read to its end; everything else is still to happen.
    pub fn after_a_first_snapshot(
        house: &House,
        rules: &Rules,
        bounds: Bounds,
    ) -> Result<Self, Broken> {
        let mut truth = Truth::of(1, 2).map_err(HouseError::from)?;
        for item in 0..usize::from(bounds.items) {
            truth.changes(0, item, BEGIN_MS - 1);
        }
        let mut world = Self {
            redis: FakeRedis::default(),
            replica: None,
            now_us: BEGIN_MS * 1_000,
            ahead_ms: 0,
            truth: Arc::new(truth),
            evidence: Arc::default(),
            stages: [Arc::default(), Arc::default()],
            caller: None,
            left: bounds,
            is_untroubled: true,
            put_off: None,
        };
        world.set_redis_clock();
        let warehouses = world.truth.warehouses().to_vec();
        house.ensure_scheduled(&mut world.redis, &warehouses)?;
        while world.can_act(house, 0) {
            world.take(house, rules, Action::Worker(0))?;
        }
        world.pass_time();
        Ok(world)
    }

    /// All that may happen next.
    pub fn possible(&self, house: &House) -> Vec<Action> {
        if let Some(choices) = self.answer_at_once() {
            return choices;
        }
        let mut actions = Vec::new();
        for worker in [0, 1] {
            let stage = self.stage(worker);
            // Workers are alike.
            let is_other = worker == 0 || *stage != *self.stage(0);
            if is_other && self.can_act(house, worker) {
                actions.push(Action::Worker(worker));
            }
            if matches!(**stage, Stage::Answer(..)) && self.left.lost_pages > 0 {
                actions.push(Action::PageLost(worker));
            }
        }
        if self.caller.is_some() || self.left.look_ups > 0 {
            actions.push(Action::Caller);
        }
        if self.left.changes > 0 {
            actions.push(Action::TruthChanges);
        }
        if self.left.failovers > 0 {
            actions.push(Action::Failover);
            if self.replica.is_none() {
                actions.push(Action::ReplicaFallsBehind);
            }
        }
        if self.left.clock_steps > 0 {
            actions.extend([Action::ClockForward, Action::ClockBack]);
        }
        if self.left.passes > 0 {
            actions.push(Action::TimePasses);
        }
        actions
    }

    /// While the truth stands still an answer is the same whenever it comes, and whether it is lost
    /// concerns nobody else: it comes, or not, before anything else happens.
    fn answer_at_once(&self) -> Option<Vec<Action>> {
        if self.left.changes > 0 {
            return None;
        }
        let is_asking = |worker: &u8| matches!(**self.stage(*worker), Stage::Answer(..));
        let worker = [0, 1].into_iter().find(is_asking)?;
        let mut choices = vec![Action::Worker(worker)];
        if self.left.lost_pages > 0 {
            choices.push(Action::PageLost(worker));
        }
        Some(choices)
    }

    fn stage(&self, worker: u8) -> &Arc<Stage> {
        &self.stages[usize::from(worker)]
    }

    /// Does it.
    pub fn take(&mut self, house: &House, rules: &Rules, action: Action) -> Result<(), Broken> {
        self.is_untroubled &= matches!(
            action,
            Action::Worker(_) | Action::PageLost(_) | Action::Caller | Action::TruthChanges
        );
        match action {
            Action::Worker(worker) => self.worker_step(house, rules, worker)?,
            Action::PageLost(worker) => {
                self.left.lost_pages -= 1;
                self.page_lost(worker);
            }
            Action::Caller => self.caller_step(house)?,
            Action::TruthChanges => self.change_truth(),
            Action::ReplicaFallsBehind => self.replica = Some(self.redis.contents()),
            Action::Failover => {
                self.left.failovers -= 1;
                // One that was not behind takes over with all there is.
                let earlier = self.replica.take();
                let earlier = earlier.unwrap_or_else(|| self.redis.contents());
                self.redis.fail_over_to(earlier);
            }
            Action::ClockForward => self.step_clock(STEP_MS),
            Action::ClockBack => self.step_clock(-STEP_MS),
            Action::TimePasses => {
                self.left.passes -= 1;
                self.pass_time();
            }
        }
        self.put_off = self.late_step(action);
        self.judge_what_changed(house, rules, action)?;
        self.forget(house);
        Ok(())
    }

    fn change_truth(&mut self) {
        let now_ms = self.now_ms();
        let truth = Arc::make_mut(&mut self.truth);
        if truth.amount(0, 1, now_ms).is_some() {
            truth.vanishes(0, 1, now_ms);
        } else {
            truth.changes(0, 1, now_ms);
        }
        self.left.changes -= 1;
        self.tick();
    }

    fn step_clock(&mut self, by_ms: i64) {
        self.left.clock_steps -= 1;
        self.ahead_ms += by_ms;
        let now_ms = self.now_ms();
        Arc::make_mut(&mut self.evidence).clock_stepped(now_ms);
        self.set_redis_clock();
    }

    /// A number that is the same for states nobody could tell apart: workers are alike.
    pub fn fingerprint(&self) -> u64 {
        let of_stage = |stage: &Arc<Stage>| {
            let mut hasher = DefaultHasher::new();
            stage.hash(&mut hasher);
            hasher.finish()
        };
        let mut stages = self.stages.each_ref().map(of_stage);
        stages.sort_unstable();
        let mut hasher = DefaultHasher::new();
        stages.hash(&mut hasher);
        self.redis.entries().hash(&mut hasher);
        self.redis.server().hash(&mut hasher);
        self.replica.hash(&mut hasher);
        (self.now_us, self.ahead_ms, self.is_untroubled, self.put_off).hash(&mut hasher);
        self.truth.hash(&mut hasher);
        self.evidence.hash(&mut hasher);
        (&self.caller, self.left).hash(&mut hasher);
        hasher.finish()
    }

    /// What can matter no more is forgotten, so that states that differ in it only are one.
    fn forget(&mut self, house: &House) {
        // Kept for people.
        self.redis
            .remove(&house.history_key(&self.truth.warehouses()[0]));
        let mut texts = Vec::new();
        let mut starts = Vec::new();
        for stage in &self.stages {
            stage.tells(&mut texts, &mut starts);
        }
        if let Some(Caller::Answered(text)) = &self.caller {
            texts.push(text.as_str());
        }
        let stores = [Some(self.redis.entries()), self.replica.as_deref()];
        for (_, entry) in stores.into_iter().flatten().flatten() {
            if let Value::Hash(fields) = &entry.value {
                texts.extend(fields.values().map(String::as_str));
            }
        }
        let is_line_about = |line: &str| texts.contains(&line);
        let is_cycle_about = |started: AsOf| {
            starts.contains(&started) || texts.contains(&started.to_string().as_str())
        };
        if !self.evidence.is_all_about(is_line_about, is_cycle_about) {
            Arc::make_mut(&mut self.evidence).forget_unless(is_line_about, is_cycle_about);
        }
    }

    /// Instants are told apart where their order matters: stamps, answers, changes.
    fn tick(&mut self) {
        self.now_us = (self.now_ms() + 1) * 1_000;
        self.set_redis_clock();
    }

    /// So are claims, whose tokens are microseconds.
    fn tick_a_little(&mut self) {
        self.now_us += 1;
        self.set_redis_clock();
    }

    fn pass_time(&mut self) {
        self.now_us += (LEASE_MS + 1_000) * 1_000;
        self.set_redis_clock();
    }

    fn now_ms(&self) -> i64 {
        self.now_us.div_euclid(1_000)
    }

    fn set_redis_clock(&mut self) {
        let now_us = self.now_us + self.ahead_ms * 1_000;
        self.redis.set_clock_us(now_us);
    }

    fn stamp(&self, stamped_ms: i64) -> AsOf {
        AsOf::from_unix_ms(stamped_ms + self.ahead_ms).unwrap_or(AsOf::EPOCH)
    }

    fn asked(&self) -> Asked {
        Asked {
            as_of: self.stamp(self.now_ms()),
            start_ms: self.now_ms(),
            clock_ahead_ms: self.ahead_ms,
        }
    }
}

impl Asked {
    /// The content is of the instant of the answer: an answer that was on its way longer is one that
    /// was answered later.
    fn answered(self, at_ms: i64) -> Read {
        Read {
            start_ms: self.start_ms,
            at_ms,
            end_ms: at_ms,
            clock_ahead_ms: self.clock_ahead_ms,
        }
    }
}

//! Who is killed when, and what came of it.

use shared::stock::AsOf;

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

/// Who is killed when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kill {
    /// The worker.
    pub worker: usize,
    /// Its step, from 0.
    pub step: usize,
    /// Whether the step is taken first, and nobody hears of it.
    pub is_taken: bool,
}

/// What a run was.
#[derive(Debug, Clone, Default)]
pub struct KillRun {
    /// The steps of every worker up to the end, or to its death.
    pub steps: Vec<usize>,
    /// Shards that were in the dead worker's hands.
    pub held: usize,
    /// From the kill until the last of them was in other hands or done, in ms.
    pub resumed_after_ms: i64,
    /// Parts read on from another's notes.
    pub resumed: u64,
}

/// The kill of a run while it is played.
#[derive(Debug)]
pub(super) struct Killing {
    pub(super) world: KillWorld,
    pub(super) kill: Option<Kill>,
    pub(super) run: KillRun,
    pub(super) pages: u64,
    pub(super) writes: u64,
    pub(super) died_ms: Option<i64>,
    pub(super) still_held: Vec<String>,
    /// The starts of the cycles sealed so far, by warehouse.
    pub(super) sealed: Vec<Vec<AsOf>>,
}

impl Killing {
    /// Counts a step before it is taken.
    pub(super) fn count(&mut self, number: usize) {
        self.run.steps[number / self.world.pollers] += 1;
    }

    /// Whether the step counted last is the worker's last one, on this side of it.
    pub(super) fn strikes(&self, number: usize, is_taken: bool) -> bool {
        let worker = number / self.world.pollers;
        let strikes = |kill: Kill| {
            kill.worker == worker
                && kill.step + 1 == self.run.steps[worker]
                && kill.is_taken == is_taken
        };
        self.died_ms.is_none() && self.kill.is_some_and(strikes)
    }
}

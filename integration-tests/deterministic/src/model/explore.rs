//! Breadth first through all states, each once, on as many cores as are given.
//!
//! Plain enough to need no library: a queue, a set of fingerprints, and for each the step that led to
//! it, so that a failure is told by the shortest way there is; with several cores, by one hardly longer.

use super::{Action, Bounds, World};
use crate::evidence::Violation;
use crate::house::House;
use crate::rules::Rules;
use crate::simulation::Broken;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Lives longer than any of these worlds.
const LINE_TTL_MS: i64 = 604_800_000;
/// States taken off the queue at a time.
const BATCH: usize = 64;
/// Locks, so that cores seldom wait for each other.
const SHELVES: u64 = 64;

/// How a world is searched.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// Cores.
    pub cores: usize,
    /// More states than this are too many for the memory there is; one takes about 50 bytes, one that
    /// is still to be visited some 5 kB.
    pub most_states: usize,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explored {
    /// Distinct states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// States in which nothing more could happen, each of which recovered.
    pub ends: usize,
    /// The most states that waited to be visited.
    pub waiting: usize,
}

/// How a state was reached: from which, by what.
type Ways = HashMap<u64, Option<(u64, Action)>>;

#[derive(Default)]
struct Queue {
    worlds: VecDeque<World>,
    busy: usize,
    explored: Explored,
    failed: Option<String>,
}

struct Seeker<'a> {
    rules: &'a Rules,
    search: Search,
    ways: Vec<Mutex<Ways>>,
    queue: Mutex<Queue>,
    news: Condvar,
}

/// Visits every state; the shortest way to a violation, if there is one, as text.
pub fn explore(rules: &Rules, bounds: Bounds, search: Search) -> Result<Explored, String> {
    let house = House::with(&rules.scripts, LINE_TTL_MS).map_err(|error| error.to_string())?;
    let first = World::after_a_first_snapshot(&house, rules, bounds);
    let first = first.map_err(|broken| broken.to_string())?;
    let seeker = Seeker {
        rules,
        search,
        ways: (0..SHELVES).map(|_| Mutex::default()).collect(),
        queue: Mutex::default(),
        news: Condvar::new(),
    };
    seeker.is_new(first.fingerprint(), None);
    locked(&seeker.queue).worlds.push_back(first);
    locked(&seeker.queue).explored.states = 1;
    thread::scope(|scope| {
        for _ in 0..search.cores {
            scope.spawn(|| seeker.seek());
        }
    });
    let queue = seeker.queue.into_inner();
    let queue = queue.unwrap_or_else(PoisonError::into_inner);
    match queue.failed {
        Some(failed) => Err(failed),
        None => Ok(queue.explored),
    }
}

/// A thread that panicked fails the test by itself.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seeker<'_> {
    fn seek(&self) {
        // Lua stays in its thread, so each has a house of its own.
        let house = match House::with(&self.rules.scripts, LINE_TTL_MS) {
            Ok(house) => house,
            Err(error) => return self.stop(error.to_string()),
        };
        while let Some(worlds) = self.some_worlds() {
            let mut explored = Explored::default();
            let mut found = Vec::new();
            for world in worlds {
                if let Err(failed) = self.visit(&house, world, &mut explored, &mut found) {
                    return self.stop(failed);
                }
            }
            self.hand_in(&explored, found);
        }
    }

    /// None when all has been visited.
    fn some_worlds(&self) -> Option<Vec<World>> {
        let mut queue = locked(&self.queue);
        loop {
            if queue.failed.is_some() || (queue.worlds.is_empty() && queue.busy == 0) {
                self.news.notify_all();
                return None;
            }
            if !queue.worlds.is_empty() {
                queue.busy += 1;
                let some = queue.worlds.len().min(BATCH);
                return Some(queue.worlds.drain(..some).collect());
            }
            queue = self
                .news
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn hand_in(&self, explored: &Explored, found: Vec<World>) {
        let mut queue = locked(&self.queue);
        queue.busy -= 1;
        queue.explored.states += found.len();
        queue.explored.steps += explored.steps;
        queue.explored.ends += explored.ends;
        queue.worlds.extend(found);
        queue.explored.waiting = queue.explored.waiting.max(queue.worlds.len());
        if queue.explored.states > self.search.most_states {
            let what = format!("too many states, {:?}", queue.explored);
            queue.failed.get_or_insert(what);
        }
        self.news.notify_all();
    }

    fn stop(&self, failed: String) {
        locked(&self.queue).failed.get_or_insert(failed);
        self.news.notify_all();
    }

    fn visit(
        &self,
        house: &House,
        world: World,
        explored: &mut Explored,
        found: &mut Vec<World>,
    ) -> Result<(), String> {
        let from = world.fingerprint();
        let possible = world.possible(house);
        if possible.is_empty() {
            explored.ends += 1;
            let end = judge_end(world, house, self.rules);
            return end.map_err(|broken| self.way_to(from, None, &broken));
        }
        for action in possible {
            if !world.may_follow(action) {
                continue;
            }
            let mut next = world.clone();
            explored.steps += 1;
            let taken = next.take(house, self.rules, action);
            taken.map_err(|broken| self.way_to(from, Some(action), &broken))?;
            if self.is_new(next.fingerprint(), Some((from, action))) {
                found.push(next);
            }
        }
        Ok(())
    }

    fn ways_of(&self, state: u64) -> MutexGuard<'_, Ways> {
        let at = usize::try_from(state % SHELVES).unwrap_or(0);
        locked(&self.ways[at])
    }

    fn is_new(&self, state: u64, way: Option<(u64, Action)>) -> bool {
        match self.ways_of(state).entry(state) {
            Entry::Vacant(place) => {
                place.insert(way);
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    fn way_to(&self, last: u64, action: Option<Action>, broken: &Broken) -> String {
        let mut actions: Vec<Action> = action.into_iter().collect();
        let mut at = last;
        loop {
            let way = self.ways_of(at).get(&at).copied().flatten();
            let Some((before, action)) = way else {
                break;
            };
            actions.push(action);
            at = before;
        }
        actions.reverse();
        let steps: Vec<String> = actions
            .iter()
            .map(|action| format!("  {action:?}"))
            .collect();
        format!(
            "{broken}\nafter {} steps:\n{}",
            steps.len(),
            steps.join("\n")
        )
    }
}

fn judge_end(world: World, house: &House, rules: &Rules) -> Result<(), Broken> {
    if world.recovers(house, rules)? {
        return Ok(());
    }
    Err(Violation {
        invariant: "I9",
        what: "no complete snapshot follows".to_owned(),
    }
    .into())
}

//! Breadth first through all states, each once.
//!
//! Plain enough to need no library: a queue, a set of fingerprints, and for each the step that led to
//! it, so that a failure is told by the shortest way there is.

use super::{Action, Bounds, World};
use crate::evidence::Violation;
use crate::house::House;
use crate::rules::Rules;
use crate::simulation::Broken;
use std::collections::{HashMap, VecDeque};

/// Lives longer than any of these worlds.
const LINE_TTL_MS: i64 = 604_800_000;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explored {
    /// Distinct states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// States in which nothing more could happen, each of which recovered.
    pub ends: usize,
}

/// How a state was reached: from which, by what.
type Ways = HashMap<u64, Option<(u64, Action)>>;

/// Visits every state; the shortest way to a violation, if there is one, as text.
pub fn explore(rules: &Rules, bounds: Bounds) -> Result<Explored, String> {
    let told = |broken: Broken| broken.to_string();
    let house = House::with(&rules.scripts, LINE_TTL_MS).map_err(|error| error.to_string())?;
    let first = World::after_a_first_snapshot(&house, rules, bounds).map_err(told)?;
    let mut ways: Ways = HashMap::from([(first.fingerprint(), None)]);
    let mut queue = VecDeque::from([first]);
    let mut explored = Explored {
        states: 1,
        steps: 0,
        ends: 0,
    };
    while let Some(world) = queue.pop_front() {
        let from = world.fingerprint();
        let actions = world.actions(&house);
        if actions.is_empty() {
            explored.ends += 1;
            if let Err(broken) = judge_end(world, &house, rules) {
                return Err(way_to(&ways, from, None, &broken));
            }
            continue;
        }
        for action in actions {
            let mut next = world.clone();
            explored.steps += 1;
            if let Err(broken) = next.take(&house, rules, action) {
                return Err(way_to(&ways, from, Some(action), &broken));
            }
            let reached = next.fingerprint();
            if let std::collections::hash_map::Entry::Vacant(place) = ways.entry(reached) {
                place.insert(Some((from, action)));
                explored.states += 1;
                queue.push_back(next);
            }
        }
    }
    Ok(explored)
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

fn way_to(ways: &Ways, last: u64, action: Option<Action>, broken: &Broken) -> String {
    let mut actions: Vec<Action> = action.into_iter().collect();
    let mut at = last;
    while let Some(Some((before, action))) = ways.get(&at) {
        actions.push(*action);
        at = *before;
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

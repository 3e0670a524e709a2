//! A worker killed -9 at every one of its steps: its shards go on within a lease and five seconds,
//! and every cycle is sealed whole.

use deterministic_simulation::rules::{NoteRule, Rules};
use deterministic_simulation::simulation::{
    Kill, KillWorld, Moment, RESUMED_WITHIN_MS, StepKind, run_with_kill,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Each worker has two parts in hand, as in production; there are hands enough.
const THREE_OF_TWO: KillWorld = KillWorld {
    workers: 3,
    pollers: 2,
    warehouses: 2,
    page_size: 3,
    seed: 1,
};

/// One of them has to do it all.
const TWO_OF_TWO: KillWorld = KillWorld {
    workers: 2,
    ..THREE_OF_TWO
};

/// All of a calm worker's steps; the others belong to faults.
const KINDS: [StepKind; 21] = [
    StepKind::Look,
    StepKind::Claim,
    StepKind::ReadFeed,
    StepKind::ReadCycle,
    StepKind::Forget,
    StepKind::ReadBorders,
    StepKind::Open,
    StepKind::Watch,
    StepKind::Seal,
    StepKind::GiveBack,
    StepKind::ReadCycleOfPart,
    StepKind::ReadNotes,
    StepKind::Ask,
    StepKind::Answer,
    StepKind::Drain,
    StepKind::EndPart,
    StepKind::Write,
    StepKind::MayNote,
    StepKind::Note,
    StepKind::Extend,
    StepKind::Beat,
];

/// Every kill there is in a world: each step of each worker, on both sides of it.
fn all_kills(rules: &Rules, world: KillWorld) -> Vec<(Kill, StepKind)> {
    let calm = run_with_kill(rules, world, None).unwrap();
    let mut kills = Vec::new();
    for (worker, steps) in calm.steps.iter().enumerate() {
        for (step, kind) in steps.iter().enumerate() {
            for moment in [Moment::Before, Moment::After] {
                let kill = Kill {
                    worker,
                    step,
                    moment,
                };
                kills.push((kill, *kind));
            }
        }
    }
    kills
}

#[derive(Debug, Default)]
struct Tally {
    kinds: BTreeMap<StepKind, usize>,
    with_shards: usize,
    resumed_parts: usize,
    longest_ms: i64,
}

/// Tries them on all cores; the first that breaks, as text.
fn try_all(rules: &Rules, world: KillWorld, kills: &[(Kill, StepKind)]) -> Result<Tally, String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let runs: Vec<Result<Tally, String>> = thread::scope(|scope| {
        let work = || {
            let mut tally = Tally::default();
            while let Some((kill, kind)) = kills.get(next.fetch_add(1, Ordering::Relaxed)) {
                let run = run_with_kill(rules, world, Some(*kill))?;
                *tally.kinds.entry(*kind).or_default() += 1;
                tally.with_shards += usize::from(run.held > 0);
                tally.resumed_parts += usize::from(run.resumed > 0);
                tally.longest_ms = tally.longest_ms.max(run.resumed_after_ms);
            }
            Ok(tally)
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut all = Tally::default();
    for run in runs {
        let tally = run?;
        for (kind, count) in tally.kinds {
            *all.kinds.entry(kind).or_default() += count;
        }
        all.with_shards += tally.with_shards;
        all.resumed_parts += tally.resumed_parts;
        all.longest_ms = all.longest_ms.max(tally.longest_ms);
    }
    Ok(all)
}

fn every_kill_is_survived(world: KillWorld) -> Tally {
    let rules = Rules::real();
    let kills = all_kills(&rules, world);
    let tally = try_all(&rules, world, &kills).unwrap_or_else(|broken| panic!("{broken}"));
    println!("{} kills: {tally:#?}", kills.len());
    assert!(kills.len() > 1_000, "{} kills prove little", kills.len());
    assert!(tally.with_shards > kills.len() / 4, "mostly idle workers");
    assert!(tally.resumed_parts > 100, "hardly anything was resumed");
    for kind in KINDS {
        assert!(tally.kinds.contains_key(&kind), "{kind:?} never happened");
    }
    tally
}

#[test]
fn a_kill_at_any_step_of_one_of_three_workers() {
    let tally = every_kill_is_survived(THREE_OF_TWO);
    let longest = tally.longest_ms;
    assert!(longest <= RESUMED_WITHIN_MS, "{longest} ms");
    assert!(longest > RESUMED_WITHIN_MS - 6_000, "no lease ran out");
}

/// Beside two cycles one worker has its hands full: fresh parts come before those of the dead.
#[test]
fn a_kill_at_any_step_of_one_of_two_workers() {
    every_kill_is_survived(TWO_OF_TWO);
}

/// The invariant by which a broken rule is found.
fn found_by(rules: &Rules) -> String {
    let kills = all_kills(&Rules::real(), THREE_OF_TWO);
    let broken = try_all(rules, THREE_OF_TWO, &kills).unwrap_err();
    println!("{broken}");
    broken.split(':').next().unwrap().to_owned()
}

fn with_script_broken(script: &str, piece: &str, by: &str) -> Rules {
    Rules::real().with_script_broken(script, piece, by).unwrap()
}

#[test]
fn a_lease_that_is_never_due_again_is_found() {
    let piece = "'XX', string.format('%d', lease_until)";
    let never = "'XX', string.format('%d', lease_until + 3600000)";
    let rules = with_script_broken("claim.lua", piece, never);
    assert_eq!(found_by(&rules), "resume");
}

#[test]
fn a_lease_that_is_half_a_minute_longer_is_found() {
    let piece = "tonumber(ARGV[3])\nredis.call('ZADD'";
    let longer = "tonumber(ARGV[3]) + 30000\nredis.call('ZADD'";
    let rules = with_script_broken("extend.lua", piece, longer);
    assert_eq!(found_by(&rules), "resume");
}

#[test]
fn a_cursor_that_stays_behind_its_notes_is_found() {
    let piece = "'rows', ARGV[4], 'cursor', ARGV[5], 'notes', ARGV[6])";
    let behind =
        "'rows', ARGV[4], 'notes', ARGV[6])\n  redis.call('HSETNX', KEYS[2], 'cursor', ARGV[5])";
    let rules = with_script_broken("extend.lua", piece, behind);
    assert_eq!(found_by(&rules), "whole");
}

#[test]
fn notes_that_run_ahead_of_what_is_stored_are_found() {
    let rules = Rules {
        note: NoteRule::AtOnce,
        ..Rules::real()
    };
    assert_eq!(found_by(&rules), "whole");
}

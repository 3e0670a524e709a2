//! A worker killed -9 at every one of its steps: its shards go on within a lease and five seconds,
//! and every cycle is sealed whole.

use deterministic_simulation::script_engine::Scripts;
use deterministic_simulation::simulation::{
    Kill, KillRun, KillWorld, RESUMED_WITHIN_MS, run_with_kill,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Each worker has two parts in hand, as in production.
const fn world(workers: usize) -> KillWorld {
    KillWorld {
        workers,
        pollers: 2,
        warehouses: 2,
        page_size: 3,
        seed: 1,
    }
}

/// Kills each worker at each of its steps, on both sides of it, on all cores; the first run that
/// breaks, as text.
fn all_kills(scripts: &Scripts, world: KillWorld) -> Result<Vec<KillRun>, String> {
    let calm = run_with_kill(&Scripts::real(), world, None)?;
    let steps = calm.steps.iter().enumerate();
    let steps = steps.flat_map(|(worker, steps)| (0..*steps).map(move |step| (worker, step)));
    let kills: Vec<Kill> = steps
        .flat_map(|(worker, step)| {
            [false, true].map(|is_taken| Kill {
                worker,
                step,
                is_taken,
            })
        })
        .collect();
    let next = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let work = || {
            let mut runs = Vec::new();
            while let Some(kill) = kills.get(next.fetch_add(1, Ordering::Relaxed)) {
                runs.push(run_with_kill(scripts, world, Some(*kill))?);
            }
            Ok(runs)
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let runs = threads.into_iter().map(|thread| thread.join().unwrap());
        Ok(runs.collect::<Result<Vec<_>, String>>()?.concat())
    })
}

fn every_kill_is_survived(workers: usize) -> i64 {
    let runs = all_kills(&Scripts::real(), world(workers));
    let runs = runs.unwrap_or_else(|broken| panic!("{broken}"));
    let count = |is: fn(&KillRun) -> bool| runs.iter().filter(|run| is(run)).count();
    let (held, resumed) = (count(|run| run.held > 0), count(|run| run.resumed > 0));
    let longest = runs.iter().map(|run| run.resumed_after_ms).max().unwrap();
    let kills = runs.len();
    println!(
        "{kills} kills, {held} of workers with shards, {resumed} with a part resumed, {longest} ms"
    );
    assert!(kills > 1_000 && held > kills / 4 && resumed > 100);
    longest
}

#[test]
fn a_kill_at_any_step_of_one_of_three_workers() {
    let longest = every_kill_is_survived(3);
    assert!(longest <= RESUMED_WITHIN_MS, "{longest} ms");
    assert!(longest > RESUMED_WITHIN_MS - 6_000, "no lease ran out");
}

/// Beside two cycles one worker has its hands full: fresh parts come before those of the dead.
#[test]
fn a_kill_at_any_step_of_one_of_two_workers() {
    every_kill_is_survived(2);
}

#[test]
fn scripts_that_hold_up_or_lose_what_a_dead_worker_had_are_found() {
    for (script, piece, by, invariant) in [
        (
            "claim.lua",
            "'XX', string.format('%d', lease_until)",
            "'XX', string.format('%d', lease_until + 3600000)",
            "resume",
        ),
        (
            "extend.lua",
            "tonumber(ARGV[3])\nredis.call('ZADD'",
            "tonumber(ARGV[3]) + 30000\nredis.call('ZADD'",
            "resume",
        ),
        (
            "extend.lua",
            "'rows', ARGV[4], 'cursor', ARGV[5], 'notes', ARGV[6])",
            "'rows', ARGV[4], 'notes', ARGV[6])\n  redis.call('HSETNX', KEYS[2], 'cursor', ARGV[5])",
            "whole",
        ),
    ] {
        let scripts = Scripts::real().broken(script, piece, by).unwrap();
        let broken = all_kills(&scripts, world(3)).unwrap_err();
        assert!(broken.starts_with(invariant), "{script}: {broken}");
    }
}

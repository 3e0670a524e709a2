//! Thousands of storms: no invariant breaks in any of them, and every fault happened.

use crate::seeds;
use deterministic_simulation::rules::Rules;
use deterministic_simulation::simulation::{Failure, Fault, Seen, run};
use std::thread;

/// Runs seeds on all cores; stops at the first failure of each.
fn run_all(seeds: std::ops::Range<u64>) -> (Seen, Vec<Failure>) {
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    let parts: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|core| {
                let seeds = seeds.clone();
                scope.spawn(move || {
                    let rules = Rules::real();
                    let mut seen = Seen::default();
                    for seed in seeds.filter(|seed| seed % cores == core) {
                        match run(seed, &rules, None) {
                            Ok(one) => seen.add(&one),
                            Err(failure) => return (seen, Some(failure)),
                        }
                    }
                    (seen, None)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut all = Seen::default();
    let mut failures = Vec::new();
    for (seen, failure) in parts {
        all.add(&seen);
        failures.extend(failure);
    }
    (all, failures)
}

#[test]
fn no_storm_breaks_an_invariant() {
    let seeds = seeds::asked_for();
    let count = seeds.end - seeds.start;
    let (seen, failures) = run_all(seeds);
    if let Some(failure) = failures.iter().min_by_key(|failure| failure.seed) {
        panic!("\n{failure}");
    }
    println!("{count} seeds: {seen:#?}");
    if count < 100 {
        return;
    }
    for fault in Fault::ALL {
        assert!(seen.faults.contains_key(&fault), "{fault:?} never happened");
    }
    for (what, happened) in [
        ("complete snapshots", seen.snapshots),
        ("failed cycles", seen.failed_cycles),
        ("resumed parts", seen.resumed),
        ("replaced lines", seen.applied),
        ("refused lines", seen.refused),
        ("split cycles", seen.split_cycles),
    ] {
        assert!(happened > count, "{what} are rare: {happened}");
    }
}

#[test]
fn a_seed_is_a_run() {
    let rules = Rules::real();
    for seed in 0..20 {
        let twice = [run(seed, &rules, None), run(seed, &rules, None)];
        let told = twice.map(|run| run.map_err(|failure| failure.to_string()));
        assert_eq!(told[0], told[1]);
    }
}

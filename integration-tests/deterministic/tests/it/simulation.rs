//! Thousands of runs with faults: no invariant breaks in any of them, and every fault happened.

use deterministic_simulation::script_engine::Scripts;
use deterministic_simulation::simulation::{Failure, Fault, Seen, run};
use std::ops::Range;
use std::thread;

/// Seeds of a run of all tests; about 40 s on two cores.
const SEEDS: u64 = 3_000;

/// The one of `SIMULATION_SEED`, or as many as `SIMULATION_SEEDS` says.
fn asked_for() -> Range<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's own switches are not settings of the product"
    )]
    let number = |name: &str| Some(std::env::var(name).ok()?.parse::<u64>().unwrap());
    match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SIMULATION_SEEDS").unwrap_or(SEEDS),
    }
}

/// Runs seeds on all cores, each up to its first failure.
fn run_all(seeds: &Range<u64>) -> Result<Seen, Failure> {
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    let runs: Vec<_> = thread::scope(|scope| {
        let work = |core| {
            let scripts = Scripts::real();
            let mut seen = Seen::default();
            for seed in seeds.clone().filter(|seed| seed % cores == core) {
                seen.add(&run(seed, &scripts, None)?);
            }
            Ok(seen)
        };
        let threads: Vec<_> = (0..cores)
            .map(|core| scope.spawn(move || work(core)))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut all = Seen::default();
    for seen in runs {
        all.add(&seen?);
    }
    Ok(all)
}

#[test]
fn no_fault_breaks_an_invariant() {
    let seeds = asked_for();
    let count = seeds.end - seeds.start;
    let seen = run_all(&seeds).unwrap_or_else(|failure| panic!("\n{failure}"));
    println!("{count} seeds: {seen:#?}");
    if count < 100 {
        return;
    }
    for fault in Fault::ALL {
        assert!(seen.faults.contains_key(&fault), "{fault:?} never happened");
    }
    for what in [
        "complete snapshots",
        "failed cycles",
        "resumed parts",
        "replaced lines",
        "refused lines",
        "split cycles",
    ] {
        let happened = seen.counts.get(what).copied().unwrap_or_default();
        assert!(happened > count, "{what} are rare: {happened}");
    }
}

#[test]
fn a_seed_is_a_run() {
    let scripts = Scripts::real();
    for seed in 0..20 {
        let twice = [run(seed, &scripts, None), run(seed, &scripts, None)];
        let [first, second] = twice.map(|run| run.map_err(|failure| failure.to_string()));
        assert_eq!(first, second);
    }
}

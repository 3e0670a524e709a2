//! Scripts broken on purpose: the simulation must find each, by the invariant it breaks.

use deterministic_simulation::script_engine::Scripts;
use deterministic_simulation::simulation::{Fault, Weather, run};

/// Runs seeds until one breaks one of these invariants.
fn is_found(
    (script, piece, by): (&str, &str, &str),
    faults: &[Fault],
    seeds: u64,
    expected: &[&str],
) {
    let scripts = Scripts::real().broken(script, piece, by).unwrap();
    let weather = Weather::with(faults.iter().copied());
    for seed in 0..seeds {
        if let Err(failure) = run(seed, &scripts, Some(weather)) {
            println!("{script}: found with seed {seed}: {}", failure.broken);
            assert!(!failure.steps.is_empty(), "the failure names its steps");
            let invariant = failure.broken.split(':').next().unwrap();
            assert!(expected.contains(&invariant), "{script}: {failure}");
            return;
        }
    }
    panic!("{seeds} seeds did not find {piece:?} in {script}");
}

#[test]
fn the_last_writer_winning_is_found() {
    let broken = ("apply_lines.lua", "verdict = 0", "verdict = 1");
    is_found(
        broken,
        &[Fault::LateWrite, Fault::SlowPage],
        20,
        &["I1", "I4"],
    );
}

#[test]
fn stamps_of_the_future_that_are_stored_are_found() {
    let broken = ("apply_lines.lua", "verdict = 3", "verdict = 1");
    let faults = [Fault::ClockStep, Fault::Pause];
    is_found(broken, &faults, 300, &["I1", "I3", "I4"]);
}

#[test]
fn a_seal_that_does_not_compare_the_start_is_found() {
    let piece = "\n  or redis.call('HGET', record, 'started') ~= ARGV[3] then";
    let faults = [Fault::Emptied, Fault::Pause, Fault::LostCall];
    is_found(
        ("seal.lua", piece, " then"),
        &faults,
        1_500,
        &["seal", "I4"],
    );
}

#[test]
fn a_seal_that_does_not_notice_another_server_is_found() {
    let piece = "redis.call('HGET', KEYS[2], 'server') ~= server";
    is_found(
        ("seal.lua", piece, "false"),
        &[Fault::Failover],
        50,
        &["I4"],
    );
}

#[test]
fn tokens_that_begin_again_are_found() {
    let piece = "math.max(tonumber(now[1]) * 1000000 + tonumber(now[2]), last + 1)";
    let faults = [
        Fault::Emptied,
        Fault::Failover,
        Fault::Pause,
        Fault::SlowPage,
    ];
    let expected = ["seal", "lease", "I4"];
    is_found(("claim.lua", piece, "last + 1"), &faults, 300, &expected);
}

#[test]
fn a_claim_without_a_lease_is_found() {
    let piece = "local lease_until = now_ms + tonumber(ARGV[3])";
    let broken = ("claim.lua", piece, "local lease_until = now_ms");
    is_found(broken, &[], 5, &["lease"]);
}

#[test]
fn a_lost_part_that_nobody_schedules_again_is_found() {
    let piece = "put_back = put_back + redis.call('ZADD', KEYS[1], 'NX', part,\n      ARGV[1] .. '#' .. generation .. '/' .. part)";
    let broken = ("watch_cycle.lua", piece, "put_back = 0");
    is_found(broken, &[Fault::Evicted], 300, &["I9"]);
}

//! Negative controls: with a rule broken on purpose, the simulation must find it.

use deterministic_simulation::evidence::AbsenceRule;
use deterministic_simulation::rules::{FutureRule, Rules, SealRule, StampRule};
use deterministic_simulation::simulation::{Fault, Weather, run};

/// Runs seeds until one breaks, and says by which invariant.
fn found_by(rules: &Rules, faults: &[Fault], seeds: u64) -> String {
    let weather = Weather::with(faults.iter().copied());
    for seed in 0..seeds {
        if let Err(failure) = run(seed, rules, Some(weather)) {
            println!("found with seed {seed}: {}", failure.broken);
            assert!(!failure.steps.is_empty(), "the failure tells its steps");
            return failure.broken.split(':').next().unwrap().to_owned();
        }
    }
    panic!("{seeds} seeds did not find it");
}

fn with_script_broken(script: &str, piece: &str, by: &str) -> Rules {
    Rules::real().with_script_broken(script, piece, by).unwrap()
}

#[test]
fn the_last_writer_winning_is_found() {
    let rules = with_script_broken("apply_lines.lua", "verdict = 0", "verdict = 1");
    let invariant = found_by(&rules, &[Fault::LateWrite, Fault::SlowPage], 20);
    assert!(["I1", "I4"].contains(&invariant.as_str()), "{invariant}");
}

#[test]
fn stamps_of_the_arrival_are_found() {
    let rules = Rules {
        stamp: StampRule::AtArrival,
        ..Rules::real()
    };
    assert_eq!(found_by(&rules, &[], 5), "I3");
}

#[test]
fn absence_after_one_snapshot_is_found() {
    let rules = Rules {
        absence: AbsenceRule::AfterOneSnapshot,
        ..Rules::real()
    };
    assert_eq!(found_by(&rules, &[], 20), "I4");
}

#[test]
fn a_seal_before_all_parts_have_ended_is_found() {
    let rules = Rules {
        seal: SealRule::AnyPart,
        ..Rules::real()
    };
    let invariant = found_by(&rules, &[Fault::SlowPage], 50);
    assert!(["seal", "I4"].contains(&invariant.as_str()), "{invariant}");
}

#[test]
fn a_seal_that_does_not_compare_the_start_is_found() {
    let piece = "\n  or redis.call('HGET', record, 'started') ~= ARGV[3] then";
    let rules = with_script_broken("seal.lua", piece, " then");
    let faults = [Fault::Emptied, Fault::Pause, Fault::LostCall];
    let invariant = found_by(&rules, &faults, 1_500);
    assert!(["seal", "I4"].contains(&invariant.as_str()), "{invariant}");
}

#[test]
fn a_seal_that_does_not_notice_another_server_is_found() {
    let piece = "redis.call('HGET', KEYS[2], 'server') ~= server";
    let rules = with_script_broken("seal.lua", piece, "false");
    assert_eq!(found_by(&rules, &[Fault::Failover], 50), "I4");
}

#[test]
fn tokens_that_begin_again_are_found() {
    let piece = "math.max(tonumber(now[1]) * 1000000 + tonumber(now[2]), last + 1)";
    let rules = with_script_broken("claim.lua", piece, "last + 1");
    let faults = [
        Fault::Emptied,
        Fault::Failover,
        Fault::Pause,
        Fault::SlowPage,
    ];
    let invariant = found_by(&rules, &faults, 300);
    let expected = ["seal", "lease", "I4"];
    assert!(expected.contains(&invariant.as_str()), "{invariant}");
}

#[test]
fn a_claim_without_a_lease_is_found() {
    let piece = "local lease_until = now_ms + tonumber(ARGV[3])";
    let rules = with_script_broken("claim.lua", piece, "local lease_until = now_ms");
    assert_eq!(found_by(&rules, &[], 5), "lease");
}

#[test]
fn refused_lines_that_count_as_stored_are_found() {
    let rules = Rules {
        future: FutureRule::Overlooked,
        ..Rules::real()
    };
    let faults = [Fault::ClockStep, Fault::SlowPage];
    assert_eq!(found_by(&rules, &faults, 300), "I4");
}

#[test]
fn a_lost_part_that_nobody_puts_back_is_found() {
    let piece = "put_back = put_back + redis.call('ZADD', KEYS[1], 'NX', part,\n      ARGV[1] .. '#' .. generation .. '/' .. part)";
    let rules = with_script_broken("watch_cycle.lua", piece, "put_back = 0");
    assert_eq!(found_by(&rules, &[Fault::Evicted], 300), "I9");
}

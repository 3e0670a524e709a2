//! Every order of events in small worlds: no invariant breaks in any of them, and a broken rule is
//! found.

use deterministic_simulation::evidence::AbsenceRule;
use deterministic_simulation::model::{Bounds, Search, explore};
use deterministic_simulation::rules::{FutureRule, Rules};

/// Two workers, and nothing goes wrong.
const CALM: Bounds = Bounds {
    failovers: 0,
    clock_steps: 0,
    lost_pages: 0,
    changes: 0,
    look_ups: 0,
    passes: 0,
    page_size: 3,
    items: 1,
};

/// Small worlds run beside each other, on a core each.
const SEARCH: Search = Search {
    cores: 1,
    most_states: 2_000_000,
};

/// Prints what was visited, so that a world that has become small is noticed.
fn visit(name: &str, bounds: Bounds) {
    let found =
        explore(&Rules::real(), bounds, SEARCH).unwrap_or_else(|way| panic!("{name}: {way}"));
    println!(
        "{name}: {} distinct states, {} steps, {} ends, all of which recovered",
        found.states, found.steps, found.ends
    );
    assert!(found.states > 5_000, "{name}: a small world proves little");
}

/// The invariant by which a broken rule is found.
fn found_by(rules: &Rules, bounds: Bounds) -> String {
    let way = explore(rules, bounds, SEARCH).unwrap_err();
    println!("{way}");
    way.split(':').next().unwrap().to_owned()
}

fn with_script_broken(script: &str, piece: &str, by: &str) -> Rules {
    Rules::real().with_script_broken(script, piece, by).unwrap()
}

#[test]
fn a_failover_at_any_instant_while_an_item_appears_and_a_page_is_lost() {
    let bounds = Bounds {
        failovers: 1,
        changes: 1,
        lost_pages: 1,
        ..CALM
    };
    visit("failover, change, lost page", bounds);
}

#[test]
fn a_failover_at_any_instant_of_a_cycle_of_two_pages() {
    let bounds = Bounds {
        failovers: 1,
        page_size: 2,
        items: 2,
        lost_pages: 1,
        ..CALM
    };
    visit("failover, two pages, one lost", bounds);
}

#[test]
fn a_failover_at_any_instant_beside_a_live_caller() {
    let bounds = Bounds {
        failovers: 1,
        look_ups: 1,
        ..CALM
    };
    visit("failover, live caller", bounds);
}

#[test]
fn a_step_of_the_clock_at_any_instant_beside_a_live_caller() {
    let bounds = Bounds {
        clock_steps: 1,
        look_ups: 1,
        ..CALM
    };
    visit("clock step, live caller", bounds);
}

#[test]
fn workers_that_stand_still_beyond_their_leases_while_an_item_comes_and_goes() {
    let bounds = Bounds {
        passes: 1,
        changes: 2,
        lost_pages: 1,
        ..CALM
    };
    visit("leases run out, two changes, lost page", bounds);
}

#[test]
fn a_failover_and_a_step_of_the_clock_at_any_instants() {
    let bounds = Bounds {
        failovers: 1,
        clock_steps: 1,
        ..CALM
    };
    visit("failover, clock step", bounds);
}

#[test]
fn a_failover_while_workers_stand_still_beyond_their_leases() {
    let bounds = Bounds {
        failovers: 1,
        passes: 1,
        ..CALM
    };
    visit("failover, leases run out", bounds);
}

#[test]
fn a_step_of_the_clock_while_an_item_appears_and_a_page_is_lost() {
    let bounds = Bounds {
        clock_steps: 1,
        changes: 1,
        lost_pages: 1,
        ..CALM
    };
    visit("clock step, change, lost page", bounds);
}

/// All of them in one world: two workers, a live caller, two items, a failover that forgets what was
/// written since any instant, a step of the clock, a lost page.
const ALL_AT_ONCE: Bounds = Bounds {
    failovers: 1,
    clock_steps: 1,
    lost_pages: 1,
    look_ups: 1,
    ..CALM
};

#[test]
#[ignore = "takes long and all cores: make model-check"]
fn all_of_them_in_one_world() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let search = Search {
        cores,
        most_states: 60_000_000,
    };
    let found = explore(&Rules::real(), ALL_AT_ONCE, search).unwrap_or_else(|way| panic!("{way}"));
    println!("all at once: {found:?}");
}

#[test]
fn the_last_writer_winning_is_found() {
    let rules = with_script_broken("apply_lines.lua", "verdict = 0", "verdict = 1");
    let bounds = Bounds {
        look_ups: 1,
        changes: 1,
        ..CALM
    };
    assert_eq!(found_by(&rules, bounds), "I1");
}

#[test]
fn absence_after_one_snapshot_is_found() {
    let rules = Rules {
        absence: AbsenceRule::AfterOneSnapshot,
        ..Rules::real()
    };
    let bounds = Bounds {
        changes: 2,
        passes: 1,
        ..CALM
    };
    assert_eq!(found_by(&rules, bounds), "I4");
}

#[test]
fn a_seal_that_does_not_notice_another_server_is_found() {
    let piece = "redis.call('HGET', KEYS[2], 'server') ~= server";
    let rules = with_script_broken("seal.lua", piece, "false");
    let bounds = Bounds {
        failovers: 1,
        changes: 1,
        ..CALM
    };
    assert_eq!(found_by(&rules, bounds), "I4");
}

#[test]
fn tokens_that_begin_again_are_found() {
    let piece = "math.max(tonumber(now[1]) * 1000000 + tonumber(now[2]), last + 1)";
    let rules = with_script_broken("claim.lua", piece, "last + 1");
    let bounds = Bounds {
        failovers: 1,
        page_size: 2,
        items: 2,
        ..CALM
    };
    let invariant = found_by(&rules, bounds);
    assert!(["seal", "I4"].contains(&invariant.as_str()), "{invariant}");
}

#[test]
fn refused_lines_that_count_as_stored_are_found() {
    let rules = Rules {
        future: FutureRule::Overlooked,
        ..Rules::real()
    };
    let bounds = Bounds {
        clock_steps: 1,
        changes: 1,
        ..CALM
    };
    assert_eq!(found_by(&rules, bounds), "I4");
}

#[test]
fn a_claim_without_a_lease_is_found() {
    let piece = "local lease_until = now_ms + tonumber(ARGV[3])";
    let rules = with_script_broken("claim.lua", piece, "local lease_until = now_ms");
    assert_eq!(found_by(&rules, CALM), "lease");
}

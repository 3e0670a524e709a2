//! The model of Redis beside a real one: every call of some runs, made again, has the same answer.

use deterministic_simulation::simulation::{Fault, Weather, record};
use redis::{Connection, Value};
use shared::redis_store::scripts;
use std::collections::{BTreeMap, BTreeSet};
use test_redis::TestRedis;

const RUNS: u64 = 12;

/// A failover and an emptied Redis are not calls, and are left out.
const FAULTS: [Fault; 10] = [
    Fault::Evicted,
    Fault::ClockStep,
    Fault::Kill,
    Fault::Pause,
    Fault::Stop,
    Fault::LostCall,
    Fault::LostPage,
    Fault::Throttled,
    Fault::SlowPage,
    Fault::LateWrite,
];

/// What cannot be the same on both are the clock and the server's name: the clock is handed in as two
/// more keys, the name is a constant.
fn with_world_handed_in(source: &str) -> String {
    let zeros = "0".repeat(40);
    source
        .replace("redis.call('TIME')", "{ KEYS[#KEYS - 1], KEYS[#KEYS] }")
        .replace("redis.call('INFO', 'server')", &format!("'run_id:{zeros}'"))
        .replace(
            "redis.call('INFO', 'replication')",
            &format!("'master_replid:{zeros}'"),
        )
}

#[test]
fn a_real_redis_answers_every_call_of_a_run_as_the_model_did() {
    let server = TestRedis::start().unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut redis: Connection = client.get_connection().unwrap();
    let sources = scripts::ALL.iter();
    let sources: BTreeMap<_, _> = sources
        .map(|script| (script.name(), with_world_handed_in(&script.source())))
        .collect();
    let mut answers = BTreeSet::new();
    for seed in 0..RUNS {
        redis::cmd("FLUSHALL").exec(&mut redis).unwrap();
        for (number, call) in record(seed, Weather::with(FAULTS))
            .unwrap()
            .iter()
            .enumerate()
        {
            let mut command = redis::Cmd::new();
            if let Some(script) = call.script {
                command.arg("EVAL").arg(&sources[script]);
                command.arg(call.keys.len() + 2).arg(&call.keys);
                let seconds = call.now_ms.div_euclid(1_000);
                command
                    .arg(seconds)
                    .arg(call.now_ms.rem_euclid(1_000) * 1_000);
                command.arg(&call.arguments);
            } else {
                command.arg(&call.keys);
            }
            let answer = command.query::<Value>(&mut redis).unwrap();
            assert_eq!(answer, call.answer, "seed {seed}, call {number}: {call:?}");
            let kind: String = format!("{answer:?}").chars().take(12).collect();
            answers.insert((call.script, kind));
        }
    }
    let scripts: BTreeSet<_> = answers.iter().map(|(script, _)| *script).collect();
    println!(
        "{} kinds of answers of {} scripts",
        answers.len(),
        scripts.len()
    );
    assert!(scripts.len() > 10 && answers.len() > 30, "{answers:?}");
}

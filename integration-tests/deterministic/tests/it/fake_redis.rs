//! The fake against a real Redis: the same scripts with the same arguments give the same replies
//! and leave the same contents.

use crate::random_calls::{Call, Caller, FAR_MS};
use deterministic_simulation::chance::Chance;
use deterministic_simulation::fake_redis::{Entries, Entry, FakeRedis, Reply, Value};
use deterministic_simulation::script_engine::ScriptEngine;
use redis::Value as Answer;
use shared::redis_store::scripts;
use std::collections::HashSet;
use std::sync::Arc;
use test_redis::TestRedis;

const HISTORIES: u64 = 400;
const CALLS: u64 = 80;
const NOON_US: i64 = 1_800_000_000_123_456;
/// What cannot be the same on both are the clock and the server's name: the real one is handed the
/// fake's clock, as two more keys, and both the same name.
fn with_time_handed_in(source: &str) -> String {
    with_one_name(source).replace("redis.call('TIME')", "{ KEYS[#KEYS - 1], KEYS[#KEYS] }")
}

fn with_one_name(source: &str) -> String {
    source
        .replace("redis.call('INFO', 'server')", "'run_id:ab'")
        .replace("redis.call('INFO', 'replication')", "'master_replid:cd'")
}

struct Both {
    fake: FakeRedis,
    engine: ScriptEngine,
    real: redis::Connection,
    now_us: i64,
    longest_gate: u64,
}

impl Both {
    fn step(&mut self, call: &Call) -> (Result<Reply, String>, Result<Reply, String>) {
        self.fake.set_clock_us(self.now_us);
        let fake = self
            .engine
            .run(&mut self.fake, call.script, &call.keys, &call.arguments)
            .map_err(|error| error.to_string());
        let source = scripts::ALL
            .iter()
            .find(|script| script.name() == call.script)
            .unwrap()
            .source();
        let mut eval = redis::cmd("EVAL");
        eval.arg(with_time_handed_in(&source))
            .arg(call.keys.len() + 2)
            .arg(&call.keys)
            .arg((self.now_us / 1_000_000).to_string())
            .arg((self.now_us % 1_000_000).to_string())
            .arg(&call.arguments);
        let real = eval.query::<Answer>(&mut self.real);
        (fake, real.map(|a| reply_of(&a)).map_err(|e| e.to_string()))
    }

    fn real_contents(&mut self) -> Entries {
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut self.real).unwrap();
        keys.into_iter()
            .map(|key| {
                let kind: String = redis::cmd("TYPE").arg(&key).query(&mut self.real).unwrap();
                let mut read = |words: &[&str]| {
                    let mut command = redis::cmd(words[0]);
                    command.arg(&key).arg(&words[1..]);
                    command.query::<Answer>(&mut self.real).unwrap()
                };
                let texts =
                    |answer: Answer| redis::from_redis_value::<Vec<String>>(answer).unwrap();
                let pairs = |answer| -> Vec<(String, String)> {
                    let flat = texts(answer);
                    flat.chunks(2)
                        .map(|p| (p[0].clone(), p[1].clone()))
                        .collect()
                };
                let value = match kind.as_str() {
                    "string" => Value::Text(redis::from_redis_value(read(&["GET"])).unwrap()),
                    "hash" => Value::Hash(pairs(read(&["HGETALL"])).into_iter().collect()),
                    "list" => Value::List(texts(read(&["LRANGE", "0", "-1"])).into()),
                    _ => Value::Sorted(
                        pairs(read(&["ZRANGE", "0", "-1", "WITHSCORES"]))
                            .into_iter()
                            .map(|(member, score)| (member, score.parse().unwrap()))
                            .collect(),
                    ),
                };
                let ttl: i64 = redis::cmd("PTTL").arg(&key).query(&mut self.real).unwrap();
                let expires_ms = (ttl >= 0).then_some(ttl);
                (Arc::from(key), Arc::new(Entry { value, expires_ms }))
            })
            .collect()
    }
}

fn reply_of(answer: &Answer) -> Reply {
    match answer {
        Answer::Nil => Reply::Nil,
        Answer::Int(number) => Reply::Int(*number),
        Answer::BulkString(bytes) => Reply::Text(String::from_utf8(bytes.clone()).unwrap()),
        Answer::Okay => Reply::Status("OK".to_owned()),
        Answer::SimpleString(text) => Reply::Status(text.clone()),
        Answer::Array(answers) => Reply::Array(answers.iter().map(reply_of).collect()),
        other => panic!("{other:?} is not expected"),
    }
}

/// Times to live differ by the time the fake's clock has run; otherwise all is the same.
fn assert_same_contents(both: &mut Both, context: &str) {
    let now_ms = both.fake.now_ms();
    let real = both.real_contents();
    let fake = both.fake.entries();
    assert_eq!(
        fake.keys().collect::<Vec<_>>(),
        real.keys().collect::<Vec<_>>(),
        "{context}"
    );
    for (key, entry) in fake {
        assert_eq!(entry.value, real[key].value, "{key} {context}");
        let left = entry.expires_ms.map(|until| until - now_ms);
        match (left, real[key].expires_ms) {
            (None, None) => {}
            (Some(fake), Some(real)) if (fake - real).unsigned_abs() < FAR_MS / 2 => {}
            other => panic!("{key} lives on differently: {other:?} {context}"),
        }
    }
}

#[test]
fn the_fake_answers_as_a_real_redis_and_keeps_the_same() {
    let server = TestRedis::start().unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let named: Vec<_> = scripts::ALL
        .iter()
        .map(|script| (script.name(), with_one_name(&script.source())))
        .collect();
    let sources = named.iter().map(|(name, source)| (*name, source.as_str()));
    let mut both = Both {
        fake: FakeRedis::default(),
        engine: ScriptEngine::with(sources).unwrap(),
        real: client.get_connection().unwrap(),
        now_us: NOON_US,
        longest_gate: 0,
    };
    let mut replies = HashSet::new();
    for seed in 0..HISTORIES {
        let mut chance = Chance::of(seed);
        both.fake = FakeRedis::default();
        both.longest_gate = 0;
        redis::cmd("FLUSHALL").query::<()>(&mut both.real).unwrap();
        for number in 0..CALLS {
            // Rights to calls live for 120 s, and here nothing may expire.
            both.now_us += chance.between(0, 1_000_000);
            if chance.happens(80) {
                both.fake.remove("t:due");
                redis::cmd("DEL")
                    .arg("t:due")
                    .query::<()>(&mut both.real)
                    .unwrap();
            }
            let mut caller = Caller {
                chance: &mut chance,
                fake: &both.fake,
                now_us: both.now_us,
                longest_gate: both.longest_gate,
            };
            let call = caller.call();
            if call.script == "close_gate.lua" {
                both.longest_gate = both.longest_gate.max(call.arguments[0].parse().unwrap());
            }
            let context = format!("seed {seed}, call {number}: {call:?}");
            let (fake, real) = both.step(&call);
            match (&fake, &real) {
                (Ok(fake), Ok(real)) => assert_eq!(fake, real, "{context}"),
                (Err(_), Err(_)) => {}
                _ => panic!("{fake:?} but in truth {real:?}, {context}"),
            }
            replies.insert((call.script, format!("{:?}", fake.ok())));
            if number % 8 == 7 {
                assert_same_contents(&mut both, &context);
            }
        }
        assert_same_contents(&mut both, &format!("seed {seed}"));
    }
    // Otherwise the comparison would have compared refusals.
    for (script, expected) in [
        ("apply_lines.lua", "[Int(2)]"),
        ("apply_lines.lua", "[Int(3)]"),
        ("claim.lua", "Some(Int(18"),
        ("extend.lua", "Some(Int(1))"),
        ("finish.lua", "Some(Int(1))"),
        ("finish_part.lua", "Some(Int(0))"),
        ("finish_part.lua", "Some(Int(-2))"),
        ("open_cycle.lua", "Some(Int(2))"),
        ("put_back.lua", "Some(Int(1))"),
        ("seal.lua", "Some(Int(1))"),
        ("seal.lua", "Some(Int(2))"),
        ("watch_cycle.lua", "Some(Int(1))"),
        ("drop_shard.lua", "Some(Int(1))"),
    ] {
        assert!(
            replies
                .iter()
                .any(|(of, reply)| *of == script && reply.contains(expected)),
            "{script} never answered {expected}"
        );
    }
}

#[test]
fn servers_are_told_apart_as_real_ones_are() {
    let server = TestRedis::start().unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let mut real = client.get_connection().unwrap();
    let source = "return { string.match(redis.call('INFO', 'server'), 'run_id:(%x+)'), \
                  string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') }";
    let told: Vec<String> = redis::cmd("EVAL")
        .arg(source)
        .arg(0)
        .query(&mut real)
        .unwrap();
    let engine = ScriptEngine::with([("who", source)]).unwrap();
    let mut fake = FakeRedis::default();
    let mut who = || {
        engine
            .run(&mut fake, "who", &[], &[])
            .unwrap()
            .into_texts()
            .unwrap()
    };
    let lengths = |texts: &[String]| texts.iter().map(String::len).collect::<Vec<_>>();
    let before = who();
    assert_eq!(lengths(&told), lengths(&before));
    fake.fail_over_to(Arc::default());
    let after = engine
        .run(&mut fake, "who", &[], &[])
        .unwrap()
        .into_texts()
        .unwrap();
    assert_ne!(before, after);
}

#[test]
fn time_has_the_form_a_real_redis_gives_it() {
    let server = TestRedis::start().unwrap();
    let client = redis::Client::open(server.url()).unwrap();
    let real = redis::cmd("TIME")
        .query::<Answer>(&mut client.get_connection().unwrap())
        .unwrap();
    let mut fake = FakeRedis::default();
    fake.set_clock_us(NOON_US);
    let digits = |reply: Reply| {
        let texts = reply.into_texts().unwrap();
        assert!(
            texts
                .iter()
                .all(|text| text.bytes().all(|b| b.is_ascii_digit()))
        );
        texts.len()
    };
    assert_eq!(
        digits(fake.call(&["TIME"]).unwrap()),
        digits(reply_of(&real))
    );
}

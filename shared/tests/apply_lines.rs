//! The write script against its Rust reference: the same histories, the same verdicts and lines, on
//! a real Redis.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shared::process::clock::Clock;
use shared::redis_store::test_server::TestRedis;
use shared::redis_store::{StockStore, StoredLine};
use shared::stock::{
    AsOf, Generation, LineContent, LineValue, Origin, Quantities, Quantity, Sku, StockLine,
    TenantId, Verdict, WarehouseId, decide,
};
use std::collections::HashMap;
use std::time::Duration;

const HISTORIES: u32 = 100_000;
const HISTORIES_PER_CASE: u32 = 500;

fn tenant() -> TenantId {
    TenantId::parse("t").unwrap()
}

fn warehouse(number: u8) -> WarehouseId {
    WarehouseId::parse(format!("W{number}")).unwrap()
}

fn sku(text: &str) -> Sku {
    Sku::parse(text).unwrap()
}

/// One write: how far its as-of lies from now in ms, who read it, how much, in which warehouse.
#[derive(Debug, Clone, Copy)]
struct Write {
    offset_ms: i64,
    origin: Origin,
    quantity: Option<i64>,
    warehouse: u8,
}

fn write() -> impl Strategy<Value = Write> {
    // Few different instants, so that ties happen; the far future, so that corruption happens. The
    // border itself is left out: there the server's clock moves on between two calls.
    let offset = prop_oneof![
        8 => -6_i64..=0,
        2 => -5_000_i64..=1_000,
        1 => Just(60_000_i64),
    ];
    let origin = prop_oneof![
        Just(Origin::Live),
        (1_u64..3).prop_map(|n| Origin::Snapshot(Generation(n)))
    ];
    (
        offset,
        origin,
        proptest::option::weighted(0.8, -9_i64..9),
        0_u8..2,
    )
        .prop_map(|(offset_ms, origin, quantity, warehouse)| Write {
            offset_ms,
            origin,
            quantity,
            warehouse,
        })
}

fn line(base: AsOf, sku: &Sku, write: Write) -> StockLine {
    let content = match write.quantity {
        Some(number) => LineContent::Quantities(Quantities {
            available: Quantity::from(number),
            ..Quantities::default()
        }),
        None => LineContent::Absent,
    };
    StockLine {
        sku: sku.clone(),
        warehouse: warehouse(write.warehouse),
        value: LineValue {
            content,
            as_of: AsOf::from_unix_ms(base.unix_ms() + write.offset_ms).unwrap(),
            origin: write.origin,
        },
    }
}

struct Bench {
    redis: TestRedis,
    store: StockStore,
}

async fn bench() -> Bench {
    let redis = TestRedis::start().unwrap();
    let store = StockStore::open(&redis.settings().unwrap()).unwrap();
    store.clock().sample().await.unwrap();
    Bench { redis, store }
}

/// Puts a line into Redis past the script, as a writer with a wrong clock would have.
fn force(store: &StockStore, line: &StockLine, redis: &TestRedis) {
    let text = shared::redis_store::LineText(&line.value).to_string();
    let key = store.keys().stock(&tenant(), &line.sku);
    let done = std::process::Command::new("redis-cli")
        .args([
            "-p",
            &redis.port().to_string(),
            "HSET",
            &key,
            line.warehouse.as_str(),
            &text,
        ])
        .output()
        .unwrap();
    assert!(done.status.success());
}

#[test]
fn script_and_reference_agree_on_a_hundred_thousand_histories() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bench = runtime.block_on(bench());
    let config = Config {
        cases: HISTORIES / HISTORIES_PER_CASE,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let histories = proptest::collection::vec(
        proptest::collection::vec(write(), 1..5),
        HISTORIES_PER_CASE as usize,
    );
    let case = std::sync::atomic::AtomicU32::new(0);
    TestRunner::new(config)
        .run(&histories, |histories| {
            let case = case.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            runtime.block_on(async {
                let base = bench.store.clock().now();
                let skus: Vec<Sku> = (0..histories.len())
                    .map(|n| sku(&format!("case {case}:{n}")))
                    .collect();
                let mut expected: HashMap<(usize, u8), LineValue> = HashMap::new();
                let longest = histories.iter().map(Vec::len).max().unwrap_or_default();
                // Step by step, all histories at once: a script call carries many keys.
                for step in 0..longest {
                    let mut lines = Vec::new();
                    let mut verdicts = Vec::new();
                    for (number, history) in histories.iter().enumerate() {
                        let Some(write) = history.get(step) else {
                            continue;
                        };
                        let line = line(base, &skus[number], *write);
                        let place = (number, write.warehouse);
                        let stored = expected
                            .get(&place)
                            .map(|value| (value.as_of, value.origin));
                        let verdict = decide(stored, (line.value.as_of, line.value.origin), base);
                        if verdict.is_applied() {
                            expected.insert(place, line.value);
                        }
                        verdicts.push(verdict);
                        lines.push(line);
                    }
                    let applied = bench.store.apply(&tenant(), &lines).await.unwrap();
                    prop_assert_eq!(applied.verdicts, verdicts);
                }
                let reading = bench
                    .store
                    .reader()
                    .read_many(&tenant(), &[warehouse(0), warehouse(1)], &skus)
                    .await
                    .unwrap();
                for number in 0..skus.len() {
                    for place in 0..2_u8 {
                        let stored = reading.of_sku(number)[usize::from(place)];
                        let wanted = expected
                            .get(&(number, place))
                            .map_or(StoredLine::Missing, |value| StoredLine::Value(*value));
                        prop_assert_eq!(stored, wanted);
                    }
                }
                Ok(())
            })
        })
        .unwrap();
}

#[tokio::test]
async fn a_stamp_from_a_wrong_clock_does_not_block_a_line_for_ever() {
    let bench = bench().await;
    let now = bench.store.clock().now();
    let item = sku("X");
    let write = |offset_ms| Write {
        offset_ms,
        origin: Origin::Live,
        quantity: Some(1),
        warehouse: 0,
    };
    force(
        &bench.store,
        &line(now, &item, write(86_400_000)),
        &bench.redis,
    );
    let applied = bench
        .store
        .apply(&tenant(), &[line(now, &item, write(0))])
        .await
        .unwrap();
    assert_eq!(applied.verdicts, [Verdict::AppliedOverCorrupt]);
    // Within the tolerance a stamp ahead is believed, and refused lines leave it alone.
    force(&bench.store, &line(now, &item, write(3_000)), &bench.redis);
    let applied = bench
        .store
        .apply(&tenant(), &[line(now, &item, write(0))])
        .await
        .unwrap();
    assert_eq!(applied.verdicts, [Verdict::RefusedOlder]);
}

#[tokio::test]
async fn scripts_that_redis_has_forgotten_are_loaded_again() {
    let bench = bench().await;
    let now = bench.store.clock().now();
    for round in 0..3_i64 {
        let flushed = std::process::Command::new("redis-cli")
            .args(["-p", &bench.redis.port().to_string(), "SCRIPT", "FLUSH"])
            .output()
            .unwrap();
        assert!(flushed.status.success());
        let write = Write {
            offset_ms: round - 10,
            origin: Origin::Live,
            quantity: Some(round),
            warehouse: 0,
        };
        let applied = bench
            .store
            .apply(&tenant(), &[line(now, &sku("S"), write)])
            .await
            .unwrap();
        assert_eq!(applied.verdicts, [Verdict::Applied]);
    }
}

#[tokio::test]
async fn many_lines_of_one_sku_go_in_one_call_in_order() {
    let bench = bench().await;
    let now = bench.store.clock().now();
    let item = sku("ordered");
    let lines: Vec<_> = (0..600_i64)
        .map(|n| {
            let write = Write {
                offset_ms: n - 1_000,
                origin: Origin::Live,
                quantity: Some(n),
                warehouse: u8::from(n % 2 == 0),
            };
            line(now, &item, write)
        })
        .collect();
    let applied = bench.store.apply(&tenant(), &lines).await.unwrap();
    assert_eq!(applied.applied(), 600);
    let (stored, ttl) = bench.store.stored_lines(&tenant(), &item).await.unwrap();
    assert_eq!(stored.len(), 2);
    assert!(
        stored[0].text.starts_with("599|") && stored[1].text.starts_with("598|"),
        "{stored:?}"
    );
    assert!(ttl.unwrap() > Duration::from_hours(24 * 6));
}

#[tokio::test]
async fn the_stamp_in_the_script_follows_the_calendar() {
    // Leap days and year ends: the script's own calendar against the library's, through Redis' own
    // Lua. The function is taken from the script as it is shipped.
    let redis = TestRedis::start().unwrap();
    let source = include_str!("../src/redis_store/scripts/apply_lines.lua");
    let body =
        &source[source.find("local function").unwrap()..source.find("local latest").unwrap()];
    let body = body.replace("redis.call('TIME')", "{ARGV[1], ARGV[2]}");
    let script = format!("{body}\nreturn latest_true_stamp()");
    for text in [
        "1970-01-01T00:00:05.000Z",
        "2024-02-28T23:59:59.999Z",
        "2024-02-29T00:00:00.001Z",
        "2023-03-01T00:00:00.000Z",
        "2026-12-31T23:59:59.500Z",
        "2027-01-01T00:00:00.000Z",
        "2100-02-28T12:00:00.000Z",
        "2100-03-01T12:00:00.000Z",
        "2000-02-29T12:34:56.789Z",
    ] {
        let stamp: AsOf = text.parse().unwrap();
        let now_ms = stamp.unix_ms() - 5_000;
        let output = std::process::Command::new("redis-cli")
            .args(["-p", &redis.port().to_string(), "EVAL", &script, "0"])
            .args([
                (now_ms / 1_000).to_string(),
                (now_ms % 1_000 * 1_000).to_string(),
            ])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), text);
    }
}

#[tokio::test]
async fn absences_alone_live_shortly_and_shorten_nobodys_life() {
    let redis = TestRedis::start().unwrap();
    let store = StockStore::open(&redis.settings().unwrap()).unwrap();
    store.clock().sample().await.unwrap();
    let now = store.clock().now();
    let write = |quantity, warehouse, offset_ms| Write {
        offset_ms,
        origin: Origin::Live,
        quantity,
        warehouse,
    };
    let time_left = async |sku: &Sku| -> Duration {
        let client = redis::Client::open(redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let key = store.keys().stock(&tenant(), sku);
        let left: u64 = redis::cmd("PTTL")
            .arg(key)
            .query_async(&mut connection)
            .await
            .unwrap();
        Duration::from_millis(left)
    };
    let apply = async |sku: &Sku, write: Write| {
        let lines = [line(now, sku, write)];
        store.apply(&tenant(), &lines).await.unwrap()
    };
    let (invented, known) = (sku("invented"), sku("known"));
    let shortly = Duration::from_mins(15);
    apply(&invented, write(None, 0, -9)).await;
    apply(&invented, write(None, 1, -9)).await;
    assert!(time_left(&invented).await <= shortly);
    // An older line does not come back over it.
    let older = apply(&invented, write(Some(3), 0, -10)).await;
    assert_eq!(older.verdicts, [Verdict::RefusedOlder]);
    assert!(time_left(&invented).await <= shortly);
    // Once there is a quantity, it lives as long as all others, whatever is absent beside it.
    apply(&invented, write(Some(3), 0, -8)).await;
    for sku in [&invented, &known] {
        apply(sku, write(Some(3), 0, -8)).await;
        apply(sku, write(None, 0, -7)).await;
        apply(sku, write(None, 1, -7)).await;
        let nearly_a_week = Duration::from_mins(7 * 24 * 60 - 1);
        assert!(time_left(sku).await > nearly_a_week, "{sku}");
    }
}

//! The write script against its Rust reference, and what else it promises.

use super::bench::{Bench, TENANT, line, sku};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use shared::redis_store::{LineText, StoredLine, scripts};
use shared::stock::{
    AsOf, Generation, LineValue, Origin, Sku, StockLine, Verdict, WarehouseId, decide,
};
use std::collections::HashMap;
use std::time::Duration;

const HISTORIES_PER_CASE: usize = 500;
const CASES: u32 = 40;

/// One write: how far its as-of lies from now in ms, who read it, how much, in which warehouse.
#[derive(Debug, Clone, Copy)]
struct Write {
    offset_ms: i64,
    origin: Origin,
    quantity: Option<i64>,
    warehouse: u8,
}

fn warehouse(number: u8) -> WarehouseId {
    WarehouseId::parse(format!("W{number}")).unwrap()
}

fn live(offset_ms: i64, quantity: Option<i64>, warehouse: u8) -> Write {
    Write {
        offset_ms,
        origin: Origin::Live,
        quantity,
        warehouse,
    }
}

impl Write {
    fn any() -> impl Strategy<Value = Self> {
        // Few different instants, so that ties happen; the far future, so that corruption happens. The
        // border itself is left out: there the server's clock moves on between two calls.
        let offset = prop_oneof![
            8 => -6_i64..=0,
            2 => -5_000_i64..=1_000,
            1 => Just(60_000_i64),
        ];
        let snapshot = (1_u64..3).prop_map(|n| Origin::Snapshot(Generation(n)));
        let origin = prop_oneof![Just(Origin::Live), snapshot];
        let quantity = proptest::option::weighted(0.8, -9_i64..9);
        (offset, origin, quantity, 0_u8..2).prop_map(|(offset_ms, origin, quantity, warehouse)| {
            Self {
                offset_ms,
                origin,
                quantity,
                warehouse,
            }
        })
    }

    fn line(self, base: AsOf, of: &Sku) -> StockLine {
        let as_of = AsOf::from_unix_ms(base.unix_ms() + self.offset_ms).unwrap();
        let mut line = line(of.as_str(), self.quantity, as_of);
        line.warehouse = warehouse(self.warehouse);
        line.value.origin = self.origin;
        line
    }
}

#[test]
fn script_and_reference_agree_on_thousands_of_histories() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bench = runtime.block_on(Bench::start());
    let config = Config {
        cases: CASES,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let history = proptest::collection::vec(Write::any(), 1..5);
    let histories = proptest::collection::vec(history, HISTORIES_PER_CASE);
    let case = std::sync::atomic::AtomicU32::new(0);
    TestRunner::new(config)
        .run(&histories, |histories| {
            let case = case.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            runtime.block_on(replay(&bench, case, &histories))
        })
        .unwrap();
}

/// Step by step, all histories at once: a script call carries many keys.
async fn replay(bench: &Bench, case: u32, histories: &[Vec<Write>]) -> Result<(), TestCaseError> {
    let base = bench.now();
    let skus: Vec<Sku> = (0..histories.len())
        .map(|n| sku(&format!("case {case}:{n}")))
        .collect();
    let mut expected: HashMap<(usize, u8), LineValue> = HashMap::new();
    let longest = histories.iter().map(Vec::len).max().unwrap_or_default();
    for step in 0..longest {
        let (mut lines, mut verdicts) = (Vec::new(), Vec::new());
        for (number, history) in histories.iter().enumerate() {
            let Some(write) = history.get(step) else {
                continue;
            };
            let line = write.line(base, &skus[number]);
            let stored = expected.get(&(number, write.warehouse));
            let stored = stored.map(|value| (value.as_of, value.origin));
            let verdict = decide(stored, (line.value.as_of, line.value.origin), base);
            if verdict.is_applied() {
                expected.insert((number, write.warehouse), line.value);
            }
            verdicts.push(verdict);
            lines.push(line);
        }
        let applied = bench.store.apply(&TENANT, &lines).await.unwrap();
        prop_assert_eq!(applied.verdicts, verdicts);
    }
    let warehouses = [warehouse(0), warehouse(1)];
    let reader = bench.store.reader();
    let reading = reader.read_many(&TENANT, &warehouses, &skus).await.unwrap();
    for number in 0..skus.len() {
        for place in 0..2_u8 {
            let stored = reading.of_sku(number)[usize::from(place)];
            let wanted = expected.get(&(number, place));
            let wanted = wanted.map_or(StoredLine::Missing, |value| StoredLine::Value(*value));
            prop_assert_eq!(stored, wanted);
        }
    }
    Ok(())
}

impl Bench {
    async fn apply(&self, base: AsOf, of: &Sku, write: Write) -> Verdict {
        let applied = self.store.apply(&TENANT, &[write.line(base, of)]).await;
        applied.unwrap().verdicts[0]
    }

    /// Puts a line into Redis past the script, as a writer with a wrong clock would have.
    async fn force(&self, base: AsOf, of: &Sku, write: Write) {
        let line = write.line(base, of);
        let (key, text) = (self.store.keys().stock(&TENANT, of), LineText(&line.value));
        let text = text.to_string();
        let _: i64 = self.ask(&["HSET", &key, line.warehouse.key(), &text]).await;
    }
}

#[tokio::test]
async fn a_stamp_from_a_wrong_clock_does_not_block_a_line_for_ever() {
    let bench = Bench::start().await;
    let (now, item) = (bench.now(), sku("X"));
    let write = |offset_ms| live(offset_ms, Some(1), 0);
    bench.force(now, &item, write(86_400_000)).await;
    let verdict = bench.apply(now, &item, write(0)).await;
    assert_eq!(verdict, Verdict::AppliedOverCorrupt);
    // Within the tolerance a stamp ahead is believed, and refused lines leave it alone.
    bench.force(now, &item, write(3_000)).await;
    let verdict = bench.apply(now, &item, write(0)).await;
    assert_eq!(verdict, Verdict::RefusedOlder);
}

#[tokio::test]
async fn scripts_that_redis_has_forgotten_are_loaded_again() {
    let bench = Bench::start().await;
    let now = bench.now();
    for round in 0..3_i64 {
        let _: String = bench.ask(&["SCRIPT", "FLUSH"]).await;
        let write = live(round - 10, Some(round), 0);
        assert_eq!(bench.apply(now, &sku("S"), write).await, Verdict::Applied);
    }
}

#[tokio::test]
async fn many_lines_of_one_sku_go_in_their_order() {
    let bench = Bench::start().await;
    let (now, item) = (bench.now(), sku("ordered"));
    let write = |n| live(n - 1_000, Some(n), u8::from(n % 2 == 0)).line(now, &item);
    let lines: Vec<_> = (0..600_i64).map(write).collect();
    let applied = bench.store.apply(&TENANT, &lines).await.unwrap();
    assert_eq!(applied.applied(), 600);
    let (stored, ttl) = bench.store.stored_lines(&TENANT, &item).await.unwrap();
    let begins: Vec<_> = stored.iter().map(|line| &line.text[..4]).collect();
    assert_eq!(begins, ["599|", "598|"]);
    assert!(ttl.unwrap() > Duration::from_hours(24 * 6));
}

/// Leap days and year ends: the script's own calendar against the library's, through Redis' own Lua.
#[tokio::test]
async fn the_stamp_in_the_script_follows_the_calendar() {
    let bench = Bench::start().await;
    let apply = scripts::ALL.iter().find(|s| s.name() == "apply_lines.lua");
    let source = apply.unwrap().source();
    let body = &source[..source.find("local latest =").unwrap()];
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
        let (seconds, micros) = (now_ms / 1_000, now_ms % 1_000 * 1_000);
        let (seconds, micros) = (seconds.to_string(), micros.to_string());
        let answer: String = bench.ask(&["EVAL", &script, "0", &seconds, &micros]).await;
        assert_eq!(answer, text);
    }
}

#[tokio::test]
async fn absences_alone_live_shortly_and_shorten_nobodys_life() {
    let bench = Bench::start().await;
    let now = bench.now();
    let apply = async |of: &Sku, write| bench.apply(now, of, write).await;
    let time_left = async |of: &Sku| {
        let key = bench.store.keys().stock(&TENANT, of);
        Duration::from_millis(bench.ask(&["PTTL", &key]).await)
    };
    let (invented, known) = (sku("invented"), sku("known"));
    let shortly = Duration::from_mins(15);
    for warehouse in [0, 1] {
        apply(&invented, live(-9, None, warehouse)).await;
    }
    assert!(time_left(&invented).await <= shortly);
    // An older line does not come back over it.
    let older = apply(&invented, live(-10, Some(3), 0)).await;
    assert_eq!(older, Verdict::RefusedOlder);
    assert!(time_left(&invented).await <= shortly);
    // Once there is a quantity, it lives as long as all others, whatever is absent beside it.
    for of in [&invented, &known] {
        for write in [live(-8, Some(3), 0), live(-7, None, 0), live(-7, None, 1)] {
            apply(of, write).await;
        }
        let nearly_a_week = Duration::from_mins(7 * 24 * 60 - 1);
        assert!(time_left(of).await > nearly_a_week, "{of}");
    }
}

//! Scripts that Redis comes to after their callers' time: they grant nothing and change nothing.

use super::bench::{TENANT, sku};
use redis::Value;
use redis::aio::MultiplexedConnection;
use shared::d365::{AppId, Purpose, Share, ThrottleGate};
use shared::redis_store::{SharedThrottleGate, StockStore, StoreError, scripts};
use shared::settings::Layers;
use shared::stock::{AsOf, Hold, HoldId, HoldOwner, Quantity, WarehouseId};
use std::time::Duration;
use test_redis::TestRedis;

/// Shorter than Redis is frozen, so that the callers have gone when it goes on.
const SCRIPT_TIMEOUT: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_millis(100);

async fn connection(redis: &TestRedis) -> MultiplexedConnection {
    let client = redis::Client::open(redis.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// Everything Redis holds, but for times to live.
async fn everything(redis: &TestRedis) -> Vec<(String, Value)> {
    let mut connection = connection(redis).await;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut all = Vec::new();
    for key in keys {
        let mut dump = redis::cmd("DUMP");
        let value = dump.arg(&key).query_async(&mut connection).await.unwrap();
        all.push((key, value));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[tokio::test]
async fn a_call_that_comes_late_changes_nothing() {
    // Keys and arguments but for the time.
    let calls: [(&str, &[&str], &[&str]); 8] = [
        ("note_event.lua", &["event"], &["600000"]),
        (
            "take_call.lua",
            &["b", "bp", "bl", "bn"],
            &["live", "id", "p", "15000", "16", "4", "100"],
        ),
        ("renew_call.lua", &["bl"], &["id", "15000"]),
        ("take_demand_calls.lua", &["demand"], &["1", "5", "2"]),
        (
            "claim.lua",
            &["due", "shard"],
            &["24", "holder", "30000", "0"],
        ),
        (
            "extend.lua",
            &["due", "held shard"],
            &["11", "7", "30000", "1", "A", "{}"],
        ),
        (
            "open_cycle.lua",
            &["snapshot", "cycle", "due", "shard"],
            &["24", "0", "now", "9000", "", ""],
        ),
        (
            "swap_orders.lua",
            &["held", "each", "until", "order"],
            &["1", "1", "", "{}", "9000", "A", "", "", "1|..", "", "5"],
        ),
    ];
    let names = calls.map(|(name, ..)| name);
    let in_time = scripts::ALL.iter().filter(|script| script.is_in_time());
    for script in in_time {
        assert!(names.contains(&script.name()), "{}", script.name());
    }
    for (name, keys, arguments) in calls {
        let script = scripts::ALL.iter().find(|script| script.name() == name);
        let source = script.unwrap().source();
        let redis = TestRedis::start().unwrap();
        let mut connection = connection(&redis).await;
        redis::pipe()
            .zadd_multiple("due", &[(0, "24"), (1, "11")])
            .hset_multiple("held shard", &[("token", "7"), ("holder", "h")])
            .exec_async(&mut connection)
            .await
            .unwrap();
        let before = everything(&redis).await;
        for (ends, is_late) in [("1", true), ("9007199254740992", false)] {
            let mut call = redis::cmd("EVAL");
            call.arg(&source)
                .arg(keys.len())
                .arg(keys)
                .arg(arguments)
                .arg(ends);
            let answer: Value = call.query_async(&mut connection).await.unwrap();
            let said_late = answer == Value::BulkString(b"late".to_vec());
            assert_eq!(said_late, is_late, "{name} said {answer:?}");
            let is_unchanged = everything(&redis).await == before;
            assert_eq!(is_unchanged, is_late, "{name} until {ends}");
        }
    }
}

struct Frozen {
    redis: TestRedis,
    store: StockStore,
    calls_before: u64,
}

impl Frozen {
    /// A store whose connections and scripts were used, and a Redis that answers nobody.
    async fn after(first: impl AsyncFnOnce(&StockStore)) -> Self {
        let redis = TestRedis::start().unwrap();
        let timeout = format!("{}ms", SCRIPT_TIMEOUT.as_millis());
        let layers = Layers::default()
            .flag("redis.url", Some(redis.url()))
            .flag("redis.script_timeout", Some(timeout));
        let store = StockStore::open(&layers.load().unwrap().redis).unwrap();
        store.clock().sample().await.unwrap();
        first(&store).await;
        let calls_before = script_calls(&redis).await;
        redis.freeze(true).unwrap();
        Self {
            redis,
            store,
            calls_before,
        }
    }

    /// Redis goes on when nobody waits any more, and has come to this many calls.
    async fn go_on(&self, calls: u64) {
        tokio::time::sleep(2 * SCRIPT_TIMEOUT).await;
        self.redis.freeze(false).unwrap();
        let come_to = async {
            while script_calls(&self.redis).await < self.calls_before + calls {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), come_to)
            .await
            .unwrap();
    }
}

async fn script_calls(redis: &TestRedis) -> u64 {
    let mut info = redis::cmd("INFO");
    let mut connection = connection(redis).await;
    let text: String = info
        .arg("commandstats")
        .query_async(&mut connection)
        .await
        .unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let calls = line.and_then(|line| line.split(['=', ',']).nth(1));
    calls.map_or(0, |calls| calls.parse().unwrap())
}

#[tokio::test]
async fn a_right_to_a_call_that_is_granted_late_is_nobodys() {
    const LIVE: Share = Share {
        purpose: Purpose::Live,
        most: 16,
        kept_for_live: 4,
        gives_way: false,
    };
    let app = AppId::new("app", "contoso");
    let frozen = Frozen::after(async |store| {
        let gate = SharedThrottleGate::new(store.clone(), TENANT.clone());
        drop(gate.take(&app, LIVE).await.unwrap());
    })
    .await;
    let gate = SharedThrottleGate::new(frozen.store.clone(), TENANT.clone());
    let own = gate.take(&app, LIVE).await;
    assert!(own.is_some(), "this process' own part");
    frozen.go_on(1).await;
    let mut connection = connection(&frozen.redis).await;
    let under_way = async {
        loop {
            let calls: Vec<String> = redis::cmd("ZRANGE")
                .arg(["inv:budget:app:live", "0", "-1"].as_slice())
                .query_async(&mut connection)
                .await
                .unwrap();
            // The first one's end may be on its way yet.
            if calls.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let none_is_left = tokio::time::timeout(Duration::from_secs(5), under_way).await;
    assert!(none_is_left.is_ok(), "a call that nobody makes counts");
}

#[tokio::test]
async fn an_order_that_is_stored_late_holds_nothing() {
    let item = sku("A");
    let owner = HoldOwner::Order(HoldId::parse("O-1").unwrap());
    let swap = async |store: &StockStore, read| {
        let (records, held): (
            Vec<shared::redis_store::OrderText>,
            Vec<shared::redis_store::HeldSku>,
        ) = read;
        let one_piece = Hold {
            owner: owner.clone(),
            warehouse: WarehouseId::parse("11").unwrap(),
            quantity: Quantity::from(1),
            placed: AsOf::EPOCH,
            until: store.clock().not_before_now().plus(Duration::from_mins(30)),
            confirmed: None,
        };
        let record = records[0].becomes("{}".to_owned(), Duration::from_mins(30));
        let held = held[0].becomes(vec![one_piece]);
        store
            .swap_orders(&TENANT, &[record], &[held], PATIENCE)
            .await
    };
    let read = async |store: &StockStore| {
        store
            .read_orders(
                &TENANT,
                std::slice::from_ref(&owner),
                std::slice::from_ref(&item),
            )
            .await
            .unwrap()
    };
    let frozen = Frozen::after(async |store| {
        // The script is known to Redis, and the order is not there again.
        assert!(swap(store, read(store).await).await.unwrap());
        let (records, held) = read(store).await;
        let record = records[0].becomes("gone".to_owned(), Duration::from_millis(1));
        let held = held[0].becomes(Vec::new());
        assert!(
            store
                .swap_orders(&TENANT, &[record], &[held], Duration::from_secs(2))
                .await
                .unwrap()
        );
    })
    .await;
    let store = &frozen.store;
    // What was read before Redis froze is what it still holds.
    frozen.redis.freeze(false).unwrap();
    let before = read(store).await;
    frozen.redis.freeze(true).unwrap();
    let late = swap(store, before).await;
    assert!(matches!(late, Err(StoreError::TimedOut)), "{late:?}");
    frozen.go_on(1).await;
    let (records, held) = read(store).await;
    assert_eq!(records[0].text, None);
    assert_eq!(
        held[0].holds.as_deref(),
        Some([].as_slice()),
        "held for nobody"
    );
}

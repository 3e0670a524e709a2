//! The budget of calls that all replicas share, against a real Redis.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use shared::d365::{AppId, CallEnd, CallRight, Purpose, Share, ThrottleGate};
use shared::redis_store::test_server::TestRedis;
use shared::redis_store::{SharedThrottleGate, StockStore};
use shared::stock::TenantId;
use std::time::Duration;

const PREFETCH: Share = Share {
    purpose: Purpose::Prefetch,
    most: 16,
    kept_for_live: 4,
    gives_way: false,
};
const LIVE: Share = Share {
    purpose: Purpose::Live,
    ..PREFETCH
};

/// The gate of one process; each has a store of its own.
fn gate(redis: &TestRedis, tenant: &str) -> SharedThrottleGate {
    let store = StockStore::open(&redis.settings().unwrap()).unwrap();
    SharedThrottleGate::new(store, TenantId::parse(tenant).unwrap())
}

fn app() -> AppId {
    AppId::new("app", "contoso")
}

async fn take_all(gate: &SharedThrottleGate, share: Share) -> Vec<Box<dyn CallRight>> {
    let mut rights = Vec::new();
    while let Some(right) = gate.take(&app(), share).await {
        rights.push(right);
    }
    rights
}

async fn value(redis: &TestRedis, command: &[&str]) -> String {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut call = redis::cmd(command[0]);
    for word in &command[1..] {
        call.arg(word);
    }
    call.query_async::<Option<String>>(&mut connection)
        .await
        .unwrap()
        .unwrap_or_default()
}

/// Ends a call and waits until the end is noted.
async fn end(redis: &TestRedis, right: Box<dyn CallRight>, end: CallEnd, calls: &str) {
    let before: u64 = value(redis, &["ZCARD", calls]).await.parse().unwrap();
    right.end(end);
    let noted = async {
        while value(redis, &["ZCARD", calls]).await != (before - 1).to_string() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noted)
        .await
        .unwrap();
}

const CALLS: &str = "inv:budget:app:prefetch";

async fn limit(redis: &TestRedis) -> u32 {
    value(redis, &["HGET", "inv:budget:app", "limit"])
        .await
        .parse()
        .unwrap()
}

#[tokio::test]
async fn replicas_and_tenants_of_one_registration_share_one_budget() {
    let redis = TestRedis::start().unwrap();
    let (one, other) = (gate(&redis, "one"), gate(&redis, "other"));
    let held = one.take(&app(), PREFETCH).await.unwrap();
    let also_held = other.take(&app(), PREFETCH).await.unwrap();
    assert!(one.take(&app(), PREFETCH).await.is_none());
    assert!(other.take(&app(), PREFETCH).await.is_none());
    assert!(
        other
            .take(&AppId::new("its own", "contoso"), PREFETCH)
            .await
            .is_some(),
        "another registration has another budget"
    );
    end(&redis, held, CallEnd::Neither, CALLS).await;
    drop(also_held);
    assert!(other.take(&app(), PREFETCH).await.is_some());
}

#[tokio::test]
async fn it_rises_with_good_calls_of_anybody_and_halves_once_for_one_trouble() {
    let redis = TestRedis::start().unwrap();
    let gates = [gate(&redis, "one"), gate(&redis, "other")];
    for n in 0..20 * 14 {
        let right = gates[n % 2].take(&app(), PREFETCH).await.unwrap();
        end(&redis, right, CallEnd::Well, CALLS).await;
    }
    assert_eq!(limit(&redis).await, 12, "four of sixteen are kept for live");
    let rights = take_all(&gates[0], PREFETCH).await;
    assert_eq!(rights.len(), 12);
    for right in rights {
        end(&redis, right, CallEnd::Overload, CALLS).await;
    }
    assert_eq!(limit(&redis).await, 6);
    let right = gates[1].take(&app(), PREFETCH).await.unwrap();
    end(&redis, right, CallEnd::Overload, CALLS).await;
    assert_eq!(limit(&redis).await, 3);
}

#[tokio::test]
async fn live_calls_have_their_share_whatever_prefetching_does() {
    let redis = TestRedis::start().unwrap();
    let (worker, api) = (gate(&redis, "t"), gate(&redis, "t"));
    value(&redis, &["HSET", "inv:budget:app", "limit", "12"]).await;
    let pages = take_all(&worker, PREFETCH).await;
    let look_ups = take_all(&api, LIVE).await;
    assert_eq!((pages.len(), look_ups.len()), (12, 4));
    drop(look_ups);
    drop(pages);
    // Alone, live uses all there is; prefetching then waits.
    let look_ups = loop {
        let look_ups = take_all(&api, LIVE).await;
        if look_ups.len() == 16 {
            break look_ups;
        }
    };
    assert!(worker.take(&app(), PREFETCH).await.is_none());
    drop(look_ups);
}

#[tokio::test]
async fn what_gives_way_leaves_a_quarter_to_orders() {
    let redis = TestRedis::start().unwrap();
    let (one, other) = (gate(&redis, "t"), gate(&redis, "t"));
    let lists = Share {
        gives_way: true,
        ..LIVE
    };
    let held = take_all(&one, lists).await;
    assert_eq!(held.len(), 12);
    assert!(other.take(&app(), lists).await.is_none());
    assert_eq!(take_all(&other, LIVE).await.len(), 4);
}

#[tokio::test]
async fn a_call_of_a_killed_process_does_not_count_for_ever_and_a_long_one_does() {
    let redis = TestRedis::start().unwrap();
    let gate = gate(&redis, "t");
    let long = gate.take(&app(), PREFETCH).await.unwrap();
    // What a killed process left behind: nobody renews it.
    value(&redis, &["ZADD", CALLS, "1", "killed"]).await;
    let another = gate.take(&app(), PREFETCH).await;
    assert!(another.is_some());
    assert_eq!(value(&redis, &["ZCARD", CALLS]).await, "2");
    // The long one is kept: its end moves on.
    let id = value(
        &redis,
        &[
            "EVAL",
            "return redis.call('ZRANGE', KEYS[1], 0, 0)[1]",
            "1",
            CALLS,
        ],
    )
    .await;
    let first = value(&redis, &["ZSCORE", CALLS, &id]).await;
    let renewed = async {
        while value(&redis, &["ZSCORE", CALLS, &id]).await == first {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), renewed)
        .await
        .unwrap();
    drop(long);
}

#[tokio::test]
async fn while_redis_is_away_each_replica_takes_its_part() {
    let mut redis = TestRedis::start().unwrap();
    let gates: Vec<_> = (0..4).map(|_| gate(&redis, "t")).collect();
    value(&redis, &["HSET", "inv:budget:app", "limit", "12"]).await;
    // Each has called, and the last look of each knew of all.
    for _ in 0..2 {
        for gate in &gates {
            drop(gate.take(&app(), LIVE).await);
        }
    }
    redis.kill().unwrap();
    let mut live = Vec::new();
    for gate in &gates {
        live.extend(take_all(gate, LIVE).await);
    }
    assert_eq!(live.len(), 16, "a quarter of sixteen each");
    let mut pages = Vec::new();
    for gate in &gates {
        pages.extend(take_all(gate, PREFETCH).await);
    }
    assert_eq!(pages.len(), 8, "two each: alone, a process starts low");
}

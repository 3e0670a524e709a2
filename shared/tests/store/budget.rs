//! The budget of calls that all replicas share, against a real Redis.

use super::bench::Bench;
use shared::d365::{AppId, CallEnd, CallRight, Purpose, Share, ThrottleGate};
use shared::redis_store::SharedThrottleGate;
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
async fn gate(bench: &Bench, tenant: &str) -> SharedThrottleGate {
    let store = bench.other_store().await;
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

/// Ends a call and waits until the end is noted.
async fn end(bench: &Bench, right: Box<dyn CallRight>, end: CallEnd, calls: &str) {
    let before: u64 = bench.ask(&["ZCARD", calls]).await;
    right.end(end);
    let noted = async {
        while bench.ask::<u64>(&["ZCARD", calls]).await != before - 1 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noted)
        .await
        .unwrap();
}

const CALLS: &str = "inv:budget:app:prefetch";

async fn limit(bench: &Bench) -> u32 {
    bench.ask(&["HGET", "inv:budget:app", "limit"]).await
}

#[tokio::test]
async fn replicas_and_tenants_of_one_registration_share_one_budget() {
    let bench = Bench::start().await;
    let (one, other) = (gate(&bench, "one").await, gate(&bench, "other").await);
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
    end(&bench, held, CallEnd::Neither, CALLS).await;
    drop(also_held);
    assert!(other.take(&app(), PREFETCH).await.is_some());
}

#[tokio::test]
async fn it_rises_with_good_calls_of_anybody_and_halves_once_for_one_trouble() {
    let bench = Bench::start().await;
    let gates = [gate(&bench, "one").await, gate(&bench, "other").await];
    for n in 0..20 * 14 {
        let right = gates[n % 2].take(&app(), PREFETCH).await.unwrap();
        end(&bench, right, CallEnd::Well, CALLS).await;
    }
    assert_eq!(limit(&bench).await, 12, "four of sixteen are kept for live");
    let rights = take_all(&gates[0], PREFETCH).await;
    assert_eq!(rights.len(), 12);
    for right in rights {
        end(&bench, right, CallEnd::Overload, CALLS).await;
    }
    assert_eq!(limit(&bench).await, 6);
    let right = gates[1].take(&app(), PREFETCH).await.unwrap();
    end(&bench, right, CallEnd::Overload, CALLS).await;
    assert_eq!(limit(&bench).await, 3);
}

#[tokio::test]
async fn live_calls_have_their_share_whatever_prefetching_does() {
    let bench = Bench::start().await;
    let (worker, api) = (gate(&bench, "t").await, gate(&bench, "t").await);
    let _: i64 = bench.ask(&["HSET", "inv:budget:app", "limit", "12"]).await;
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
    let bench = Bench::start().await;
    let (one, other) = (gate(&bench, "t").await, gate(&bench, "t").await);
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
    let bench = Bench::start().await;
    let gate = gate(&bench, "t").await;
    let long = gate.take(&app(), PREFETCH).await.unwrap();
    // What a killed process left behind: nobody renews it.
    let _: i64 = bench.ask(&["ZADD", CALLS, "1", "killed"]).await;
    let another = gate.take(&app(), PREFETCH).await;
    assert!(another.is_some());
    assert_eq!(bench.ask::<u64>(&["ZCARD", CALLS]).await, 2);
    // The long one is kept: its end moves on.
    let ends = async || {
        bench
            .ask::<Vec<(String, f64)>>(&["ZRANGE", CALLS, "0", "0", "WITHSCORES"])
            .await
    };
    let first = ends().await;
    let renewed = async {
        while ends().await == first {
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
    let mut bench = Bench::start().await;
    let mut gates = Vec::new();
    for _ in 0..4 {
        gates.push(gate(&bench, "t").await);
    }
    let _: i64 = bench.ask(&["HSET", "inv:budget:app", "limit", "12"]).await;
    // Each has called, and the last look of each knew of all.
    for _ in 0..2 {
        for gate in &gates {
            drop(gate.take(&app(), LIVE).await);
        }
    }
    bench.redis.kill().unwrap();
    let mut live = Vec::new();
    for gate in &gates {
        live.extend(take_all(gate, LIVE).await);
    }
    assert_eq!(live.len(), 16, "a quarter of sixteen each");
    let mut pages = Vec::new();
    for gate in &gates {
        pages.extend(take_all(gate, PREFETCH).await);
    }
    assert_eq!(
        pages.len(),
        12,
        "a quarter of the twelve Redis knew of each"
    );
}

#[tokio::test]
async fn what_one_replica_must_wait_holds_for_all() {
    let mut bench = Bench::start().await;
    // Another replica, and for another company of the environment.
    let (one, other) = (gate(&bench, "t").await, gate(&bench, "second").await);
    let app = app();
    assert_eq!(other.wait_left(&app).await, None);
    one.close(&app, Duration::from_mins(1)).await;
    one.close(&app, Duration::from_secs(1)).await;
    let left = other.wait_left(&app).await.unwrap();
    assert!(left > Duration::from_secs(50) && left <= Duration::from_mins(1));
    let elsewhere = AppId::new("app", "contoso-test");
    assert_eq!(other.wait_left(&elsewhere).await, None);
    bench.redis.kill().unwrap();
    assert!(one.wait_left(&app).await.unwrap() > Duration::from_secs(50));
}

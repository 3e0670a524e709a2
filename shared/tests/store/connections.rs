//! A Redis that is away, frozen, or asked by callers who leave; and its clock.

use super::bench::{Bench, TENANT, WAREHOUSE, at, eventually, sku};
use shared::process::clock::Clock as _;
use shared::redis_store::{Reading, StockReader, StoreError};
use shared::stock::Sku;
use std::time::{Duration, Instant};

async fn read(reader: &StockReader, skus: &[Sku]) -> Result<Reading, StoreError> {
    let warehouses = std::slice::from_ref(&*WAREHOUSE);
    reader.read_many(&TENANT, warehouses, skus).await
}

#[tokio::test]
async fn a_redis_that_is_away_fails_fast_and_is_found_again() {
    let mut bench = Bench::start().await;
    let (reader, skus) = (bench.store.reader(), [sku("X")]);
    read(&reader, &skus).await.unwrap();
    bench.redis.kill().unwrap();
    let started = Instant::now();
    for _ in 0..50 {
        assert!(read(&reader, &skus).await.is_err());
        assert!(bench.store.ping().await.is_err());
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    bench.redis.restart().unwrap();
    let started = Instant::now();
    eventually(async || read(&reader, &skus).await.ok()).await;
    eventually(async || bench.store.ping().await.ok()).await;
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_frozen_redis_costs_one_time_limit_and_no_more() {
    let bench = Bench::start().await;
    let (reader, skus) = (bench.store.reader(), [sku("X")]);
    read(&reader, &skus).await.unwrap();
    bench.redis.freeze(true).unwrap();
    for _ in 0..5 {
        let started = Instant::now();
        let answer = read(&reader, &skus).await;
        assert!(matches!(
            answer,
            Err(StoreError::TimedOut | StoreError::Unavailable { .. })
        ));
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    bench.redis.freeze(false).unwrap();
    eventually(async || read(&reader, &skus).await.ok()).await;
}

/// What a demoted server refuses, the next primary takes.
#[tokio::test]
async fn a_connection_to_a_demoted_server_is_thrown_away() {
    let bench = Bench::start().await;
    let write = async || bench.store.note_low(&TENANT, &[(sku("X"), 1)]).await;
    let connections = async || {
        let clients: String = bench.ask(&["CLIENT", "LIST"]).await;
        let id = |line: &str| line.split(' ').next().map(str::to_owned);
        clients.lines().filter_map(id).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        write().await.unwrap();
    }
    let before = connections().await;
    let _: String = bench.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
    for _ in 0..2 {
        let refused = write().await.unwrap_err();
        assert!(matches!(&refused, StoreError::Refused { code, .. } if code == "READONLY"));
    }
    let _: String = bench.ask(&["REPLICAOF", "NO", "ONE"]).await;
    for _ in 0..2 {
        write().await.unwrap();
    }
    let after = connections().await;
    let kept = after.iter().filter(|id| before.contains(*id)).count();
    // The test's own, and the clock's.
    assert_eq!((kept, after.len()), (2, 4), "{before:?} {after:?}");
}

#[tokio::test]
async fn a_cancelled_caller_leaves_a_sound_connection() {
    let bench = Bench::start().await;
    let reader = bench.store.reader();
    let skus: Vec<_> = (0..200).map(|n| sku(&format!("S{n}"))).collect();
    for n in 0..200_u64 {
        // Dropped at different moments of the exchange.
        let time = Duration::from_micros(n * 20);
        let _ = tokio::time::timeout(time, read(&reader, &skus)).await;
        let _ = tokio::time::timeout(time, bench.store.ping()).await;
    }
    assert_eq!(read(&reader, &skus).await.unwrap().lines.len(), 200);
    bench.store.ping().await.unwrap();
}

/// Redis' own clock is between the two.
#[tokio::test]
async fn the_clock_is_never_ahead_and_its_bound_never_behind() {
    let bench = Bench::start().await;
    let clock = bench.store.clock();
    for pause_ms in [0_u64, 40, 0] {
        let pause = pause_ms.to_string();
        let _: String = bench.ask(&["CLIENT", "PAUSE", &pause, "ALL"]).await;
        clock.sample().await.unwrap();
        assert!(clock.is_shared());
        for _ in 0..50 {
            let ours = clock.now();
            let (seconds, micros): (i64, i64) = bench.ask(&["TIME"]).await;
            let theirs = at(seconds * 1_000 + micros / 1_000 - at(0).unix_ms());
            let bound = clock.not_before_now();
            assert!(ours <= theirs, "{ours} is ahead of {theirs}");
            assert!(bound >= theirs, "{bound} is behind {theirs}");
        }
        let bound = clock.now().plus(Duration::from_millis(pause_ms + 250));
        assert!(
            clock.not_before_now() < bound,
            "known to little more than the way"
        );
    }
}

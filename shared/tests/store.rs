//! The store against a real Redis: feeds, schedule, connections that go bad.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and measures real time"
)]

use shared::d365::{AppId, ThrottleGate};
use shared::process::clock::Clock;
use shared::redis_store::test_server::TestRedis;
use shared::redis_store::{
    Claimed, CycleEnd, Finished, ItemRange, LeaseLost, PublishedTenant, Sealed, ShardProgress,
    SharedThrottleGate, StockStore, StoreError, WorkerHeartbeat,
};
use shared::settings::Layers;
use shared::stock::{AsOf, Generation, Sku, SnapshotState, TenantId, WarehouseId};
use std::time::{Duration, Instant};

const LEASE: Duration = Duration::from_secs(30);

fn tenant() -> TenantId {
    TenantId::parse("t").unwrap()
}

fn warehouse() -> WarehouseId {
    WarehouseId::parse("24").unwrap()
}

async fn store(redis: &TestRedis) -> StockStore {
    let store = StockStore::open(&redis.settings().unwrap()).unwrap();
    store.clock().sample().await.unwrap();
    store
}

async fn connection(redis: &TestRedis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

fn at(ms: i64) -> AsOf {
    AsOf::from_unix_ms(1_700_000_000_000 + ms).unwrap()
}

fn end(generation: Generation, started: AsOf, rows: u64, sealed: Sealed) -> CycleEnd {
    let completed = started.plus(Duration::from_secs(1));
    CycleEnd {
        generation,
        started,
        completed,
        rows,
        pages: 1,
        borders: Vec::new(),
        next_due: completed,
        sealed,
    }
}

fn complete() -> Sealed {
    Sealed::Complete {
        hash: "abc".to_owned(),
    }
}

/// Opens a cycle of one part; what is left of another one is forgotten, as when it was evicted.
async fn open(store: &StockStore, started: AsOf) -> Generation {
    let (tenant, warehouse) = (tenant(), warehouse());
    store.forget_cycle(&tenant, &warehouse).await.unwrap();
    let warehouses = std::slice::from_ref(&warehouse);
    let seen = store.snapshots(&tenant, warehouses).await.unwrap()[0].generation;
    let ranges = ItemRange::between(&[]);
    store
        .open_cycle(&tenant, &warehouse, seen, started, &ranges, LEASE)
        .await
        .unwrap()
        .unwrap()
}

fn failed(error: &str) -> Finished {
    Finished::Failed {
        error: error.to_owned(),
    }
}

#[tokio::test]
async fn the_watermark_moves_with_complete_cycles_only() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    let reader = store.reader();
    let skus = [Sku::parse("X").unwrap()];
    let snapshot = async || {
        let warehouses = [warehouse()];
        let mut records = store.snapshots(&tenant(), &warehouses).await.unwrap();
        let record = records.remove(0);
        // A question is answered by some fields of the same record.
        let question = reader.read_many(&tenant(), &warehouses, &skus).await;
        assert_eq!(question.unwrap().feeds, [record.standing]);
        record
    };
    assert_eq!(snapshot().await.standing.state, SnapshotState::Cold);

    let first = open(&store, at(0)).await;
    assert_eq!(snapshot().await.standing.state, SnapshotState::Warming);
    let partial = Sealed::Partial {
        reason: "page 2: HTML".to_owned(),
    };
    assert!(
        store
            .seal(&tenant(), &warehouse(), &end(first, at(0), 10, partial))
            .await
            .unwrap()
    );
    let after = snapshot().await;
    assert_eq!(
        (after.standing.state, after.standing.watermark),
        (SnapshotState::Partial, None)
    );
    assert_eq!(after.reason.as_deref(), Some("page 2: HTML"));

    for (n, rows) in [(1, 100), (2, 110)] {
        let generation = open(&store, at(n)).await;
        let end = end(generation, at(n), rows, complete());
        assert!(store.seal(&tenant(), &warehouse(), &end).await.unwrap());
    }
    let after = snapshot().await;
    assert_eq!(after.standing.state, SnapshotState::Complete);
    assert_eq!(
        (after.standing.watermark, after.standing.previous_watermark),
        (Some(at(2)), Some(at(1)))
    );
    assert_eq!((after.reason, after.recent_rows), (None, vec![110, 100]));
    assert_eq!(
        (after.generation, after.hash.as_deref()),
        (Generation(3), Some("abc"))
    );
}

#[tokio::test]
async fn a_watermark_of_a_clock_that_was_put_right_gives_way() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    for started in [at(30_000), at(40_000), at(1)] {
        let generation = open(&store, started).await;
        let end = end(generation, started, 10, complete());
        assert!(store.seal(&tenant(), &warehouse(), &end).await.unwrap());
    }
    let warehouses = [warehouse()];
    let record = store
        .snapshots(&tenant(), &warehouses)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (
            record.standing.watermark,
            record.standing.previous_watermark
        ),
        (Some(at(1)), None)
    );
}

#[tokio::test]
async fn a_cycle_that_was_overtaken_cannot_seal() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    let old = open(&store, at(0)).await;
    let new = open(&store, at(5)).await;
    assert!(
        !store
            .seal(&tenant(), &warehouse(), &end(old, at(0), 1, complete()))
            .await
            .unwrap()
    );
    assert!(
        store
            .seal(&tenant(), &warehouse(), &end(new, at(5), 1, complete()))
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_cycle_from_before_redis_was_emptied_cannot_seal() {
    let mut redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    let before = open(&store, at(0)).await;
    redis.restart().unwrap();
    let after = {
        eventually(async || store.ping().await.ok()).await;
        open(&store, at(9)).await
    };
    assert_eq!(before, after, "generations begin again");
    let old = end(before, at(0), 10, complete());
    assert!(!store.seal(&tenant(), &warehouse(), &old).await.unwrap());
    let record = store
        .snapshots(&tenant(), &[warehouse()])
        .await
        .unwrap()
        .remove(0);
    assert_eq!(record.standing.watermark, None);
}

#[tokio::test]
async fn a_shard_has_one_holder_until_its_lease_ends() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    let shards = ["11".to_owned(), "24".to_owned()];
    assert_eq!(store.ensure_scheduled(&tenant(), &shards).await.unwrap(), 2);
    assert_eq!(store.ensure_scheduled(&tenant(), &shards).await.unwrap(), 0);
    let claim = async |holder, lease| store.claim(&tenant(), holder, lease).await.unwrap();
    let Claimed::Shard(first) = claim("a", LEASE).await else {
        panic!("nothing due")
    };
    let Claimed::Shard(second) = claim("b", LEASE).await else {
        panic!("nothing due")
    };
    assert_ne!(first.shard, second.shard);
    assert!(matches!(
        claim("c", LEASE).await,
        Claimed::NothingDue {
            next_due_in: Some(_)
        }
    ));

    let done = store
        .finish(&tenant(), &first, Duration::from_mins(15), &Finished::Well)
        .await
        .unwrap();
    assert_eq!(done, Ok(0));
    let again = store
        .finish(&tenant(), &first, Duration::ZERO, &Finished::Well)
        .await
        .unwrap();
    assert_eq!(again, Err(LeaseLost));

    let failed = store
        .finish(&tenant(), &second, Duration::ZERO, &failed("no token"))
        .await
        .unwrap();
    assert_eq!(failed, Ok(1));
    let record = store.shard_record(&tenant(), &second.shard).await.unwrap();
    assert_eq!(
        (record.failures, record.last_error.as_deref()),
        (1, Some("no token"))
    );
    assert_eq!(record.holder, None);
}

#[tokio::test]
async fn a_silent_holder_loses_its_shard_and_cannot_come_back() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    store
        .ensure_scheduled(&tenant(), &["24".to_owned()])
        .await
        .unwrap();
    let claim = async |holder, lease| store.claim(&tenant(), holder, lease).await.unwrap();
    let Claimed::Shard(silent) = claim("silent", Duration::from_millis(1)).await else {
        panic!()
    };
    let Claimed::Shard(other) = eventually(async || match claim("other", LEASE).await {
        claimed @ Claimed::Shard(_) => Some(claimed),
        Claimed::NothingDue { .. } => None,
    })
    .await
    else {
        panic!()
    };
    assert_eq!(
        store.extend(&tenant(), &silent, LEASE, None).await.unwrap(),
        Err(LeaseLost)
    );
    let progress = ShardProgress {
        rows: 7,
        cursor: " A'1".to_owned(),
        notes: "{}".to_owned(),
    };
    let late = store
        .finish(&tenant(), &silent, Duration::ZERO, &Finished::Well)
        .await
        .unwrap();
    assert_eq!(late, Err(LeaseLost));
    assert_eq!(
        store
            .extend(&tenant(), &other, LEASE, Some(&progress))
            .await
            .unwrap(),
        Ok(())
    );
    let record = store.shard_record(&tenant(), "24").await.unwrap();
    assert_eq!((record.holder.as_deref(), record.rows), (Some("other"), 7));
    assert_eq!(record.cursor.as_deref(), Some(" A'1"));
}

#[tokio::test]
async fn a_refresh_asked_for_while_a_shard_is_held_is_not_forgotten() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    store
        .ensure_scheduled(&tenant(), &["24".to_owned()])
        .await
        .unwrap();
    let Claimed::Shard(claim) = store.claim(&tenant(), "a", LEASE).await.unwrap() else {
        panic!()
    };
    store.make_due(&tenant(), "24").await.unwrap();
    assert!(matches!(
        store.claim(&tenant(), "b", LEASE).await.unwrap(),
        Claimed::NothingDue { .. }
    ));
    store
        .finish(&tenant(), &claim, Duration::from_mins(15), &Finished::Well)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(
        store.claim(&tenant(), "b", LEASE).await.unwrap(),
        Claimed::Shard(_)
    ));
}

#[tokio::test]
async fn a_shard_of_ones_own_is_claimed_whatever_else_is_due_before_it() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    let claim = async || {
        store
            .claim_shard(&tenant(), "~asked", "a", LEASE)
            .await
            .unwrap()
    };
    assert_eq!(claim().await, Claimed::NothingDue { next_due_in: None });
    store
        .ensure_scheduled(&tenant(), &["24".to_owned(), "~asked".to_owned()])
        .await
        .unwrap();
    let Claimed::Shard(first) = claim().await else {
        panic!()
    };
    assert_eq!(first.shard, "~asked");
    let held = claim().await;
    assert!(
        matches!(held, Claimed::NothingDue { next_due_in: Some(time) } if time <= LEASE),
        "{held:?}"
    );
    store
        .finish(&tenant(), &first, Duration::ZERO, &Finished::Well)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(claim().await, Claimed::Shard(_)));
}

#[tokio::test]
async fn what_is_published_comes_back_as_settings_without_a_secret() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.toml");
    let file = r#"
[[tenants]]
id = "contoso"
environment_url = "https://contoso.operations.dynamics.com"
legal_entity = "usmf"
warehouses = ["11", "2,4"]
refresh_interval = "90s"
sku_mapping = "{ItemNumber}-{ProductColorId}"
fields = { ordered = "MyOrdered" }
[tenants.entra]
tenant_id = "directory"
client_id = "app"
client_secret = "c4n4ry"
"#;
    std::fs::write(&path, file).unwrap();
    let settings = Layers::default().file(Some(&path)).load().unwrap();
    let tenant = &settings.tenants[0];
    store.publish(&PublishedTenant::of(tenant)).await.unwrap();
    let published = store.published_tenants().await.unwrap();
    assert_eq!(published.len(), 1);
    assert!(!format!("{published:?}").contains("c4n4ry"));
    let back = published[0].with_sign_in(&tenant.entra).unwrap();
    assert_eq!(back.warehouses, tenant.warehouses);
    assert_eq!(back.refresh_interval, Duration::from_secs(90));
    assert_eq!(back.fields.ordered, "MyOrdered");
    assert_eq!(back.sku_mapping, tenant.sku_mapping);
    assert_eq!(back.environment_url, tenant.environment_url);
}

/// Anybody may have written them: foreign fields count for nothing, and a record that cannot be read
/// hides no other.
#[tokio::test]
async fn of_what_is_published_only_what_a_prefetcher_publishes_is_read() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    let good = r#"
[[tenants]]
id = "good"
environment_url = "https://contoso.operations.dynamics.com"
legal_entity = "usmf"
warehouses = ["11"]
[tenants.entra]
tenant_id = "directory"
client_id = "app"
client_secret = "secret"
"#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.toml");
    std::fs::write(&path, good).unwrap();
    let settings = Layers::default().file(Some(&path)).load().unwrap();
    let tenant = &settings.tenants[0];
    store.publish(&PublishedTenant::of(tenant)).await.unwrap();
    let mut connection = connection(&redis).await;
    let mut rubbish = redis::pipe();
    for (field, value) in [
        ("ca_file", "/dev/zero"),
        ("paging", "next-link"),
        ("entra", "{\"authority\":\"http://127.0.0.1:1\"}"),
        ("proxy", "http://127.0.0.1:1"),
    ] {
        rubbish.hset("inv:good:config", field, value);
    }
    rubbish.sadd("inv:tenants", &[0xff_u8, 0xfe][..]);
    for id in [
        "a-string",
        "bytes",
        "long",
        "nothing",
        "no id: too \u{1b} strange",
    ] {
        rubbish.sadd("inv:tenants", id);
    }
    rubbish.set("inv:a-string:config", "no hash");
    rubbish.hset("inv:bytes:config", "warehouses", &[0xff_u8][..]);
    rubbish.hset("inv:long:config", "warehouses", "9".repeat(1_000_000));
    rubbish.exec_async(&mut connection).await.unwrap();
    let published = store.published_tenants().await.unwrap();
    let shown = format!("{published:?}");
    assert_eq!(published.len(), 1, "{}", &shown[..1_000.min(shown.len())]);
    let back = published[0].with_sign_in(&tenant.entra).unwrap();
    assert_eq!((&back.ca_file, back.paging), (&None, tenant.paging));
    assert_eq!(back.entra.authority, tenant.entra.authority);
}

#[tokio::test]
async fn workers_come_and_go() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    let worker = WorkerHeartbeat {
        id: "w1".to_owned(),
        version: "0.1.0".to_owned(),
        host: "host".to_owned(),
        started: "2026-11-23T04:53:56.123Z".to_owned(),
        settings: vec![(tenant(), "00000000000000aa".parse().unwrap())],
        shards: vec!["contoso/24".to_owned()],
        rows_per_second: 9_000,
    };
    store.beat(&worker, store.clock().now()).await.unwrap();
    let mut rubbish = redis::pipe();
    rubbish.zadd("inv:workers", "string", 9e15);
    rubbish.set("inv:worker:string", "no hash");
    rubbish.zadd("inv:workers", &[0xff_u8][..], 9e15);
    rubbish
        .exec_async(&mut connection(&redis).await)
        .await
        .unwrap();
    assert_eq!(store.workers().await.unwrap(), [worker]);
    let mut large = redis::pipe();
    large.zadd("inv:workers", "large", 9e15);
    large.hset("inv:worker:large", "host", "h".repeat(1_000_000));
    large.hset("inv:worker:large", "shards", "s,".repeat(1_000_000));
    large.hset("inv:worker:large", "version", &[0xff_u8][..]);
    large
        .exec_async(&mut connection(&redis).await)
        .await
        .unwrap();
    let known = store.workers().await.unwrap();
    let told = known.iter().map(|worker| format!("{worker:?}").len());
    assert!(known.len() == 2 && told.sum::<usize>() < 64 * 1024);
    for id in ["w1", "large"] {
        store.leave(id).await.unwrap();
    }
    assert_eq!(store.workers().await.unwrap(), []);
}

#[tokio::test]
async fn the_clock_is_redis_and_never_ahead_of_it() {
    let redis = TestRedis::start().unwrap();
    let store = StockStore::open(&redis.settings().unwrap()).unwrap();
    assert!(!store.clock().is_shared());
    for _ in 0..20 {
        store.clock().sample().await.unwrap();
        let ours = store.clock().now();
        let theirs = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let theirs = i64::try_from(theirs.as_millis()).unwrap();
        assert!(
            (theirs - 250..=theirs).contains(&ours.unix_ms()),
            "{} {theirs}",
            ours.unix_ms()
        );
    }
    assert!(store.clock().is_shared());
}

#[tokio::test]
async fn a_redis_that_is_away_fails_fast_and_is_found_again() {
    let mut redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    let reader = store.reader();
    let read = async || {
        let skus = [Sku::parse("X").unwrap()];
        reader.read_many(&tenant(), &[warehouse()], &skus).await
    };
    read().await.unwrap();
    redis.kill().unwrap();
    let started = Instant::now();
    for _ in 0..50 {
        assert!(read().await.is_err());
    }
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    redis.restart().unwrap();
    let started = Instant::now();
    eventually(async || read().await.ok()).await;
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_frozen_redis_costs_one_time_limit_and_no_more() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    let reader = store.reader();
    let skus = [Sku::parse("X").unwrap()];
    let warehouses = [warehouse()];
    reader
        .read_many(&tenant(), &warehouses, &skus)
        .await
        .unwrap();
    redis.freeze(true).unwrap();
    for _ in 0..5 {
        let started = Instant::now();
        let answer = reader.read_many(&tenant(), &warehouses, &skus).await;
        assert!(matches!(
            answer,
            Err(StoreError::TimedOut | StoreError::Unavailable { .. })
        ));
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "{:?}",
            started.elapsed()
        );
    }
    redis.freeze(false).unwrap();
    eventually(async || reader.read_many(&tenant(), &warehouses, &skus).await.ok()).await;
}

#[tokio::test]
async fn a_cancelled_caller_leaves_a_sound_connection() {
    let redis = TestRedis::start().unwrap();
    let store = store(&redis).await;
    let reader = store.reader();
    let skus: Vec<_> = (0..200)
        .map(|n| Sku::parse(format!("S{n}")).unwrap())
        .collect();
    let (tenant, warehouses) = (tenant(), [warehouse()]);
    for n in 0..200_u64 {
        // Dropped at different moments of the exchange.
        let read = reader.read_many(&tenant, &warehouses, &skus);
        let _ = tokio::time::timeout(Duration::from_micros(n * 20), read).await;
        let _ = tokio::time::timeout(Duration::from_micros(n * 20), store.ping()).await;
    }
    let reading = reader.read_many(&tenant, &warehouses, &skus).await.unwrap();
    assert_eq!(reading.lines.len(), 200);
    store.ping().await.unwrap();
}

/// Tries until it gives something, at most ten seconds.
async fn eventually<T>(attempt: impl AsyncFn() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(value) = attempt().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), trying)
        .await
        .expect("in time")
}

#[tokio::test]
async fn what_one_replica_was_told_holds_for_all() {
    let mut redis = TestRedis::start().unwrap();
    let gate = async |tenant: &str| {
        let tenant = TenantId::parse(tenant).unwrap();
        SharedThrottleGate::new(store(&redis).await, tenant)
    };
    // Another replica, and for another company of the environment.
    let (one, other) = (gate("t").await, gate("second").await);
    let app = AppId::new("app", "contoso");
    assert_eq!(other.wait_left(&app).await, None);
    one.close(&app, Duration::from_mins(1)).await;
    one.close(&app, Duration::from_secs(1)).await;
    let left = other.wait_left(&app).await.unwrap();
    assert!(
        left > Duration::from_secs(55) && left <= Duration::from_mins(1),
        "{left:?}"
    );
    let elsewhere = AppId::new("app", "contoso-test");
    assert_eq!(other.wait_left(&elsewhere).await, None);
    redis.kill().unwrap();
    assert!(one.wait_left(&app).await.unwrap() > Duration::from_secs(50));
}

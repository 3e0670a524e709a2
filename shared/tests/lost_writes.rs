//! What was written before Redis was replaced may be gone: nothing from before may vouch for it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use shared::redis_store::test_server::TestRedis;
use shared::redis_store::{
    Claim, Claimed, CycleEnd, ItemRange, LeaseLost, Sealed, StockStore, StoreError,
};
use shared::stock::{AsOf, Generation, TenantId, WarehouseId};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(30);

fn tenant() -> TenantId {
    TenantId::parse("t").unwrap()
}

fn warehouse() -> WarehouseId {
    WarehouseId::parse("24").unwrap()
}

fn started() -> AsOf {
    AsOf::from_unix_ms(1_700_000_000_000).unwrap()
}

async fn command(redis: &TestRedis, words: &[&str]) {
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async::<()>(&mut connection).await.unwrap();
}

async fn claim(store: &StockStore, holder: &str) -> Claim {
    store
        .ensure_scheduled(&tenant(), &["24".to_owned()])
        .await
        .unwrap();
    match store.claim(&tenant(), holder, LEASE).await.unwrap() {
        Claimed::Shard(claim) => claim,
        Claimed::NothingDue { next_due_in } => panic!("nothing is due before {next_due_in:?}"),
    }
}

fn end(sealed: Sealed) -> CycleEnd {
    CycleEnd {
        generation: Generation(1),
        started: started(),
        completed: started().plus(Duration::from_secs(1)),
        rows: 10,
        pages: 1,
        next_due: started().plus(Duration::from_mins(15)),
        sealed,
        borders: Vec::new(),
    }
}

#[tokio::test]
async fn a_cycle_under_which_redis_was_replaced_cannot_be_complete() {
    let redis = TestRedis::start().unwrap();
    let store = StockStore::open(&redis.settings().unwrap()).unwrap();
    claim(&store, "a").await;
    let ranges = ItemRange::between(&[]);
    let (tenant, warehouse, seen) = (tenant(), warehouse(), Generation(0));
    let opened = store
        .open_cycle(&tenant, &warehouse, seen, started(), &ranges, LEASE)
        .await;
    assert_eq!(opened, Ok(Some(Generation(1))));
    // A replica that takes over.
    command(&redis, &["REPLICAOF", "127.0.0.1", "1"]).await;
    command(&redis, &["REPLICAOF", "NO", "ONE"]).await;

    let complete = Sealed::Complete {
        hash: "abc".to_owned(),
    };
    let sealed = store.seal(&tenant, &warehouse, &end(complete)).await;
    assert_eq!(sealed, Err(StoreError::Replaced));
    let records = store
        .snapshots(&tenant, std::slice::from_ref(&warehouse))
        .await
        .unwrap();
    assert_eq!(records[0].standing.watermark, None);

    let partial = Sealed::Partial {
        reason: StoreError::Replaced.to_string(),
    };
    let sealed = store.seal(&tenant, &warehouse, &end(partial)).await;
    assert_eq!(sealed, Ok(true));
}

#[tokio::test]
async fn a_token_from_before_is_not_one_of_today() {
    let redis = TestRedis::start().unwrap();
    let store = StockStore::open(&redis.settings().unwrap()).unwrap();
    let before = claim(&store, "a").await;
    command(&redis, &["FLUSHALL"]).await;
    let today = claim(&store, "b").await;
    assert_ne!(before.token, today.token);
    let extended = store.extend(&tenant(), &before, LEASE, None).await.unwrap();
    assert_eq!(extended, Err(LeaseLost));
    let extended = store.extend(&tenant(), &today, LEASE, None).await.unwrap();
    assert_eq!(extended, Ok(()));
}

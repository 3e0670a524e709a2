//! What is due, and who has it.

use super::bench::{Bench, LEASE, TENANT, eventually};
use shared::redis_store::{Claimed, Finished, LeaseLost, ShardProgress};
use std::time::Duration;

fn progress() -> ShardProgress {
    ShardProgress {
        rows: 7,
        cursor: " A'1".to_owned(),
        notes: "{\"rows\":7}".to_owned(),
    }
}

#[tokio::test]
async fn a_shard_has_one_holder_until_its_lease_ends() {
    let bench = Bench::start().await;
    assert_eq!(bench.schedule(&["11", "24"]).await, 2);
    assert_eq!(bench.schedule(&["11", "24"]).await, 0);
    let first = bench.claim("a", LEASE).await.unwrap();
    let second = bench.claim("b", LEASE).await.unwrap();
    assert_ne!(first.shard, second.shard);
    assert!(matches!(
        bench.store.claim(&TENANT, "c", LEASE).await.unwrap(),
        Claimed::NothingDue {
            next_due_in: Some(_)
        }
    ));
    let finish = async |claim, how: &Finished| {
        let next = Duration::from_mins(15);
        bench.store.finish(&TENANT, claim, next, how).await.unwrap()
    };
    assert_eq!(finish(&first, &Finished::Well).await, Ok(0));
    assert_eq!(finish(&first, &Finished::Well).await, Err(LeaseLost));
    let error = "no token".to_owned();
    assert_eq!(finish(&second, &Finished::Failed { error }).await, Ok(1));
    let record = bench.store.shard_record(&TENANT, &second.shard).await;
    let record = record.unwrap();
    assert_eq!(
        (record.failures, record.last_error.as_deref()),
        (1, Some("no token"))
    );
    assert_eq!(record.holder, None);
}

#[tokio::test]
async fn a_silent_holder_loses_its_shard_and_cannot_come_back() {
    let bench = Bench::start().await;
    bench.schedule(&["24"]).await;
    let silent = bench
        .claim("silent", Duration::from_millis(1))
        .await
        .unwrap();
    let other = eventually(async || bench.claim("other", LEASE).await).await;
    let store = &bench.store;
    let extended = store.extend(&TENANT, &silent, LEASE, None).await;
    assert_eq!(extended.unwrap(), Err(LeaseLost));
    let late = store
        .finish(&TENANT, &silent, Duration::ZERO, &Finished::Well)
        .await;
    assert_eq!(late.unwrap(), Err(LeaseLost));
    let extended = store
        .extend(&TENANT, &other, LEASE, Some(&progress()))
        .await;
    assert_eq!(extended.unwrap(), Ok(()));
    let record = store.shard_record(&TENANT, "24").await.unwrap();
    assert_eq!((record.holder.as_deref(), record.rows), (Some("other"), 7));
    assert_eq!(record.cursor.as_deref(), Some(" A'1"));
}

#[tokio::test]
async fn a_token_from_before_redis_lost_its_data_is_not_one_of_today() {
    let bench = Bench::start().await;
    bench.schedule(&["24"]).await;
    let before = bench.claim("a", LEASE).await.unwrap();
    let _: String = bench.ask(&["FLUSHALL"]).await;
    bench.schedule(&["24"]).await;
    let today = bench.claim("b", LEASE).await.unwrap();
    assert_ne!(before.token, today.token);
    for (claim, extended) in [(before, Err(LeaseLost)), (today, Ok(()))] {
        let answer = bench.store.extend(&TENANT, &claim, LEASE, None).await;
        assert_eq!(answer.unwrap(), extended);
    }
}

#[tokio::test]
async fn a_refresh_asked_for_while_a_shard_is_held_is_not_forgotten() {
    let bench = Bench::start().await;
    bench.schedule(&["24"]).await;
    let claim = bench.claim("a", LEASE).await.unwrap();
    bench.store.make_due(&TENANT, "24").await.unwrap();
    assert_eq!(bench.claim("b", LEASE).await, None);
    let next = Duration::from_mins(15);
    let done = bench.store.finish(&TENANT, &claim, next, &Finished::Well);
    done.await.unwrap().unwrap();
    assert!(bench.claim("b", LEASE).await.is_some());
}

#[tokio::test]
async fn a_shard_of_ones_own_is_claimed_whatever_else_is_due_before_it() {
    let bench = Bench::start().await;
    let claim = async || {
        let claimed = bench.store.claim_shard(&TENANT, "~asked", "a", LEASE);
        claimed.await.unwrap()
    };
    assert_eq!(claim().await, Claimed::NothingDue { next_due_in: None });
    bench.schedule(&["24", "~asked"]).await;
    let Claimed::Shard(first) = claim().await else {
        panic!()
    };
    assert_eq!(first.shard, "~asked");
    let held = claim().await;
    assert!(
        matches!(held, Claimed::NothingDue { next_due_in: Some(time) } if time <= LEASE),
        "{held:?}"
    );
    let done = bench
        .store
        .finish(&TENANT, &first, Duration::ZERO, &Finished::Well);
    done.await.unwrap().unwrap();
    assert!(matches!(claim().await, Claimed::Shard(_)));
}

#[tokio::test]
async fn whoever_goes_on_reads_the_notes_of_this_version_only() {
    let bench = Bench::start().await;
    bench.schedule(&["24#1/1"]).await;
    let first = bench.claim("a", LEASE).await.unwrap();
    let store = &bench.store;
    let extended = store
        .extend(&TENANT, &first, LEASE, Some(&progress()))
        .await;
    assert_eq!(extended.unwrap(), Ok(()));
    assert_eq!(store.put_back(&TENANT, &first).await.unwrap(), Ok(()));
    assert_eq!(
        store.put_back(&TENANT, &first).await.unwrap(),
        Err(LeaseLost)
    );

    let next = bench.claim("b", LEASE).await.unwrap();
    let record = store.shard_record(&TENANT, &next.shard).await.unwrap();
    assert_eq!(record.cursor.as_deref(), Some(" A'1"));
    assert_eq!(record.notes.as_deref(), Some("{\"rows\":7}"));
    assert_eq!((record.rows, record.taken), (7, 1));
    assert_eq!(record.holder.as_deref(), Some("b"));
    assert_eq!(store.put_back(&TENANT, &next).await.unwrap(), Ok(()));

    // A worker with another rule for names had it meanwhile: its lines stand elsewhere.
    let _: i64 = bench
        .ask(&["HSET", "inv:t:shard:24#1/1", "token", "1"])
        .await;
    bench.claim("c", LEASE).await.unwrap();
    let record = store.shard_record(&TENANT, "24#1/1").await.unwrap();
    assert_eq!((record.cursor, record.notes, record.rows), (None, None, 0));
}

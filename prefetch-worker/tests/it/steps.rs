//! What a worker's steps do to a warehouse.

use crate::bench::{bench, cycle, is_complete, settings, tenant};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, RetryAfter, ThrottleBody};
use prefetch_worker::{CycleOutcome, Poller, Step, Worker};
use shared::process::shutdown::Shutdown;
use shared::redis_store::{Claimed, Sealed};
use shared::stock::WarehouseId;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_due_warehouse_is_read_once_an_interval() {
    let bench = bench().await;
    let mut poller = Poller::new(bench.worker.clone(), 0);
    let first = cycle(&mut poller).await;
    assert!(is_complete(&first), "{first:?}");
    assert!(matches!(poller.step().await, Step::NothingDue(_)));
    let record = bench
        .worker
        .store
        .shard_record(&tenant(), "24")
        .await
        .unwrap();
    assert_eq!((record.holder, record.failures), (None, 0));
    // A refresh that was asked for makes it due again.
    bench.worker.store.make_due(&tenant(), "24").await.unwrap();
    assert!(is_complete(&cycle(&mut poller).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_stock_has_the_same_hash_and_other_stock_another() {
    use d365_simulator::{StockChange, StockKey};
    let bench = bench().await;
    let mut hashes = Vec::new();
    for round in 0..3 {
        if round == 2 {
            let key = StockKey::of("usmf", "HASHED", "24");
            bench
                .d365
                .simulator()
                .put_stock(&key, &StockChange::on_hand("1"))
                .unwrap();
        }
        bench.worker.store.make_due(&tenant(), "24").await.unwrap();
        let step = cycle(&mut Poller::new(bench.worker.clone(), 0)).await;
        assert!(is_complete(&step), "{step:?}");
        hashes.push(bench.redis_cli(&["HGET", "inv:contoso:snapshot:24", "hash"]));
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[1], hashes[2]);
    assert_eq!(hashes[0].len(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_lease_leaves_the_end_to_the_other() {
    let bench = bench().await;
    let step = bench.slow_step(Duration::from_secs(4)).await;
    // The lease ends early, as after a pause of the whole machine, and another worker takes over.
    bench.redis_cli(&["ZADD", "inv:contoso:due", "0", "24#1/1"]);
    let other = bench
        .worker
        .store
        .claim(&tenant(), "other", Duration::from_secs(30))
        .await
        .unwrap();
    assert!(matches!(other, Claimed::Shard(_)), "{other:?}");
    assert_eq!(step.await.unwrap(), Step::Done(CycleOutcome::LeaseLost));
    let record = bench
        .worker
        .store
        .shard_record(&tenant(), "24#1/1")
        .await
        .unwrap();
    assert_eq!(record.holder.as_deref(), Some("other"));
    assert_eq!(
        bench.redis_cli(&["HGET", "inv:contoso:snapshot:24", "state"]),
        "warming"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_the_page_and_another_worker_reads_on_from_there() {
    let mut bench = bench().await;
    // Pages of ten rows: the stop comes between two of them.
    let mut small = (*bench.worker.settings).clone();
    small.page_size = 10;
    bench.worker.settings = std::sync::Arc::new(small.clone());
    let step = bench.slow_step(Duration::from_millis(300)).await;
    bench.worker.shutdown.begin();
    assert_eq!(step.await.unwrap(), Step::Done(CycleOutcome::Stopped));
    let record = bench
        .worker
        .store
        .shard_record(&tenant(), "24#1/1")
        .await
        .unwrap();
    assert_eq!(record.holder, None);
    assert!(record.rows > 0, "{record:?}");
    let cursor = record.cursor.unwrap();
    let before = bench.pages().len();

    let mut next =
        Worker::build(&settings(&bench.redis, &bench.d365, ""), Shutdown::new()).unwrap();
    next.settings = std::sync::Arc::new(small);
    next.clock().sample().await.unwrap();
    let step = cycle(&mut Poller::new(next, 0)).await;
    assert!(is_complete(&step), "{step:?}");
    let pages = bench.pages();
    assert!(
        pages[before].contains(&format!("ItemNumber gt '{cursor}'")),
        "{} {cursor}",
        pages[before]
    );
    let truth = bench.truth();
    assert!(
        matches!(&step, Step::Done(CycleOutcome::Sealed(end)) if end.rows == truth),
        "{truth} {step:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_is_split_by_the_time_it_took_and_the_parts_are_the_whole() {
    let mut bench = bench().await;
    let mut small = (*bench.worker.settings).clone();
    small.page_size = 10;
    small.shard_time = Duration::from_millis(100);
    bench.worker.settings = std::sync::Arc::new(small);
    let slow = Action::Delay {
        ms: 50,
        at: DelayPoint::AfterRead,
    };
    bench
        .d365
        .simulator()
        .add_fault(FaultSpec::on(Kind::Page, slow));
    let mut poller = Poller::new(bench.worker.clone(), 0);
    let whole = cycle(&mut poller).await;
    let Step::Done(CycleOutcome::Sealed(whole)) = whole else {
        panic!("{whole:?}")
    };
    assert!(!whole.borders.is_empty());
    bench.worker.store.make_due(&tenant(), "24").await.unwrap();
    let opened = poller.step().await;
    let parts = whole.borders.len() + 1;
    assert!(
        matches!(opened, Step::Done(CycleOutcome::Opened { parts: p, .. }) if p == parts),
        "{opened:?}"
    );
    let in_parts = cycle(&mut poller).await;
    let Step::Done(CycleOutcome::Sealed(in_parts)) = in_parts else {
        panic!("{in_parts:?}")
    };
    assert_eq!((whole.rows, in_parts.rows), (bench.truth(), bench.truth()));
    assert_eq!(
        whole.sealed, in_parts.sealed,
        "the same lines, the same hash"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_nobody_gets_on_with_is_given_up_and_the_cycle_says_so() {
    let bench = bench().await;
    let mut poller = Poller::new(bench.worker.clone(), 0);
    let opened = poller.step().await;
    assert!(matches!(opened, Step::Done(CycleOutcome::Opened { .. })));
    bench.redis_cli(&["HSET", "inv:contoso:shard:24#1/1", "taken", "5"]);
    let sealed = cycle(&mut poller).await;
    let Step::Done(CycleOutcome::Sealed(end)) = sealed else {
        panic!("{sealed:?}")
    };
    assert!(
        matches!(&end.sealed, Sealed::Partial { reason } if reason.contains("taken 5 times")),
        "{end:?}"
    );
    assert!(bench.pages().is_empty(), "it was not tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_during_a_cycle_ends_it_and_the_next_one_is_whole() {
    let mut bench = bench().await;
    let step = bench.slow_step(Duration::from_millis(500)).await;
    bench.redis.kill().unwrap();
    let step = step.await.unwrap();
    assert!(
        matches!(step, Step::Done(CycleOutcome::StoreFailed(_))),
        "{step:?}"
    );
    bench.redis.restart().unwrap();
    bench
        .worker
        .store
        .ensure_scheduled(&tenant(), &["24".to_owned()])
        .await
        .unwrap();
    let mut poller = Poller::new(bench.worker.clone(), 0);
    assert!(is_complete(&cycle(&mut poller).await));
    let warehouse = WarehouseId::parse("24").unwrap();
    let feed = bench
        .worker
        .store
        .snapshots(&tenant(), &[warehouse])
        .await
        .unwrap()
        .remove(0);
    assert!(feed.standing.watermark.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_warehouse_backs_off_and_shows_why() {
    let bench = bench().await;
    bench
        .d365
        .simulator()
        .add_fault(FaultSpec::on(Kind::Page, Action::Forbidden));
    let mut poller = Poller::new(bench.worker.clone(), 0);
    let step = cycle(&mut poller).await;
    assert!(
        matches!(&step, Step::Done(CycleOutcome::Sealed(end)) if matches!(end.sealed, Sealed::Partial { .. })),
        "{step:?}"
    );
    let record = bench
        .worker
        .store
        .shard_record(&tenant(), "24")
        .await
        .unwrap();
    assert_eq!(record.failures, 1);
    assert!(record.last_error.unwrap().contains("403"));
    assert!(matches!(poller.step().await, Step::NothingDue(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn being_told_to_wait_does_not_use_up_the_tries_of_a_page() {
    let bench = bench().await;
    let simulator = bench.d365.simulator();
    let throttled = Action::Throttle {
        retry_after: RetryAfter::Seconds(1),
        body: ThrottleBody::default(),
    };
    // The first that is not used up applies.
    simulator.add_fault(FaultSpec::on(Kind::Page, throttled).times(3));
    simulator.add_fault(FaultSpec::on(Kind::Page, Action::ServerError).times(1));
    let mut poller = Poller::new(bench.worker.clone(), 0);
    let step = cycle(&mut poller).await;
    assert!(is_complete(&step), "{step:?}");
    assert_eq!(bench.pages().len(), 5);
}

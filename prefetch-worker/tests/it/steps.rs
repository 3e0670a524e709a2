//! What a worker's steps do to a warehouse.

use crate::bench::{bench, complete, cycle, partial, settings, tenant, warehouse};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, LinkTrick, RetryAfter, ThrottleBody};
use prefetch_worker::{CycleOutcome, Poller, Step, Worker};
use shared::process::shutdown::Shutdown;
use shared::redis_store::Claimed;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_due_warehouse_is_read_once_an_interval() {
    let bench = bench("").await;
    let mut poller = bench.poller();
    complete(cycle(&mut poller).await);
    assert!(matches!(poller.step().await, Step::NothingDue(_)));
    let record = bench.record("24").await;
    assert_eq!((record.holder, record.failures), (None, 0));
    // A refresh that was asked for makes it due again.
    bench.read_again(&mut poller).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_lease_leaves_the_end_to_the_other() {
    let bench = bench("").await;
    let step = bench.slow_step(Duration::from_secs(4)).await;
    // The lease ends early, as after a pause of the whole machine, and another worker takes over.
    bench.redis_cli(&["ZADD", "inv:contoso:due", "0", "24#1/1"]);
    let (store, lease) = (&bench.worker.store, Duration::from_secs(30));
    let other = store.claim(&tenant(), "other", lease).await.unwrap();
    assert!(matches!(other, Claimed::Shard(_)), "{other:?}");
    assert_eq!(step.await.unwrap(), Step::Done(CycleOutcome::LeaseLost));
    let record = bench.record("24#1/1").await;
    assert_eq!(record.holder.as_deref(), Some("other"));
    let state = bench.redis_cli(&["HGET", "inv:contoso:snapshot:24", "state"]);
    assert_eq!(state, "warming");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_the_page_and_another_worker_reads_on_from_there() {
    let mut bench = bench("").await;
    // Pages of ten rows: the stop comes between two of them.
    bench.change_settings(|settings| settings.page_size = 10);
    let step = bench.slow_step(Duration::from_millis(300)).await;
    bench.worker.shutdown.begin();
    assert_eq!(step.await.unwrap(), Step::Done(CycleOutcome::Stopped));
    let record = bench.record("24#1/1").await;
    assert_eq!(record.holder, None);
    assert!(record.rows > 0, "{record:?}");
    let cursor = record.cursor.unwrap();
    let before = bench.pages().len();

    let next = settings(&bench.redis, &bench.d365, "");
    let mut next = Worker::build(&next, Shutdown::new()).unwrap();
    next.settings = bench.worker.settings.clone();
    next.clock().sample().await.unwrap();
    let end = complete(cycle(&mut Poller::new(next, 0)).await);
    let page = &bench.pages()[before];
    let filter = format!("ItemNumber gt '{cursor}'");
    assert!(page.contains(&filter), "{page} {cursor}");
    assert_eq!(end.rows, bench.truth());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_is_split_by_the_time_it_took_and_the_parts_are_the_whole() {
    let mut bench = bench("").await;
    bench.change_settings(|settings| {
        settings.page_size = 10;
        settings.shard_time = Duration::from_millis(100);
    });
    let (ms, at) = (50, DelayPoint::AfterRead);
    bench.fault(FaultSpec::on(Kind::Page, Action::Delay { ms, at }));
    let mut poller = bench.poller();
    let whole = complete(cycle(&mut poller).await);
    assert!(!whole.borders.is_empty());
    bench.worker.store.make_due(&tenant(), "24").await.unwrap();
    let Step::Done(CycleOutcome::Opened { parts, .. }) = poller.step().await else {
        panic!("no cycle was opened")
    };
    assert_eq!(parts, whole.borders.len() + 1);
    let in_parts = complete(cycle(&mut poller).await);
    assert_eq!((whole.rows, in_parts.rows), (bench.truth(), bench.truth()));
    assert_eq!(
        whole.sealed, in_parts.sealed,
        "the same lines, the same hash"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_taken_again_and_again_is_given_up_and_the_cycle_says_so() {
    let bench = bench("").await;
    let mut poller = bench.poller();
    poller.step().await;
    bench.redis_cli(&["HSET", "inv:contoso:shard:24#1/1", "taken", "5"]);
    let reason = partial(cycle(&mut poller).await);
    assert!(reason.contains("taken 5 times"), "{reason}");
    assert!(bench.pages().is_empty(), "it was not tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_during_a_cycle_ends_it_and_the_next_one_is_whole() {
    let mut bench = bench("").await;
    let step = bench.slow_step(Duration::from_millis(500)).await;
    bench.redis.kill().unwrap();
    let step = step.await.unwrap();
    let has_failed = matches!(step, Step::Done(CycleOutcome::StoreFailed(_)));
    assert!(has_failed, "{step:?}");
    bench.redis.restart().unwrap();
    bench.schedule_again().await;
    complete(cycle(&mut bench.poller()).await);
    let store = &bench.worker.store;
    let feeds = store.snapshots(&tenant(), &[warehouse()]).await.unwrap();
    assert!(feeds[0].standing.watermark.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_warehouse_backs_off_and_shows_why() {
    let bench = bench("").await;
    bench.fault(FaultSpec::on(Kind::Page, Action::Forbidden));
    let mut poller = bench.poller();
    partial(cycle(&mut poller).await);
    let record = bench.record("24").await;
    assert_eq!(record.failures, 1);
    assert!(record.last_error.unwrap().contains("403"));
    assert!(matches!(poller.step().await, Step::NothingDue(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn being_asked_to_wait_does_not_use_up_the_tries_of_a_page() {
    let bench = bench("").await;
    let throttled = Action::Throttle {
        retry_after: RetryAfter::Seconds(1),
        body: ThrottleBody::default(),
    };
    // The first that is not used up applies.
    bench.fault(FaultSpec::on(Kind::Page, throttled).times(3));
    bench.fault(FaultSpec::on(Kind::Page, Action::ServerError).times(1));
    complete(cycle(&mut bench.poller()).await);
    assert_eq!(bench.pages().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn continuations_that_lead_nowhere_end_the_cycle() {
    for (trick, expected) in [
        (LinkTrick::SamePage, "came again after it was complete"),
        (LinkTrick::Endless, "more and more pages that are empty"),
    ] {
        let bench = bench("paging = \"next-link\"").await;
        let host = None;
        bench.fault(FaultSpec::on(Kind::Page, Action::NextLink { trick, host }));
        let reason = partial(cycle(&mut bench.poller()).await);
        assert!(reason.contains(expected), "{trick:?}: {reason}");
    }
}

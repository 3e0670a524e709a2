//! What a worker does with feeds that are read with other settings than its own, and with a clock of
//! its own that is late.

use crate::bench::{bench, complete, cycle, settings, tenant, warehouse};
use prefetch_worker::{CycleOutcome, Poller, Step, TenantFeed, Worker};
use shared::d365::{OnHandSource, ScriptedSource};
use shared::process::clock::{Clock, ManualClock};
use shared::process::shutdown::Shutdown;
use shared::redis_store::StoredLine;
use shared::stock::{ItemNumber, OnHandRow, ProductDimensions, Quantities, Sku, StockState, judge};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_of_other_settings_is_left_to_those_who_have_them() {
    let bench = bench("").await;
    let mut own = bench.poller();
    let opened = own.step().await;
    let is_opened = matches!(opened, Step::Done(CycleOutcome::Opened { .. }));
    assert!(is_opened, "{opened:?}");
    let other = settings(&bench.redis, &bench.d365, "quantity = \"on-hand\"");
    let other = Worker::build(&other, Shutdown::new()).unwrap();
    other.clock().sample().await.unwrap();
    let mut other = Poller::new(other, 0);
    // Its part is due first, then the warehouse itself.
    assert_eq!(other.step().await, Step::Done(CycleOutcome::OtherSettings));
    bench.redis_cli(&["ZADD", "inv:contoso:due", "0", "24"]);
    assert_eq!(other.step().await, Step::Done(CycleOutcome::OtherSettings));
    assert!(bench.pages().is_empty(), "nothing was read");
    bench.redis_cli(&["ZADD", "inv:contoso:due", "0", "24#1/1"]);
    complete(cycle(&mut own).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cycle_read_is_not_older_than_its_begin_however_late_a_clock_is() {
    let bench = bench("").await;
    let late = bench.worker.clock().now().minus(Duration::from_millis(300));
    let late: Arc<dyn Clock> = Arc::new(ManualClock::at(late));
    let source = Arc::new(ScriptedSource::new(late));
    source.add_page(vec![OnHandRow {
        item: ItemNumber::parse("A").unwrap(),
        dimensions: ProductDimensions::default(),
        site: None,
        warehouse: warehouse(),
        quantities: Quantities::default(),
    }]);
    let settings = settings(&bench.redis, &bench.d365, "");
    let feed = TenantFeed::new(settings.tenants[0].clone(), source as Arc<dyn OnHandSource>);
    let store = bench.worker.store.clone();
    let worker = Worker::with_feeds(settings.worker.clone(), store, vec![feed], Shutdown::new());
    complete(cycle(&mut Poller::new(worker, 0)).await);
    let reader = bench.worker.store.reader();
    let skus = [Sku::parse("A").unwrap()];
    let reading = reader.read_many(&tenant(), &[warehouse()], &skus).await;
    let reading = reading.unwrap();
    let StoredLine::Value(line) = &reading.lines[0] else {
        panic!("{reading:?}")
    };
    let (now, day) = (bench.worker.clock().now(), Duration::from_hours(24));
    let judged = judge(Some(line), &reading.feeds[0], now, day);
    assert_eq!(judged.state, StockState::Present, "{reading:?}");
}

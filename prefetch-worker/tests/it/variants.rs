//! Variants that are released while the worker knows an older list of them.

use crate::bench::{bench_with, cycle, is_complete, tenant};
use d365_simulator::{Action, FaultSpec, Kind, StockChange, StockKey};
use prefetch_worker::{CycleOutcome, Poller, Step};
use shared::redis_store::{Sealed, StoredLine};
use shared::stock::{LineContent, Sku, WarehouseId};

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_released_since_the_list_was_read_is_not_left_out() {
    let bench = bench_with("sku_mapping = \"variants\"").await;
    let simulator = bench.d365.simulator();
    let mut poller = Poller::new(bench.worker.clone(), 0);
    assert!(is_complete(&cycle(&mut poller).await));
    let lists = || bench.asked(Kind::Variants);
    let known = &simulator.variants("usmf").unwrap()[0];
    // A new colour of a known master, and a new master with one variant.
    for (item, number) in [(known.item.as_str(), "NEW-1"), ("NEW-MASTER", "NEW-2")] {
        let key = StockKey {
            color: "Ultramarine".to_owned(),
            ..StockKey::of("usmf", item, "24")
        };
        simulator.release_variant(&key, number).unwrap();
        simulator
            .put_stock(&key, &StockChange::on_hand("7"))
            .unwrap();
    }
    let before = lists();
    bench.worker.store.make_due(&tenant(), "24").await.unwrap();
    assert!(is_complete(&cycle(&mut poller).await));
    assert!(lists() > before, "D365 was asked about them");
    let skus = [Sku::parse("NEW-1").unwrap(), Sku::parse("NEW-2").unwrap()];
    let warehouses = [WarehouseId::parse("24").unwrap()];
    let reading = bench.worker.store.reader();
    let reading = reading.read_many(&tenant(), &warehouses, &skus).await;
    for line in reading.unwrap().lines {
        let StoredLine::Value(line) = line else {
            panic!("{line:?}");
        };
        let LineContent::Quantities(quantities) = line.content else {
            panic!("{line:?}");
        };
        assert_eq!(quantities.on_hand.to_string(), "7");
    }
    // The list is read anew with the next cycle, and nothing is strange any more.
    bench.worker.store.make_due(&tenant(), "24").await.unwrap();
    assert!(is_complete(&cycle(&mut poller).await));
    let with_new_list = lists();
    bench.worker.store.make_due(&tenant(), "24").await.unwrap();
    assert!(is_complete(&cycle(&mut poller).await));
    assert_eq!(lists(), with_new_list);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_about_them_a_cycle_is_no_snapshot() {
    let bench = bench_with("sku_mapping = \"variants\"").await;
    let simulator = bench.d365.simulator();
    let mut poller = Poller::new(bench.worker.clone(), 0);
    assert!(is_complete(&cycle(&mut poller).await));
    let key = StockKey {
        color: "Ultramarine".to_owned(),
        ..StockKey::of("usmf", "NEW-MASTER", "24")
    };
    simulator.release_variant(&key, "NEW").unwrap();
    simulator
        .put_stock(&key, &StockChange::on_hand("7"))
        .unwrap();
    simulator.add_fault(FaultSpec::on(Kind::Variants, Action::Forbidden));
    bench.worker.store.make_due(&tenant(), "24").await.unwrap();
    let step = cycle(&mut poller).await;
    let Step::Done(CycleOutcome::Sealed(end)) = step else {
        panic!("{step:?}");
    };
    let Sealed::Partial { reason } = end.sealed else {
        panic!("{end:?}");
    };
    assert!(
        reason.starts_with("released product variants: "),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_no_variant_is_asked_about_once() {
    let bench = bench_with("sku_mapping = \"variants\"").await;
    let simulator = bench.d365.simulator();
    let known = &simulator.variants("usmf").unwrap()[0];
    let key = StockKey {
        color: "Ultramarine".to_owned(),
        ..StockKey::of("usmf", &known.item, "24")
    };
    simulator
        .put_stock(&key, &StockChange::on_hand("7"))
        .unwrap();
    let mut poller = Poller::new(bench.worker.clone(), 0);
    assert!(is_complete(&cycle(&mut poller).await));
    let questions = || bench.asked(Kind::Variants);
    let first = questions();
    bench.worker.store.make_due(&tenant(), "24").await.unwrap();
    assert!(is_complete(&cycle(&mut poller).await));
    assert_eq!(questions(), first);
}

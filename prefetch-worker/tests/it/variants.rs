//! Variants that are released while the worker knows an older list of them.

use crate::bench::{Bench, bench, complete, cycle, partial, tenant, warehouse};
use d365_simulator::{Action, FaultSpec, Kind, StockChange, StockKey};
use shared::redis_store::StoredLine;
use shared::stock::{LineContent, Sku};

const VARIANTS: &str = "sku_mapping = \"variants\"";

/// Puts 7 pieces of an item in ultramarine on stock, released as a variant of this number.
fn put(bench: &Bench, item: &str, number: Option<&str>) {
    let simulator = bench.d365.simulator();
    let key = StockKey {
        color: "Ultramarine".to_owned(),
        ..StockKey::of("usmf", item, "24")
    };
    if let Some(number) = number {
        simulator.release_variant(&key, number).unwrap();
    }
    simulator
        .put_stock(&key, &StockChange::on_hand("7"))
        .unwrap();
}

fn known_item(bench: &Bench) -> String {
    let variants = bench.d365.simulator().variants("usmf").unwrap();
    variants[0].item.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_released_since_the_list_was_read_is_not_left_out() {
    let bench = bench(VARIANTS).await;
    let mut poller = bench.poller();
    complete(cycle(&mut poller).await);
    let lists = || bench.asked(Kind::Variants);
    // A new colour of a known master, and a new master with one variant.
    put(&bench, &known_item(&bench), Some("NEW-1"));
    put(&bench, "NEW-MASTER", Some("NEW-2"));
    let before = lists();
    bench.read_again(&mut poller).await;
    assert!(lists() > before, "D365 was asked about them");
    let skus = [Sku::parse("NEW-1").unwrap(), Sku::parse("NEW-2").unwrap()];
    let reader = bench.worker.store.reader();
    let reading = reader.read_many(&tenant(), &[warehouse()], &skus).await;
    for line in reading.unwrap().lines {
        let StoredLine::Value(line) = line else {
            panic!("{line:?}");
        };
        let LineContent::Quantities(quantities) = line.content else {
            panic!("{line:?}");
        };
        assert_eq!(quantities.on_hand.to_string(), "7");
    }
    // The list is read anew with the next cycle, and nothing is unmapped any more.
    bench.read_again(&mut poller).await;
    let with_new_list = lists();
    bench.read_again(&mut poller).await;
    assert_eq!(lists(), with_new_list);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_about_them_a_cycle_is_no_snapshot() {
    let bench = bench(VARIANTS).await;
    let mut poller = bench.poller();
    complete(cycle(&mut poller).await);
    put(&bench, "NEW-MASTER", Some("NEW"));
    bench.fault(FaultSpec::on(Kind::Variants, Action::Forbidden));
    bench.worker.store.make_due(&tenant(), "24").await.unwrap();
    let reason = partial(cycle(&mut poller).await);
    let expected = "released product variants: ";
    assert!(reason.starts_with(expected), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_no_variant_is_asked_about_once() {
    let bench = bench(VARIANTS).await;
    put(&bench, &known_item(&bench), None);
    let mut poller = bench.poller();
    complete(cycle(&mut poller).await);
    let first = bench.asked(Kind::Variants);
    bench.read_again(&mut poller).await;
    assert_eq!(bench.asked(Kind::Variants), first);
}

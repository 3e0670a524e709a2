//! EXACT asks D365, writes through, and no slower page undoes it.

use crate::house::{House, world};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, StockChange, StockKey};
use integration_tests::eventually::eventually;

fn key(item: &str) -> StockKey {
    StockKey::of("usmf", item, "24")
}

async fn house_with(item: &str, on_hand: &str) -> House {
    let house = House::with(world(200), &["24"]).await;
    house
        .d365()
        .put_stock(&key(item), &StockChange::on_hand(on_hand))
        .unwrap();
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_answer_is_written_through_and_served_afterwards() {
    let house = house_with("LIVE-1", "40").await;
    house.snapshot().await;
    let (_service, api) = house.api().await;
    house
        .d365()
        .put_stock(&key("LIVE-1"), &StockChange::on_hand("7.5"))
        .unwrap();

    let before = api.fast("24", &["LIVE-1"]).await.unwrap();
    assert_eq!(
        before.line("LIVE-1").unwrap()["availableStock"],
        40,
        "{}",
        before.text
    );

    let live = api.exact("24", &["LIVE-1"]).await.unwrap();
    let told = live.line("LIVE-1").unwrap();
    assert_eq!(
        (told["availableStock"].to_string().as_str(), &told["source"]),
        ("7.5", &"LIVE".into()),
        "{}",
        live.text
    );

    let after = api.fast("24", &["LIVE-1"]).await.unwrap();
    let cached = after.line("LIVE-1").unwrap();
    assert_eq!(
        cached["availableStock"].to_string(),
        "7.5",
        "{}",
        after.text
    );
    assert_eq!(cached["source"], "CACHE");
    assert_eq!(cached["asOf"], told["asOf"]);
    let stored = house.hash("inv:contoso:stock:LIVE-1").await;
    assert!(
        stored["24"].starts_with("7.5|7.5|0|0|") && stored["24"].ends_with("|live"),
        "{stored:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_started_before_a_live_answer_does_not_undo_it() {
    let house = house_with("LIVE-2", "40").await;
    house.snapshot().await;
    let (_service, api) = house.api().await;
    let slow = Action::Delay {
        ms: 3_000,
        at: DelayPoint::AfterRead,
    };
    house.d365().add_fault(FaultSpec::on(Kind::Page, slow));
    let since = house
        .d365()
        .requests(0)
        .last()
        .map_or(0, |request| request.seq);
    let slow_cycle = house.start_worker(&["once"]);
    eventually("the slow page is under way", async || {
        house
            .d365()
            .requests(since)
            .iter()
            .any(|request| request.kind == Kind::Page)
            .then_some(())
    })
    .await
    .unwrap();
    house
        .d365()
        .put_stock(&key("LIVE-2"), &StockChange::on_hand("3"))
        .unwrap();
    let live = api.exact("24", &["LIVE-2"]).await.unwrap();
    assert_eq!(
        live.line("LIVE-2").unwrap()["availableStock"],
        3,
        "{}",
        live.text
    );

    let ended = slow_cycle.wait_with_output().await.unwrap();
    assert!(ended.status.success());
    assert!(house.d365().faults()[0].fired > 0, "the page was not slow");
    let after = api.fast("24", &["LIVE-2"]).await.unwrap();
    assert_eq!(
        after.line("LIVE-2").unwrap()["availableStock"],
        3,
        "{}",
        after.text
    );
    assert_eq!(
        after.line("LIVE-2").unwrap()["asOf"],
        live.line("LIVE-2").unwrap()["asOf"]
    );

    // The next cycle starts after the live answer, so its page is the newer one.
    house.d365().clear_faults();
    house.snapshot().await;
    let stored = house.hash("inv:contoso:stock:LIVE-2").await;
    assert!(
        stored["24"].starts_with("3|") && stored["24"].contains("|snap:"),
        "{stored:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_answer_without_a_row_proves_absence_at_once() {
    let house = house_with("LIVE-3", "40").await;
    house.snapshot().await;
    let (_service, api) = house.api().await;
    house.d365().delete_stock(&key("LIVE-3")).unwrap();
    let live = api.exact("24", &["LIVE-3"]).await.unwrap();
    let told = live.line("LIVE-3").unwrap();
    assert_eq!(
        (&told["state"], &told["inStock"]),
        (&"ABSENT".into(), &false.into()),
        "{}",
        live.text
    );
    let stored = house.hash("inv:contoso:stock:LIVE-3").await;
    assert!(
        stored["24"].starts_with("absent|") && stored["24"].ends_with("|live"),
        "{stored:?}"
    );
    let after = api.fast("24", &["LIVE-3"]).await.unwrap();
    assert_eq!(
        after.line("LIVE-3").unwrap()["state"],
        "ABSENT",
        "{}",
        after.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_checked_live_in_every_mapping() {
    for (mapping, sku) in [
        ("item-number", "SHIRT"),
        (
            "{ItemNumber}-{ProductColorId}-{ProductSizeId}",
            "SHIRT-Black-L",
        ),
        ("variants", "SHIRT : : L : Black"),
    ] {
        let mut house = House::with(world(50), &["24"]).await;
        house.reconfigure(|config| mapping.clone_into(&mut config.sku_mapping));
        let row = StockKey {
            color: "Black".to_owned(),
            size: "L".to_owned(),
            ..key("SHIRT")
        };
        house
            .d365()
            .put_stock(&row, &StockChange::on_hand("5"))
            .unwrap();
        house
            .d365()
            .release_variant(&row, "SHIRT : : L : Black")
            .unwrap();
        house.snapshot().await;
        let (_service, api) = house.api().await;
        house
            .d365()
            .put_stock(&row, &StockChange::on_hand("4"))
            .unwrap();
        let check = api
            .availability_check("24", &[(sku, 3.into())])
            .await
            .unwrap();
        assert_eq!(check.status, 200, "{}", check.text);
        assert_eq!(check.json["orderable"], true, "{}", check.text);
        let check = api
            .availability_check("24", &[(sku, 5.into())])
            .await
            .unwrap();
        let line = check.line(sku).unwrap();
        assert_eq!(check.json["orderable"], false, "{}", check.text);
        assert_eq!(
            (&line["requested"], &line["granted"]),
            (&5.into(), &4.into()),
            "{}",
            check.text
        );
    }
}

//! An item that leaves D365: present, suspect, absent. An item nobody ever saw: absent or unknown.

use crate::house::{House, world};
use d365_simulator::{StockChange, StockKey};

async fn state_of(house: &House, warehouse: &str, sku: &str) -> (String, String, bool) {
    let (mut service, api) = house.api().await;
    let reply = api.fast(warehouse, &[sku]).await.unwrap();
    let line = reply.line(sku).unwrap_or_else(|| panic!("{}", reply.text));
    let said = (
        line["state"].as_str().unwrap().to_owned(),
        line["availableStock"].to_string(),
        line["inStock"].as_bool().unwrap(),
    );
    service.stop().await.unwrap();
    said
}

fn said(state: &str, number: &str, in_stock: bool) -> (String, String, bool) {
    (state.to_owned(), number.to_owned(), in_stock)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_complete_snapshots_make_an_item_absent_and_one_only_suspect() {
    let house = House::with(world(200), &["24"]).await;
    let key = StockKey::of("usmf", "GONE-1", "24");
    house
        .d365()
        .put_stock(&key, &StockChange::on_hand("9"))
        .unwrap();
    house.snapshot().await;
    assert_eq!(
        state_of(&house, "24", "GONE-1").await,
        said("PRESENT", "9", true)
    );
    house.d365().delete_stock(&key).unwrap();
    assert_eq!(
        state_of(&house, "24", "GONE-1").await,
        said("PRESENT", "9", true)
    );
    house.snapshot().await;
    assert_eq!(
        state_of(&house, "24", "GONE-1").await,
        said("SUSPECT", "9", true)
    );
    house.snapshot().await;
    assert_eq!(
        state_of(&house, "24", "GONE-1").await,
        said("ABSENT", "0", false)
    );
    // Back again, it is present with the next snapshot.
    house
        .d365()
        .put_stock(&key, &StockChange::on_hand("4"))
        .unwrap();
    house.snapshot().await;
    assert_eq!(
        state_of(&house, "24", "GONE-1").await,
        said("PRESENT", "4", true)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_never_seen_is_absent_only_where_a_snapshot_was_complete() {
    let mut house = House::with(world(200), &["24"]).await;
    house.snapshot().await;
    // A second warehouse is configured and was never read.
    house.reconfigure(|config| config.warehouses.push("11".to_owned()));
    assert_eq!(
        state_of(&house, "24", "NEVER-SEEN").await,
        said("ABSENT", "0", false)
    );
    let (_service, api) = house.api().await;
    let question = serde_json::json!({ "warehouseIds": ["24", "11"], "skus": ["NEVER-SEEN"] });
    let reply = api
        .post("/inventory/v1/inventories", &question)
        .await
        .unwrap();
    let line = reply.line("NEVER-SEEN").unwrap();
    let rows = line["supplierStock"].as_array().unwrap();
    let state = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap()["state"].clone();
    assert_eq!(
        (state("24"), state("11")),
        ("ABSENT".into(), "UNKNOWN".into()),
        "{}",
        reply.text
    );
    // Of the cold warehouse alone nothing at all is known, and that is said.
    let cold = api.fast("11", &["NEVER-SEEN"]).await.unwrap();
    assert_eq!(cold.status, 503, "{}", cold.text);
    assert_eq!(
        cold.error_code(),
        Some("inventory.cache.cold.error"),
        "{}",
        cold.text
    );
    assert!(cold.headers.contains_key("retry-after"));
}

//! An item that leaves D365: present, suspect, absent. An item nobody ever saw: absent or unknown.

use integration_tests::test_bed::{Failure, TestBed, world};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn two_complete_snapshots_make_an_item_absent_and_one_only_suspect() -> Result<(), Failure> {
    let bed = TestBed::start(world(200), &["24"]).await?;
    bed.put("GONE-1", "24", "9")?;
    bed.snapshot().await?;
    let (_service, api) = bed.api().await?;
    let is = async |state: &str, number: i64, in_stock: bool| -> Result<(), Failure> {
        let reply = api.fast("24", &["GONE-1"]).await?;
        let line = &reply.json["data"][0];
        let said = [&line["state"], &line["availableStock"], &line["inStock"]].map(Value::clone);
        assert_eq!(said, [json!(state), json!(number), json!(in_stock)]);
        Ok(())
    };
    is("PRESENT", 9, true).await?;
    bed.remove("GONE-1", "24")?;
    is("PRESENT", 9, true).await?;
    bed.snapshot().await?;
    is("SUSPECT", 9, true).await?;
    bed.snapshot().await?;
    is("ABSENT", 0, false).await?;
    // Back again, it is present with the next snapshot.
    bed.put("GONE-1", "24", "4")?;
    bed.snapshot().await?;
    is("PRESENT", 4, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_never_seen_is_absent_only_where_a_snapshot_was_complete() -> Result<(), Failure> {
    let mut bed = TestBed::start(world(200), &["24"]).await?;
    bed.snapshot().await?;
    // A second warehouse is configured and was never read.
    bed.reconfigure(|config| config.warehouses.push("11".to_owned()))?;
    let (_service, api) = bed.api().await?;
    let question = json!({ "warehouseIds": ["24", "11"], "skus": ["NEVER-SEEN"] });
    let reply = api.post("/inventory/v1/inventories", &question).await?;
    let rows = reply.json["data"][0]["supplierStock"].as_array();
    let mut states: Vec<(String, Value)> = rows
        .into_iter()
        .flatten()
        .map(|row| (row["id"].to_string(), row["state"].clone()))
        .collect();
    states.sort_by(|one, other| one.0.cmp(&other.0));
    let states: Vec<&Value> = states.iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["UNKNOWN", "ABSENT"], "{}", reply.text);
    // Of the cold warehouse alone nothing at all is known, and that is said.
    let cold = api.fast("11", &["NEVER-SEEN"]).await?;
    assert_eq!(cold.status, 503, "{}", cold.text);
    let code = cold.error_code();
    assert_eq!(code, Some("inventory.cache.cold.error"), "{}", cold.text);
    assert!(cold.headers.contains_key("retry-after"));
    Ok(())
}

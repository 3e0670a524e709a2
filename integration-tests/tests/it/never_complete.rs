//! Feeds that were never complete show how long they have been wanted.

use d365_simulator::{Action, FaultSpec, Kind};
use integration_tests::eventually::eventually;
use integration_tests::test_bed::{Failure, TestBed, metric, readiness, world};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_was_never_complete_is_overdue_with_its_worker_dead() -> Result<(), Failure> {
    // Warehouse 11 is a channel's and nobody reads it.
    let bed = TestBed::configured(world(60), &["24"], |config| {
        "2s".clone_into(&mut config.refresh_interval);
        config.more =
            "[[channels]]\nid = \"shop\"\ntenant = \"contoso\"\nwarehouses = [\"11\"]\n".to_owned();
    })
    .await?;
    let forbidden = FaultSpec::on(Kind::Page, Action::Forbidden);
    bed.d365().add_fault(forbidden);
    let mut worker = bed.worker("worker").await?;
    let wanted = eventually("it is noted that the feed is wanted", async || {
        bed.feed("24").await.ok()?.remove("wanted")
    })
    .await?;
    worker.process().kill()?;

    let (service, api) = bed.api().await?;
    for warehouse in ["24", "11"] {
        let label = format!("warehouse=\"{warehouse}\"");
        eventually("the feed is overdue", async || {
            let value = async |name| metric(&service, name, &label).await.ok();
            let overdue = value("inventory_api_feed_overdue").await?;
            let age = value("inventory_api_feed_age_seconds").await?;
            (overdue > 0 && age >= 4).then_some(())
        })
        .await?;
        let detail = readiness(&service).await?;
        let feeds = detail["tenants"][0]["warehouses"].as_array();
        let mut feeds = feeds.into_iter().flatten();
        let feed = feeds
            .find(|feed| feed["id"] == warehouse)
            .ok_or("no feed")?;
        let shown = (&feed["overdue"], &feed["snapshotAt"]);
        assert_eq!(shown, (&json!(true), &Value::Null));
        assert!(feed["feedAgeSeconds"].as_u64() >= Some(4), "{feed}");
        let question = if warehouse == "11" {
            json!({ "channel": "shop", "severity": "EXACT", "skus": ["D0001"] })
        } else {
            json!({ "warehouseId": warehouse, "severity": "EXACT", "skus": ["D0001"] })
        };
        let reply = api.post("/inventory/v1/inventories", &question).await?;
        let meta = &reply.json["meta"];
        assert!(meta["feedAgeSeconds"].as_u64() >= Some(4), "{}", reply.text);
        assert!(meta.get("snapshotAt").is_none(), "{}", reply.text);
    }
    assert_eq!(bed.feed("24").await?["wanted"], wanted);
    Ok(())
}

//! Feeds that were never complete show how long they have been wanted.

use crate::house::{House, world};
use d365_simulator::{Action, FaultSpec, Kind};
use integration_tests::binaries::Service;
use integration_tests::eventually::eventually;
use serde_json::{Value, json};

async fn detail(service: &Service, warehouse: &str) -> Value {
    let probe = format!("{}/health/ready", service.management_url());
    let detail: Value = reqwest::get(probe).await.unwrap().json().await.unwrap();
    let feeds = detail["tenants"][0]["warehouses"].as_array().unwrap();
    let feed = feeds.iter().find(|feed| feed["id"] == warehouse);
    feed.unwrap_or_else(|| panic!("{warehouse} in {detail}"))
        .clone()
}

async fn metric(service: &Service, name: &str, warehouse: &str) -> Option<f64> {
    let address = format!("{}/metrics", service.management_url());
    let text = reqwest::get(address).await.unwrap().text().await.unwrap();
    let label = format!("warehouse=\"{warehouse}\"");
    let line = text
        .lines()
        .find(|line| line.starts_with(name) && line.contains(&label))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_was_never_complete_is_overdue_with_its_worker_dead() {
    let mut house = House::with(world(60), &["24"]).await;
    // Warehouse 11 is a channel's and nobody reads it.
    house.reconfigure(|config| {
        "2s".clone_into(&mut config.refresh_interval);
        config.more =
            "[[channels]]\nid = \"shop\"\ntenant = \"contoso\"\nwarehouses = [\"11\"]\n".to_owned();
    });
    house
        .d365()
        .add_fault(FaultSpec::on(Kind::Page, Action::Forbidden));
    let mut worker = house.running_worker("worker").await;
    let wanted = eventually("it is noted that the feed is wanted", async || {
        house.feed("24").await.get("wanted").cloned()
    })
    .await
    .unwrap();
    worker.process().kill().unwrap();

    let (service, api) = house.api().await;
    for warehouse in ["24", "11"] {
        eventually("the feed is overdue", async || {
            let overdue = metric(&service, "inventory_api_feed_overdue", warehouse).await?;
            let age = metric(&service, "inventory_api_feed_age_seconds", warehouse).await?;
            (overdue > 0.0 && age > 4.0).then_some(())
        })
        .await
        .unwrap();
        let feed = detail(&service, warehouse).await;
        assert_eq!(
            (&feed["overdue"], &feed["snapshotAt"]),
            (&json!(true), &Value::Null)
        );
        assert!(feed["feedAgeSeconds"].as_u64().unwrap() >= 4, "{feed}");
        let question = if warehouse == "11" {
            json!({ "channel": "shop", "severity": "EXACT", "skus": ["D0001"] })
        } else {
            json!({ "warehouseId": warehouse, "severity": "EXACT", "skus": ["D0001"] })
        };
        let reply = api.post("/inventory/v1/inventories", &question).await;
        let reply = reply.unwrap();
        let meta = &reply.json["meta"];
        let age = meta["feedAgeSeconds"].as_u64();
        assert!(age.is_some_and(|age| age >= 4), "{}", reply.text);
        assert!(meta.get("snapshotAt").is_none(), "{}", reply.text);
    }
    assert_eq!(house.feed("24").await["wanted"], wanted);
}

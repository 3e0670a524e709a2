//! Events of D365: hints that lead to a reading, and to nothing else.

use d365_simulator::{Kind, LoadModel, StockChange, StockKey};
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::binaries::Service;
use integration_tests::connector_config::ConnectorConfig;
use integration_tests::eventually::eventually;
use integration_tests::test_bed::{Failure, TestBed, world};
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &str = "a-key-of-sixteen-or-more";
const EVENTS: &str = "/inventoryPrefetcher/v1/events";
const REFRESHES: &str = "/inventoryPrefetcher/v1/refreshes";

/// A worker whose warehouse has been read once and is not due again for an hour.
struct Listening {
    bed: TestBed,
    worker: Service,
    prefetcher: ApiClient,
}

impl Listening {
    async fn start(change: impl FnOnce(&mut ConnectorConfig)) -> Result<Self, Failure> {
        let bed = TestBed::configured(world(300), &["11", "24"], |config| {
            "1h".clone_into(&mut config.refresh_interval);
            config.more = format!(
                "[worker]\npage_size = 20\ndemand_share = 0\n[worker.events]\nsecret = \"{KEY}\"\n"
            );
            change(config);
        })
        .await?;
        let worker = bed.worker("worker").await?;
        bed.complete_since(0, Duration::from_mins(1)).await?;
        let prefetcher = ApiClient::new(&worker.url())?;
        Ok(Self {
            bed,
            worker,
            prefetcher,
        })
    }

    async fn send(&self, event: &Value) -> reqwest::Result<Reply> {
        let path = format!("{EVENTS}?code={KEY}");
        self.prefetcher.post(&path, event).await
    }

    fn look_ups(&self) -> usize {
        self.bed.requests(Kind::Lookup, 0).len()
    }

    /// Waits until the stored line of a SKU begins with this number.
    async fn is_stored(&self, tenant: &str, sku: &str, pieces: &str) -> Result<(), Failure> {
        let begin = format!("{pieces}|");
        eventually(&format!("{pieces} of {sku}"), async || {
            let lines = self
                .bed
                .hash(&format!("inv:{tenant}:stock:{sku}"))
                .await
                .ok()?;
            lines.get("24")?.starts_with(&begin).then_some(())
        })
        .await?;
        Ok(())
    }
}

fn event(id: &str, item: &str) -> Value {
    json!({ "id": id, "eventType": "InventOnHandChanged", "subject": "on-hand",
        "data": { "LegalEntity": "USMF", "ItemNumber": item, "AvailableOnHandQuantity": 9999 } })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_leads_to_a_reading_and_a_repeated_one_to_none() -> Result<(), Failure> {
    let listening = Listening::start(|config| {
        let trial = config.second_tenant("trial", "usmf");
        config.more.push_str(&trial);
    })
    .await?;
    listening.bed.put("P-000123", "24", "7")?;
    let reply = listening.send(&json!([event("e-1", "P-000123")])).await?;
    assert_eq!(
        reply.json,
        json!({ "taken": 1, "repeated": 0, "ignored": 0 })
    );
    // It is meant for every tenant of its company.
    for tenant in ["contoso", "trial"] {
        listening.is_stored(tenant, "P-000123", "7").await?;
    }
    let look_ups = listening.look_ups();
    let reply = listening.send(&json!([event("e-1", "P-000123")])).await?;
    assert_eq!(reply.json["repeated"], 1);

    // A bare object, as D365's own endpoint sends it, for an item nobody knew.
    listening.bed.put("NEW-1", "24", "3")?;
    let bare = json!({ "EventId": "e-2", "BusinessEventId": "OnHand", "LegalEntity": "usmf",
        "ItemNumber": "NEW-1" });
    assert_eq!(listening.send(&bare).await?.json["taken"], 1);
    for tenant in ["contoso", "trial"] {
        listening.is_stored(tenant, "NEW-1", "3").await?;
    }
    assert_eq!(listening.look_ups(), look_ups + 2, "one for each tenant");

    let others = json!([
        { "id": "e-3", "data": { "LegalEntity": "dat", "ItemNumber": "P-000123" } },
        { "id": "e-4", "data": { "LegalEntity": "usmf" } },
        { "id": "e-5", "data": { "LegalEntity": "usmf", "ItemNumber": "P*" } },
    ]);
    assert_eq!(listening.send(&others).await?.json["ignored"], 3);
    let warehouse =
        json!({ "EventId": "e-6", "LegalEntity": "usmf", "InventoryWarehouseId": "24" });
    let before = listening.bed.feed("24").await?["generation"].clone();
    assert_eq!(listening.send(&warehouse).await?.json["taken"], 1);
    eventually("a new cycle of the warehouse", async || {
        let feed = listening.bed.feed("24").await.ok()?;
        (feed["generation"] != before).then_some(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_the_list_lacks_is_found_by_its_number_and_by_its_item() -> Result<(), Failure> {
    let listening = Listening::start(|config| {
        "variants".clone_into(&mut config.sku_mapping);
    })
    .await?;
    let release = |item: &str, number: &str| -> Result<(), Failure> {
        let key = StockKey {
            color: "Ultramarine".to_owned(),
            ..StockKey::of("usmf", item, "24")
        };
        let d365 = listening.bed.d365();
        d365.release_variant(&key, number)?;
        d365.put_stock(&key, &StockChange::on_hand("7"))?;
        Ok(())
    };
    release("MASTER-1", "NEW-1")?;
    let refresh = json!({ "skus": ["NEW-1"] });
    let reply = listening.prefetcher.post(REFRESHES, &refresh).await?;
    assert_eq!(reply.status, 202, "{}", reply.text);
    listening.is_stored("contoso", "NEW-1", "7").await?;
    release("MASTER-2", "NEW-2")?;
    let reply = listening.send(&event("e-1", "MASTER-2")).await?;
    assert_eq!(reply.json["taken"], 1);
    listening.is_stored("contoso", "NEW-2", "7").await
}

#[tokio::test(flavor = "multi_thread")]
async fn event_grid_is_answered_and_nobody_else_gets_in() -> Result<(), Failure> {
    let listening = Listening::start(|_| {}).await?;
    let validation = json!([{ "id": "v", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": { "validationCode": "512d38b6" } }]);
    let reply = listening.send(&validation).await?;
    assert_eq!(reply.json["validationResponse"], "512d38b6");
    for path in [EVENTS.to_owned(), format!("{EVENTS}?code=wrong")] {
        let event = event("x", "P-000123");
        let reply = listening.prefetcher.post(&path, &event).await?;
        assert_eq!(reply.status, 401);
    }
    listening.worker.assert_log_clean(&[])?;
    for (body, status) in [
        (json!("text"), 422),
        (json!([1]), 422),
        (json!(vec![0; 101]), 413),
    ] {
        assert_eq!(listening.send(&body).await?.status, status, "{body}");
    }
    assert_eq!(listening.look_ups(), 0);
    let off = Listening::start(|config| config.more.clear()).await?;
    let reply = off.send(&event("x", "P-000123")).await?;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.error_code(), Some("inventory.events.off.error"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_stays_bounded_and_what_was_refused_may_come_again() -> Result<(), Failure> {
    let listening = Listening::start(|_| {}).await?;
    let started = listening.bed.now();
    let mut refused = Vec::new();
    for batch in 0..100 {
        let events = (0..100).map(|n| event(&format!("f-{batch}-{n}"), &format!("F-{batch}-{n}")));
        let events = json!(events.collect::<Vec<Value>>());
        let reply = listening.send(&events).await?;
        match reply.status.as_u16() {
            200 => {}
            429 => refused.push(events),
            other => panic!("{other}: {}", reply.text),
        }
    }
    // 25 items a call and warehouse; each second's collection may end in a call that is not full.
    let took_ms = listening.bed.now() - started;
    let seconds = usize::try_from(took_ms / 1_000)? + 1;
    let (calls, most) = (listening.look_ups(), 2 * (10_000 / 25) + 2 * seconds);
    assert!(calls <= most, "{calls} calls, at most {most} expected");
    if let Some(batch) = refused.first() {
        // Those of the batch that were noted before it was refused count as repeated.
        eventually("a place for what was refused", async || {
            let reply = listening.send(batch).await.ok()?;
            (reply.status == 200).then_some(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_of_skus_lands_within_seconds_during_a_long_cycle() -> Result<(), Failure> {
    let listening = Listening::start(|_| {}).await?;
    listening.bed.d365().set_load(LoadModel {
        base_ms: 400,
        ..LoadModel::default()
    });
    let refresh = async |wanted: Value| listening.prefetcher.post(REFRESHES, &wanted).await;
    let reply = refresh(json!({ "warehouseId": "24" })).await?;
    assert_eq!(reply.status, 202);
    let cycle = "inv:contoso:cycle:24";
    eventually("the long cycle", async || {
        let cycle = listening.bed.hash(cycle).await.ok()?;
        (!cycle.is_empty()).then_some(())
    })
    .await?;
    listening.bed.put("P-000200", "24", "2")?;
    let asked = listening.bed.now();
    let reply = refresh(json!({ "skus": ["P-000200"] })).await?;
    assert_eq!(reply.status, 202);
    listening.is_stored("contoso", "P-000200", "2").await?;
    let took = listening.bed.now() - asked;
    assert!(took < 5_000, "{took} ms");
    let cycle = listening.bed.hash(cycle).await?;
    assert!(!cycle.is_empty(), "the cycle was over: nothing was shown");
    Ok(())
}

//! Events of D365: hints that lead to a reading, and to nothing else.

use crate::house::{House, world};
use d365_simulator::{Kind, LoadModel, StockChange, StockKey};
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::binaries::Service;
use integration_tests::eventually::eventually;
use serde_json::{Value, json};

const KEY: &str = "a-key-of-sixteen-or-more";
const EVENTS: &str = "/inventoryPrefetcher/v1/events";

struct Scene {
    house: House,
    worker: Service,
    _api_service: Service,
    api: ApiClient,
    prefetcher: ApiClient,
}

async fn scene(secret: bool) -> Scene {
    let mut house = House::with(world(300), &["11", "24"]).await;
    house.reconfigure(|config| {
        "1h".clone_into(&mut config.refresh_interval);
        // Slow pages during a cycle must not keep hints waiting.
        let key = if secret {
            format!("[worker.events]\nsecret = \"{KEY}\"\n")
        } else {
            String::new()
        };
        config.more = format!("[worker]\npage_size = 20\ndemand_share = 0\n{key}");
    });
    house.snapshot().await;
    let worker = house.running_worker("worker").await;
    let prefetcher = ApiClient::new(&worker.url()).unwrap();
    let (service, api) = house.api().await;
    Scene {
        house,
        worker,
        _api_service: service,
        api,
        prefetcher,
    }
}

impl Scene {
    async fn send(&self, event: &Value) -> Reply {
        let path = format!("{EVENTS}?code={KEY}");
        self.prefetcher.post(&path, event).await.unwrap()
    }

    fn look_ups(&self) -> usize {
        let requests = self.house.d365().requests(0);
        requests.iter().filter(|r| r.kind == Kind::Lookup).count()
    }

    fn sell(&self, item: &str, left: &str) {
        let key = StockKey::of("usmf", item, "24");
        let change = StockChange::on_hand(left);
        self.house.d365().put_stock(&key, &change).unwrap();
    }

    async fn shows(&self, item: &str, left: &str) {
        eventually("the new number", async || {
            let reply = self.api.fast("24", &[item]).await.ok()?;
            let line = reply.line(item)?;
            (line["availableStock"].as_f64() == left.parse().ok()).then_some(())
        })
        .await
        .unwrap();
    }
}

fn event(id: &str, item: &str) -> Value {
    json!({ "id": id, "eventType": "InventOnHandChanged", "subject": "on-hand",
        "data": { "LegalEntity": "USMF", "ItemNumber": item, "AvailableOnHandQuantity": 9999 } })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_leads_to_a_reading_within_seconds_and_a_repeated_one_to_none() {
    let scene = scene(true).await;
    scene.sell("P-000123", "7");
    let reply = scene.send(&json!([event("e-1", "P-000123")])).await;
    assert_eq!(
        reply.json,
        json!({ "taken": 1, "repeated": 0, "ignored": 0 })
    );
    scene.shows("P-000123", "7").await;
    let look_ups = scene.look_ups();
    let reply = scene.send(&json!([event("e-1", "P-000123")])).await;
    assert_eq!(reply.json["repeated"], 1);

    // A bare object, as D365's own endpoint sends it, for an item nobody knew.
    scene.sell("NEW-1", "3");
    let bare = json!({ "EventId": "e-2", "BusinessEventId": "OnHand", "LegalEntity": "usmf",
        "ItemNumber": "NEW-1" });
    assert_eq!(scene.send(&bare).await.json["taken"], 1);
    scene.shows("NEW-1", "3").await;
    assert_eq!(
        scene.look_ups(),
        look_ups + 1,
        "the repeated one led to none"
    );

    let others = json!([
        { "id": "e-3", "data": { "LegalEntity": "dat", "ItemNumber": "P-000123" } },
        { "id": "e-4", "data": { "LegalEntity": "usmf" } },
        { "id": "e-5", "data": { "LegalEntity": "usmf", "ItemNumber": "P*" } },
    ]);
    assert_eq!(scene.send(&others).await.json["ignored"], 3);
    let warehouse =
        json!({ "EventId": "e-6", "LegalEntity": "usmf", "InventoryWarehouseId": "24" });
    let before = scene.house.feed("24").await["generation"].clone();
    assert_eq!(scene.send(&warehouse).await.json["taken"], 1);
    eventually("a new cycle of the warehouse", async || {
        (scene.house.feed("24").await["generation"] != before).then_some(())
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_meant_for_every_tenant_of_its_company() {
    let mut house = House::with(world(60), &["24"]).await;
    house.reconfigure(|config| {
        "1h".clone_into(&mut config.refresh_interval);
        let trial = config.second_tenant("trial", "usmf");
        config.more =
            format!("[worker]\ndemand_share = 0\n[worker.events]\nsecret = \"{KEY}\"\n{trial}");
    });
    house.snapshot().await;
    let worker = house.running_worker("worker").await;
    let prefetcher = ApiClient::new(&worker.url()).unwrap();
    let key = StockKey::of("usmf", "NEW-1", "24");
    let change = StockChange::on_hand("3");
    house.d365().put_stock(&key, &change).unwrap();
    let path = format!("{EVENTS}?code={KEY}");
    let reply = prefetcher.post(&path, &event("e-1", "NEW-1")).await;
    assert_eq!(reply.unwrap().json["taken"], 1);
    for tenant in ["contoso", "trial"] {
        eventually("the line of the tenant", async || {
            let lines = house.hash(&format!("inv:{tenant}:stock:NEW-1")).await;
            lines.get("24")?.starts_with("3|").then_some(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_the_list_lacks_is_found_by_its_number_and_by_its_item() {
    let mut house = House::with(world(60), &["24"]).await;
    house.reconfigure(|config| {
        "1h".clone_into(&mut config.refresh_interval);
        "variants".clone_into(&mut config.sku_mapping);
        config.more = format!("[worker]\ndemand_share = 0\n[worker.events]\nsecret = \"{KEY}\"\n");
    });
    let worker = house.running_worker("worker").await;
    eventually("the first snapshot", async || {
        let feed = house.feed("24").await;
        (feed.get("state").map(String::as_str) == Some("complete")).then_some(())
    })
    .await
    .unwrap();
    let prefetcher = ApiClient::new(&worker.url()).unwrap();
    let release = |item: &str, number: &str| {
        let key = StockKey {
            color: "Ultramarine".to_owned(),
            ..StockKey::of("usmf", item, "24")
        };
        let d365 = house.d365();
        d365.release_variant(&key, number).unwrap();
        d365.put_stock(&key, &StockChange::on_hand("7")).unwrap();
    };
    let shows = async |number: &str| {
        eventually("the variant's line", async || {
            let lines = house.hash(&format!("inv:contoso:stock:{number}")).await;
            lines.get("24")?.starts_with("7|").then_some(())
        })
        .await
        .unwrap();
    };
    release("MASTER-1", "NEW-1");
    let refresh = json!({ "skus": ["NEW-1"] });
    let path = "/inventoryPrefetcher/v1/refreshes";
    let reply = prefetcher.post(path, &refresh).await.unwrap();
    assert_eq!(reply.status, 202, "{}", reply.text);
    shows("NEW-1").await;
    release("MASTER-2", "NEW-2");
    let path = format!("{EVENTS}?code={KEY}");
    let reply = prefetcher.post(&path, &event("e-1", "MASTER-2")).await;
    assert_eq!(reply.unwrap().json["taken"], 1);
    shows("NEW-2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn event_grid_is_answered_and_nobody_else_gets_in() {
    let scene = scene(true).await;
    let validation = json!([{ "id": "v", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": { "validationCode": "512d38b6" } }]);
    let reply = scene.send(&validation).await;
    assert_eq!(reply.json["validationResponse"], "512d38b6");
    let look_ups = scene.look_ups();
    for path in [EVENTS.to_owned(), format!("{EVENTS}?code=wrong")] {
        let reply = scene.prefetcher.post(&path, &event("x", "P-000123")).await;
        assert_eq!(reply.unwrap().status, 401);
    }
    let log = scene.worker.assert_log_clean(&[]);
    log.unwrap();
    for (body, status) in [
        (json!("text"), 422),
        (json!([1]), 422),
        (json!(vec![0; 101]), 413),
    ] {
        assert_eq!(scene.send(&body).await.status, status, "{body}");
    }
    assert_eq!(scene.look_ups(), look_ups);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_secret_there_is_no_way_in() {
    let scene = scene(false).await;
    let reply = scene.send(&event("x", "P-000123")).await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.error_code(), Some("inventory.events.off.error"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_stays_bounded_and_what_was_refused_may_come_again() {
    let scene = scene(true).await;
    let (before, started) = (scene.look_ups(), scene.house.d365().now());
    let (mut taken, mut refused) = (0, Vec::new());
    for batch in 0..100 {
        let events: Vec<Value> = (0..100)
            .map(|n| event(&format!("f-{batch}-{n}"), &format!("F-{batch}-{n}")))
            .collect();
        let reply = scene.send(&json!(events)).await;
        match reply.status.as_u16() {
            200 => taken += 1,
            429 => refused.push(json!(events)),
            other => panic!("{other}: {}", reply.text),
        }
    }
    println!("{taken} of 100 batches taken at once");
    // 25 items a call and warehouse; each second's collection may end in a call that is not full.
    let calls = scene.look_ups() - before;
    let took_ms = scene.house.d365().now().unix_millis() - started.unix_millis();
    let seconds = usize::try_from(took_ms / 1_000).unwrap() + 1;
    let most = 2 * (10_000 / 25) + 2 * seconds;
    assert!(calls <= most, "{calls} calls, at most {most} expected");
    if let Some(batch) = refused.first() {
        // Those of the batch that were noted before it was refused count as repeated; the rest gets in.
        eventually("room for what was refused", async || {
            let reply = scene.send(batch).await;
            (reply.status == 200).then_some(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_of_skus_lands_within_seconds_during_a_long_cycle() {
    let scene = scene(true).await;
    scene.house.d365().set_load(LoadModel {
        base_ms: 400,
        ..LoadModel::default()
    });
    let refresh = json!({ "warehouseId": "24" });
    let path = "/inventoryPrefetcher/v1/refreshes";
    let taken = scene.prefetcher.post(path, &refresh).await.unwrap();
    assert_eq!(taken.status, 202);
    eventually("the long cycle", async || {
        let due = scene.house.hash("inv:contoso:cycle:24").await;
        (!due.is_empty()).then_some(())
    })
    .await
    .unwrap();
    scene.sell("P-000200", "2");
    let asked = scene.house.d365().now();
    let refresh = json!({ "skus": ["P-000200"] });
    assert_eq!(
        scene.prefetcher.post(path, &refresh).await.unwrap().status,
        202
    );
    scene.shows("P-000200", "2").await;
    let took = scene.house.d365().now().unix_millis() - asked.unix_millis();
    assert!(took < 5_000, "{took} ms");
    let still_under_way = scene.house.hash("inv:contoso:cycle:24").await;
    assert!(
        !still_under_way.is_empty(),
        "the cycle was over: nothing was shown"
    );
}

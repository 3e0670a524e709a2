//! "What can I show?"

use crate::rig::{PREFETCHED, Rig, code, exact, fast, line};
use serde_json::{Value, json};
use shared::d365::D365Error;
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_fast_question_tells_number_state_source_and_age() {
    let rig = Rig::start().await;
    let read = rig.ago(MINUTE);
    let lines = [("A", "11", "112"), ("B", "11", "2.5"), ("C", "11", "-3")];
    rig.snapshot(read, &["11"], &lines).await;
    let (status, body) = rig.stock(fast("11", &["B", "A", "B", "C", "D"])).await;
    assert_eq!(status, 200);
    let data = body["data"].as_array().unwrap();
    assert_eq!(data.len(), 4);
    let age = data[1]["ageSeconds"].as_u64().unwrap();
    assert!((60..70).contains(&age), "{age}");
    let expected = json!({
        "sku": "A", "warehouseId": "11", "inStock": true, "availableStock": 112,
        "state": "PRESENT", "source": "CACHE", "asOf": read.to_string(), "ageSeconds": age,
        "stale": false, "found": true, "onHand": 117, "reserved": 5, "ordered": 0,
        "stockLevel": "HIGH"
    });
    assert_eq!(data[1], expected);
    let shown = |number: usize| {
        (
            data[number]["sku"].clone(),
            data[number]["availableStock"].to_string(),
        )
    };
    assert_eq!(shown(0), (json!("B"), "2.5".to_owned()));
    assert_eq!(shown(2), (json!("C"), "0".to_owned()));
    assert_eq!(data[2]["onHand"], 2);
    assert_eq!(data[3]["state"], "ABSENT");
    assert_eq!(data[3]["inStock"], false);
    assert_eq!(body["infos"][0]["code"], "inventory.product.not_found.info");
    assert_eq!(body["infos"][0]["paths"], json!(["$.skus[4]"]));
    assert_eq!(
        body["infos"][0]["parameters"],
        json!({"sku": "D", "warehouseId": "11"})
    );
    assert_eq!(body["meta"]["state"], "ready");
    assert_eq!(body["meta"]["snapshotAt"], read.to_string());
    assert_eq!(body["meta"]["refreshIntervalSeconds"], 900);
    assert_eq!(body["meta"]["degraded"], false);
    assert!(
        rig.source.questions().look_ups.is_empty(),
        "FAST asked D365"
    );
}

#[tokio::test]
async fn several_warehouses_are_added_up_and_listed() {
    let rig = Rig::start().await;
    let (older, newer) = (rig.ago(3 * MINUTE), rig.ago(MINUTE));
    rig.snapshot(older, &["11"], &[("A", "11", "-4"), ("B", "11", "1")])
        .await;
    rig.snapshot(newer, &["24"], &[("A", "24", "7")]).await;
    let question =
        json!({ "warehouseIds": ["24", "11"], "products": [{"sku": "A"}, {"sku": "B"}] });
    let (status, body) = rig.stock(question).await;
    assert_eq!(status, 200);
    let first = &body["data"][0];
    assert_eq!(first["availableStock"], 7);
    assert_eq!(first["onHand"], 13);
    assert_eq!(first["asOf"], older.to_string());
    assert!(first.get("warehouseId").is_none());
    let rows = first["supplierStock"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[0]["id"], &rows[0]["availableStock"]),
        (&json!("24"), &json!(7))
    );
    assert_eq!(
        (&rows[1]["id"], &rows[1]["availableStock"]),
        (&json!("11"), &json!(0))
    );
    assert_eq!(rows[1]["inStock"], false);
    assert_eq!(body["data"][1]["availableStock"], 1);
    assert_eq!(body["meta"]["snapshotAt"], older.to_string());
    assert_eq!(body["meta"]["warehouses"][0]["warehouseId"], "24");
    assert_eq!(
        body["meta"]["warehouses"][0]["snapshotAt"],
        newer.to_string()
    );
}

#[tokio::test]
async fn a_channel_hides_its_number_and_sells_what_it_does_not_know() {
    let rig = Rig::start().await;
    rig.snapshot(
        rig.ago(MINUTE),
        &["11"],
        &[("A", "11", "7"), ("B", "11", "1")],
    )
    .await;
    let (_, body) = rig
        .stock(json!({ "channel": "coy", "skus": ["A", "B", "C"] }))
        .await;
    let told: Vec<Value> = body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            json!([
                line["availableStock"],
                line["inStock"],
                line["state"],
                line["onHand"]
            ])
        })
        .collect();
    let expected = json!([
        [-1, true, "PRESENT", null],
        [0, false, "PRESENT", null],
        [-1, true, "ABSENT", null],
    ]);
    assert_eq!(Value::Array(told), expected);
}

#[tokio::test]
async fn a_cold_cache_is_told_and_never_a_zero() {
    let rig = Rig::start().await;
    let reply = rig
        .post("/inventory/v1/inventories", &fast("11", &["A"]))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 503);
    assert!(reply.headers().contains_key("retry-after"));
    let body: Value = reply.json().await.unwrap();
    assert_eq!(code(&body), "inventory.cache.cold.error");

    rig.write(&[line("A", "11", "4", rig.ago(MINUTE), PREFETCHED)])
        .await;
    let (status, body) = rig.stock(fast("11", &["A", "B"])).await;
    assert_eq!(status, 200);
    assert_eq!(body["meta"]["state"], "cold");
    assert_eq!(body["data"][0]["availableStock"], 4);
    let unknown = &body["data"][1];
    assert_eq!(unknown["state"], "UNKNOWN");
    assert_eq!(unknown["source"], "NONE");
    assert_eq!(
        (&unknown["asOf"], &unknown["ageSeconds"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(body["infos"][0]["code"], "inventory.product.unknown.info");
}

#[tokio::test]
async fn a_redis_that_is_away_is_told_and_exact_still_answers() {
    let mut rig = Rig::start().await;
    rig.erp_has(&[("A", "11", "9")]);
    rig.redis.kill().unwrap();
    let (status, body) = rig.stock(fast("11", &["A"])).await;
    assert_eq!(
        (status, code(&body)),
        (503, "inventory.cache.unavailable.error")
    );
    let (status, body) = rig.stock(exact("11", &["A"])).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["data"][0]["availableStock"], 9);
    assert_eq!(body["data"][0]["source"], "LIVE");
    assert_eq!(body["meta"]["writeThrough"], "failed");
    assert!(body["meta"].get("state").is_none());
    rig.redis.restart().unwrap();
    rig.eventually("the cache answers again", async || {
        code(&rig.stock(fast("11", &["A"])).await.1) == "inventory.cache.cold.error"
    })
    .await;
}

#[tokio::test]
async fn an_exact_answer_is_stored_and_an_older_page_does_not_undo_it() {
    let rig = Rig::start().await;
    rig.snapshot(
        rig.ago(MINUTE),
        &["11"],
        &[("A", "11", "5"), ("GONE", "11", "3")],
    )
    .await;
    rig.erp_has(&[("A", "11", "8.25")]);
    let page_started = rig.now();
    let (status, body) = rig.stock(exact("11", &["A", "GONE"])).await;
    assert_eq!(status, 200);
    let live = &body["data"][0];
    assert_eq!(live["source"], "LIVE");
    assert_eq!(live["availableStock"].to_string(), "8.25");
    assert_eq!(body["data"][1]["state"], "ABSENT");
    assert_eq!(body["meta"]["writeThrough"], "stored");
    assert_eq!(body["meta"]["severity"], "EXACT");

    let page = [line("A", "11", "5", page_started, PREFETCHED)];
    rig.write(&page).await;
    let (_, body) = rig.stock(fast("11", &["A", "GONE"])).await;
    let cached = &body["data"][0];
    assert_eq!(cached["source"], "CACHE");
    assert_eq!(cached["availableStock"].to_string(), "8.25");
    assert_eq!(cached["asOf"], live["asOf"]);
    assert_eq!(body["data"][1]["state"], "ABSENT");
}

#[tokio::test]
async fn exact_fails_without_d365_unless_the_cache_is_asked_for() {
    let rig = Rig::start().await;
    rig.snapshot(rig.ago(MINUTE), &["11"], &[("A", "11", "5")])
        .await;
    let throttled = D365Error::Throttled {
        retry_after: Duration::from_secs(17),
    };
    rig.source.fail_look_ups(Some(throttled));
    let reply = rig
        .post("/inventory/v1/inventories", &exact("11", &["A"]))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 503);
    assert_eq!(reply.headers()["retry-after"], "17");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(code(&body), "inventory.backend.unavailable.error");
    assert_eq!(body["errors"][0]["parameters"]["policy"], "fail");

    let mut question = exact("11", &["A"]);
    question["onLiveFailure"] = json!("CACHE");
    let (status, body) = rig.stock(question).await;
    assert_eq!(status, 200);
    assert_eq!(body["data"][0]["source"], "CACHE");
    assert_eq!(body["meta"]["degraded"], true);
    assert_eq!(
        body["meta"]["liveFailure"],
        "inventory.backend.unavailable.error"
    );
}

#[tokio::test]
async fn exact_ends_with_its_deadline() {
    let rig = Rig::start().await;
    rig.source.delay_look_ups(Duration::from_mins(1));
    let mut question = exact("11", &["A"]);
    question["timeoutMs"] = json!(200);
    let asked = tokio::time::timeout(Duration::from_secs(5), rig.stock(question));
    let (status, body) = asked.await.expect("an answer long before the ERP's");
    assert_eq!(
        (status, code(&body)),
        (504, "inventory.backend.timeout.error")
    );
}

#[tokio::test]
async fn a_fast_question_with_an_age_renews_what_is_older_if_it_can() {
    let rig = Rig::start().await;
    rig.snapshot(
        rig.ago(5 * MINUTE),
        &["11"],
        &[("OLD", "11", "5"), ("LIKE*", "11", "6")],
    )
    .await;
    rig.write(&[line("NEW", "11", "3", rig.now(), PREFETCHED)])
        .await;
    rig.erp_has(&[("OLD", "11", "9"), ("NEW", "11", "99")]);
    let question =
        json!({ "warehouseId": "11", "maxAgeSeconds": 60, "skus": ["OLD", "NEW", "LIKE*"] });
    let (_, body) = rig.stock(question.clone()).await;
    let told = |number: usize| {
        let line = &body["data"][number];
        json!([line["source"], line["availableStock"], line["stale"]])
    };
    assert_eq!(told(0), json!(["LIVE", 9, false]));
    assert_eq!(told(1), json!(["CACHE", 3, false]));
    assert_eq!(told(2), json!(["CACHE", 6, true]));

    rig.snapshot(rig.ago(4 * MINUTE), &["11"], &[("LATER", "11", "1")])
        .await;
    rig.source.fail_look_ups(Some(D365Error::TimedOut {
        stage: "test",
        silent_for: Duration::from_secs(1),
    }));
    let mut question = question;
    question["skus"] = json!(["LATER"]);
    let (status, body) = rig.stock(question).await;
    assert_eq!(status, 200);
    assert_eq!(body["data"][0]["stale"], true);
    assert_eq!(body["data"][0]["availableStock"], 1);
    assert_eq!(
        body["meta"]["liveFailure"],
        "inventory.backend.timeout.error"
    );
}

#[tokio::test]
async fn a_dead_feed_shows_with_no_worker_alive() {
    let rig = Rig::start().await;
    rig.snapshot(rig.ago(31 * MINUTE), &["11"], &[("A", "11", "5")])
        .await;
    let (status, body) = rig.stock(fast("11", &["A"])).await;
    assert_eq!(status, 200);
    assert_eq!(body["data"][0]["stale"], true);
    assert_eq!(body["meta"]["state"], "degraded");
    let ready = rig.ready().await;
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["tenants"][0]["warehouses"][0]["overdue"], true);
    rig.eventually("the metric tells it", async || {
        rig.metrics()
            .await
            .contains("inventory_api_feed_overdue{tenant=\"contoso\",warehouse=\"11\"} 1")
    })
    .await;
}

#[tokio::test]
async fn the_get_twin_is_revalidated_by_its_tag() {
    let rig = Rig::start().await;
    let read = rig.ago(MINUTE);
    rig.snapshot(read, &["11"], &[("A", "11", "5")]).await;
    let path = "/inventory/v1/inventories?sku=A&warehouseId=11";
    let first = rig.get(path).send().await.unwrap();
    assert_eq!(first.status(), 200);
    let header = |name: &str| first.headers()[name].to_str().unwrap().to_owned();
    let tag = header("etag");
    assert!(header("last-modified").ends_with("GMT"));
    let age: u64 = header("age").parse().unwrap();
    let kept: u64 = header("cache-control")
        .strip_prefix("max-age=")
        .unwrap()
        .parse()
        .unwrap();
    assert!((60..70).contains(&age), "{age}");
    assert_eq!(kept, age + 60);
    let again = rig
        .get(path)
        .header("if-none-match", &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 304);
    assert_eq!(again.headers()["etag"].to_str().unwrap(), tag);
    assert!(again.bytes().await.unwrap().is_empty());
    rig.write(&[line("A", "11", "4", rig.now(), PREFETCHED)])
        .await;
    let changed = rig
        .get(path)
        .header("if-none-match", &tag)
        .send()
        .await
        .unwrap();
    assert_eq!(changed.status(), 200);
    let body: Value = changed.json().await.unwrap();
    assert_eq!(body["data"][0]["availableStock"], 4);
}

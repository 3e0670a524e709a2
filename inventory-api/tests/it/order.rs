//! "May I accept this order?"

use crate::rig::{Rig, code};
use serde_json::{Value, json};
use shared::d365::D365Error;
use shared::process::clock::Clock;
use shared::stock::{AsOf, ItemNumber};
use std::time::Duration;

const MINUTE: Duration = Duration::from_mins(1);

fn order(products: &[(&str, f64)]) -> Value {
    let products: Vec<Value> = products
        .iter()
        .map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity }))
        .collect();
    json!({ "warehouseId": "11", "products": products })
}

#[tokio::test]
async fn an_order_is_decided_by_the_erp_and_not_by_what_was_read_before() {
    let rig = Rig::start().await;
    rig.snapshot(
        rig.ago(MINUTE),
        &["11"],
        &[("A", "11", "100"), ("B", "11", "100")],
    )
    .await;
    rig.erp_has(&[("A", "11", "3"), ("B", "11", "2")]);
    let asked_at = rig.now();
    let (status, body) = rig
        .check(order(&[("A", 1.0), ("B", 1.5), ("A", 3.0), ("C", 1.0)]))
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        (&body["orderable"], &body["partial"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(body["policy"], "reject");
    let told = |number: usize| {
        let line = &body["data"][number];
        json!([
            line["sku"],
            line["requested"],
            line["granted"],
            line["orderable"],
            line["basis"],
            line["source"]
        ])
    };
    assert_eq!(told(0), json!(["A", 4, 3, false, "live", "LIVE"]));
    assert_eq!(told(1), json!(["B", 1.5, 1.5, true, "live", "LIVE"]));
    assert_eq!(told(2), json!(["C", 1, 0, false, "live", "LIVE"]));
    let as_of: AsOf = body["data"][0]["asOf"].as_str().unwrap().parse().unwrap();
    assert!(as_of >= asked_at, "{as_of} was read before {asked_at}");
    let shortage = &body["errors"][0];
    assert_eq!(shortage["code"], "inventory.quantity.insufficient.error");
    assert_eq!(
        shortage["parameters"],
        json!({"sku": "A", "requested": "4", "granted": "3"})
    );
    assert_eq!(shortage["paths"], json!(["$.products[0].sku"]));
    assert_eq!(body["errors"].as_array().unwrap().len(), 2);
    assert_eq!(body["meta"]["degraded"], false);
    assert_eq!(body["meta"]["writeThrough"], "stored");

    let (_, body) = rig.stock(crate::rig::fast("11", &["A", "C"])).await;
    assert_eq!(body["data"][0]["availableStock"], 3);
    assert_eq!(body["data"][1]["state"], "ABSENT");
}

#[tokio::test]
async fn a_whole_order_is_orderable() {
    let rig = Rig::start().await;
    rig.erp_has(&[("A", "11", "3"), ("A", "24", "2")]);
    let question =
        json!({ "warehouseIds": ["11", "24"], "products": [{"sku": "A", "quantity": 5}] });
    let (status, body) = rig.check(question).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&body["orderable"], &body["partial"]),
        (&json!(true), &json!(false))
    );
    assert!(body.get("errors").is_none());
    assert_eq!(body["data"][0]["supplierStock"][1]["availableStock"], 2);
}

#[tokio::test]
async fn without_the_erp_the_declared_policy_decides_and_is_named() {
    let rig = Rig::start().await;
    rig.snapshot(rig.ago(MINUTE), &["11"], &[("A", "11", "5")])
        .await;
    rig.source.fail_look_ups(Some(D365Error::Status {
        status: 500,
        message: "boom".to_owned(),
    }));
    let (status, body) = rig.check(order(&[("A", 1.0)])).await;
    assert_eq!((status, code(&body)), (502, "inventory.backend.error"));
    assert_eq!(body["errors"][0]["parameters"]["policy"], "reject");

    for (channel, asked, policy, granted) in [
        ("lenient", Value::Null, "accept-if-fresh", 3),
        ("trusting", Value::Null, "accept", 7),
        ("trusting", json!("CACHE"), "cache", 5),
    ] {
        let mut question = order(&[("A", 7.0)]);
        question["channel"] = json!(channel);
        if !asked.is_null() {
            question["onLiveFailure"] = asked;
        }
        let (status, body) = rig.check(question).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["policy"], policy);
        let line = &body["data"][0];
        assert_eq!(
            (&line["basis"], &line["granted"]),
            (&json!(policy), &json!(granted))
        );
        let evidence = &line["evidence"];
        assert_eq!(evidence["quantity"], 5);
        assert!(evidence["ageSeconds"].as_u64().unwrap() >= 60, "{evidence}");
        if policy == "accept-if-fresh" {
            assert_eq!(evidence["maxAgeSeconds"], 600);
            assert_eq!(evidence["buffer"], 2);
        } else {
            assert!(evidence.get("buffer").is_none());
        }
        assert_eq!(line["source"], "CACHE");
        assert_eq!(body["meta"]["degraded"], true);
        assert_eq!(body["meta"]["liveFailure"], "inventory.backend.error");
    }

    let mut question = order(&[("A", 1.0)]);
    question["channel"] = json!("trusting");
    question["onLiveFailure"] = json!("fail");
    let (status, body) = rig.check(question).await;
    assert_eq!(status, 502);
    assert_eq!(body["errors"][0]["parameters"]["policy"], "fail");
}

#[tokio::test]
async fn a_look_alike_is_neither_granted_nor_stored_as_absent() {
    let rig = Rig::start().await;
    rig.snapshot(rig.ago(MINUTE), &["11"], &[("a1", "11", "5")])
        .await;
    rig.source
        .set_unproved(vec![ItemNumber::parse("a1").unwrap()]);
    let (status, body) = rig.check(order(&[("a1", 1.0)])).await;
    assert_eq!(status, 200);
    assert_eq!(body["data"][0]["state"], "UNKNOWN");
    assert_eq!(body["data"][0]["granted"], 0);
    let (_, body) = rig.stock(crate::rig::fast("11", &["a1"])).await;
    assert_eq!(body["data"][0]["availableStock"], 5);
}

#[tokio::test]
async fn a_newer_stored_line_is_kept_and_the_order_still_sees_its_own_answer() {
    let rig = Rig::start().await;
    let ahead = rig.now().plus(Duration::from_secs(3));
    rig.write(&[crate::rig::line(
        "A",
        "11",
        "1",
        ahead,
        crate::rig::PREFETCHED,
    )])
    .await;
    rig.erp_has(&[("A", "11", "8")]);
    let (_, body) = rig.check(order(&[("A", 8.0)])).await;
    assert_eq!(body["orderable"], true);
    assert_eq!(body["meta"]["writeThrough"], "partly");
}

#[tokio::test]
async fn with_an_erp_that_never_answers_the_policy_is_told_inside_the_deadline() {
    let rig = Rig::start().await;
    rig.snapshot(rig.ago(MINUTE), &["11"], &[("A", "11", "5")])
        .await;
    rig.source.delay_look_ups(10 * MINUTE);
    for (channel, expected) in [("lenient", 200), ("trusting", 200), ("coy", 504)] {
        let mut question = order(&[("A", 2.0)]);
        question["channel"] = json!(channel);
        question["timeoutMs"] = json!(600);
        let began = rig.store.clock().monotonic();
        let (status, body) = rig.check(question).await;
        let took = rig.store.clock().monotonic().saturating_sub(began);
        assert_eq!(status, expected, "{body}");
        assert!(took < Duration::from_millis(900), "{channel}: {took:?}");
        if status == 200 {
            assert_eq!(body["meta"]["degraded"], true);
        }
    }
    let last = json!({"warehouseId": "11", "channel": "coy", "timeoutMs": 600,
                      "products": [{"sku": "A", "quantity": 1}]});
    for _ in 0..2 {
        assert_eq!(rig.check(last.clone()).await.0, 504);
    }
    let began = rig.store.clock().monotonic();
    let (status, body) = rig.check(last).await;
    let took = rig.store.clock().monotonic().saturating_sub(began);
    assert_eq!(
        (status, code(&body)),
        (503, "inventory.backend.unavailable.error"),
        "after five failures D365 is left alone"
    );
    assert!(took < Duration::from_millis(300), "{took:?}");
    assert_eq!(rig.source.questions().look_ups.len(), 5);
    let metrics = rig.metrics().await;
    assert!(metrics.contains("inventory_api_live_breaker_opened_total"));
}

#[tokio::test]
async fn what_the_cache_would_have_oversold_is_told_with_the_buffer_against_it() {
    let rig = Rig::start().await;
    rig.snapshot(
        rig.ago(2 * MINUTE),
        &["11"],
        &[("A", "11", "9"), ("B", "11", "4")],
    )
    .await;
    rig.erp_has(&[("A", "11", "2"), ("B", "11", "6")]);
    let (status, _) = rig.check(order(&[("A", 1.0), ("B", 1.0)])).await;
    assert_eq!(status, 200);
    let drift = async || {
        let reply = rig.get("/inventory/v1/drift?days=2").send().await.unwrap();
        crate::rig::told(reply).await
    };
    rig.eventually("the comparison is in Redis", async || {
        drift().await.1["data"][0]["compared"] == 2
    })
    .await;
    let (status, body) = drift().await;
    assert_eq!(status, 200);
    let told = &body["data"][0];
    assert_eq!(told["warehouseId"], "11");
    assert_eq!(told["oversold"], json!({"lines": 1, "meanQuantity": 7}));
    assert_eq!(told["undersold"], json!({"lines": 1, "meanQuantity": 2}));
    assert_eq!(told["bufferFor99Percent"], 8);
    assert_eq!(
        told["byAge"],
        json!([{"upToSeconds": 300, "compared": 2, "oversold": 1, "undersold": 1}])
    );
    assert_eq!(body["data"][1]["compared"], 0);
    for (query, expected) in [
        ("days=0", 422),
        ("days=8", 422),
        ("organization=nobody", 404),
        ("warehouseId=99", 404),
    ] {
        let reply = rig
            .get(&format!("/inventory/v1/drift?{query}"))
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status().as_u16(), expected, "{query}");
    }
}

//! Whatever is sent: the right status, a stable code, the path of the offence; the service goes on.
//! Which values are wrong is proved where bodies are read (`inventories/request`).

use crate::rig::{CHECK, Rig, STOCK, code, fast, told};
use serde_json::{Value, json};
use std::time::Duration;

const JSON: &str = "application/json";

#[tokio::test]
async fn a_wrong_question_is_refused_with_its_code_and_path() {
    let rig = Rig::start().await;
    let in_11 = |field: &str, value: Value| {
        let mut question = json!({"warehouseId": "11"});
        question[field] = value;
        question.to_string()
    };
    let many: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    let exact = r#"{"warehouseId":"11","severity":"EXACT","skus":["A","A*"]}"#.to_owned();
    let nobody = |field: &str| format!(r#"{{"skus":["A"],"{field}":"nobody"}}"#);
    let order = |quantity: &str| in_11("products", serde_json::from_str(quantity).unwrap());
    for (path, body, status, thing, place) in [
        (STOCK, "not JSON".to_owned(), 400, "request.malformed", "$"),
        (STOCK, "[]".to_owned(), 400, "request.malformed", "$"),
        (
            STOCK,
            in_11("skus", json!("A")),
            400,
            "request.malformed",
            "$.skus",
        ),
        (
            STOCK,
            in_11("skus", json!(["x".repeat(10_240)])),
            422,
            "request.invalid",
            "$.skus[0]",
        ),
        (
            STOCK,
            in_11("skus", json!(["a\u{7}"])),
            422,
            "request.invalid",
            "$.skus[0]",
        ),
        (
            STOCK,
            r#"{"skus":["A"]}"#.to_owned(),
            422,
            "request.invalid",
            "$.warehouseId",
        ),
        (STOCK, exact, 422, "request.invalid", "$.skus[1]"),
        (
            STOCK,
            in_11("skus", json!(many)),
            413,
            "request.too_large",
            "$.skus",
        ),
        (
            STOCK,
            nobody("warehouseId"),
            404,
            "warehouse.not_found",
            "$.warehouseId",
        ),
        (
            STOCK,
            nobody("organization"),
            404,
            "organization.not_found",
            "$.organization",
        ),
        (
            STOCK,
            nobody("channel"),
            404,
            "channel.not_found",
            "$.channel",
        ),
        (
            CHECK,
            order(r#"[{"sku":"A","quantity":0}]"#),
            422,
            "request.invalid",
            "$.products[0].quantity",
        ),
        (
            CHECK,
            order(r#"[{"sku":"A*","quantity":1}]"#),
            422,
            "request.invalid",
            "$.products[0].sku",
        ),
    ] {
        let request = rig.client.post(format!("{}{path}", rig.api));
        let request = request.header("content-type", "application/json");
        let (found, reply) = told(request.body(body.clone()).send().await.unwrap()).await;
        let shown: String = body.chars().take(100).collect();
        let expected = format!("inventory.{thing}.error");
        assert_eq!((found, code(&reply)), (status, &*expected), "{shown}");
        assert_eq!(reply["errors"][0]["paths"], json!([place]), "{shown}");
        assert_eq!(reply["errors"][0]["status"], status.to_string());
    }
    assert!(rig.source.questions().look_ups.is_empty());
}

#[tokio::test]
async fn odd_skus_are_answered_exactly() {
    let rig = Rig::start().await;
    let odd = [
        "a'b\"c",
        "\u{1F4A9}",
        "%00",
        "{}",
        "A*",
        "&$filter=x",
        " A",
        "a",
    ];
    let lines: Vec<(&str, &str, &str)> = odd.iter().map(|sku| (*sku, "11", "2")).collect();
    rig.snapshot(rig.ago(Duration::from_mins(1)), &["11"], &lines)
        .await;
    let (status, reply) = rig.stock(fast("11", &odd)).await;
    assert_eq!(status, 200, "{reply}");
    for (line, sku) in reply["data"].as_array().unwrap().iter().zip(odd) {
        assert_eq!(
            (&line["sku"], &line["availableStock"]),
            (&json!(sku), &json!(2))
        );
    }
}

#[tokio::test]
async fn a_body_is_plain_json_within_its_size_and_depth() {
    let rig = Rig::start_with("[api.limits]\nbody_bytes = \"1KiB\"").await;
    let question = fast("11", &["A"]).to_string();
    let nested = |depth| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"warehouseId":"11","skus":["a"],"x":{open}{close}}}"#)
    };
    let limit = |name: &str, limit: &str| json!({"name": name, "limit": limit});
    for (kind, encoding, body, expected, parameters) in [
        ("text/plain", "identity", question.clone(), 415, Value::Null),
        ("", "identity", question.clone(), 415, Value::Null),
        (JSON, "gzip", question.clone(), 415, Value::Null),
        (
            "application/json; charset=utf-8",
            "identity",
            question.clone(),
            503,
            Value::Null,
        ),
        (
            "application/vnd.intershop.inventory.v1+json",
            "identity",
            question,
            503,
            Value::Null,
        ),
        (
            JSON,
            "identity",
            " ".repeat(4_096),
            413,
            limit("bodyBytes", "1024"),
        ),
        (JSON, "identity", nested(31), 503, Value::Null),
        (JSON, "identity", nested(32), 413, limit("jsonDepth", "32")),
    ] {
        let mut request = rig.client.post(format!("{}{STOCK}", rig.api));
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let request = request.header("content-encoding", encoding).body(body);
        let (status, body) = told(request.send().await.unwrap()).await;
        assert_eq!(status, expected, "{kind} {encoding} {body}");
        assert_eq!(body["errors"][0]["parameters"], parameters);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_same_form() {
    let rig = Rig::start().await;
    for (method, path, status, allowed) in [
        ("GET", "/", 404, ""),
        ("GET", "/inventory/v2/inventories", 404, ""),
        ("GET", "/inventory/v1/inventories/", 404, ""),
        ("DELETE", STOCK, 405, "GET, HEAD, POST"),
        ("GET", CHECK, 405, "POST"),
        ("TRACE", "/inventory/api", 405, "GET, HEAD"),
    ] {
        let request = rig
            .client
            .request(method.parse().unwrap(), format!("{}{path}", rig.api));
        let reply = request.send().await.unwrap();
        let allow = reply
            .headers()
            .get("allow")
            .map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(allow.unwrap_or_default(), allowed);
        let (found, body) = told(reply).await;
        let thing = if status == 404 {
            "route.not_found"
        } else {
            "method.not_allowed"
        };
        assert_eq!(
            (found, code(&body)),
            (status, &*format!("inventory.{thing}.error")),
            "{path}"
        );
    }
    let reply = rig.get("/inventory/v1/inventories?sku=%ff").send().await;
    assert_eq!(told(reply.unwrap()).await.0, 400);
}

//! Whatever is sent: the right status, a stable code, the path of the offence; the service goes on.

use crate::rig::{Rig, code, fast, told};
use serde_json::{Value, json};
use std::time::Duration;

const STOCK: &str = "/inventory/v1/inventories";
const CHECK: &str = "/inventory/v1/availability-checks";

/// Sends each body and compares status, code and path.
async fn assert_refused(rig: &Rig, path: &str, expected: (u16, &str), cases: &[(String, &str)]) {
    for (body, place) in cases {
        let request = rig.client.post(format!("{}{path}", rig.api));
        let request = request.header("content-type", "application/json");
        let (status, reply) = told(request.body(body.clone()).send().await.unwrap()).await;
        let shown: String = body.chars().take(100).collect();
        assert_eq!((status, code(&reply)), expected, "{shown}");
        assert_eq!(reply["errors"][0]["paths"], json!([place]), "{shown}");
        assert_eq!(reply["errors"][0]["status"], status.to_string());
    }
}

fn case(body: &Value, place: &'static str) -> (String, &'static str) {
    (body.to_string(), place)
}

#[tokio::test]
async fn what_is_not_json_or_of_another_type_is_malformed() {
    let rig = Rig::start().await;
    let cases = [
        (String::new(), "$"),
        ("not JSON".to_owned(), "$"),
        case(&json!([]), "$"),
        case(&json!({"skus": "A"}), "$.skus"),
        case(&json!({"products": [{"sku": 5}]}), "$.products[0].sku"),
        case(&json!({"skus": ["A"], "severity": 1}), "$.severity"),
    ];
    let expected = (400, "inventory.request.malformed.error");
    assert_refused(&rig, STOCK, expected, &cases).await;
}

#[tokio::test]
async fn values_outside_their_rules_are_invalid() {
    let rig = Rig::start().await;
    let in_11 = |field: &str, value: Value| {
        let mut question = json!({"warehouseId": "11"});
        question[field] = value;
        question
    };
    let exact = json!({"warehouseId": "11", "severity": "EXACT", "skus": ["A", "A*"]});
    let doubtful = json!({"warehouseId": "11", "severity": "MAYBE", "skus": ["A"]});
    let expected = (422, "inventory.request.invalid.error");
    let cases = [
        case(&json!({"skus": []}), "$.skus"),
        case(&in_11("skus", json!(["x".repeat(10_240)])), "$.skus[0]"),
        case(&in_11("skus", json!(["a\u{7}"])), "$.skus[0]"),
        case(&doubtful, "$.severity"),
        case(&json!({"skus": ["A"]}), "$.warehouseId"),
        case(&exact, "$.skus[1]"),
    ];
    assert_refused(&rig, STOCK, expected, &cases).await;
    let cases = [
        case(
            &in_11("products", json!([{"sku": "A", "quantity": 0}])),
            "$.products[0].quantity",
        ),
        case(
            &in_11("products", json!([{"sku": "A*", "quantity": 1}])),
            "$.products[0].sku",
        ),
    ];
    assert_refused(&rig, CHECK, expected, &cases).await;
    let many: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    let cases = [case(&in_11("skus", json!(many)), "$.skus")];
    let expected = (413, "inventory.request.too_large.error");
    assert_refused(&rig, STOCK, expected, &cases).await;
    assert!(rig.source.questions().look_ups.is_empty());
}

#[tokio::test]
async fn who_does_not_exist_is_not_found() {
    let rig = Rig::start().await;
    for (field, place, expected) in [
        (
            "warehouseId",
            "$.warehouseId",
            "inventory.warehouse.not_found.error",
        ),
        (
            "organization",
            "$.organization",
            "inventory.organization.not_found.error",
        ),
        ("channel", "$.channel", "inventory.channel.not_found.error"),
    ] {
        let mut question = json!({"skus": ["A"]});
        question[field] = json!("nobody");
        assert_refused(&rig, STOCK, (404, expected), &[case(&question, place)]).await;
    }
}

#[tokio::test]
async fn strange_skus_are_answered_exactly() {
    let rig = Rig::start().await;
    let strange = [
        "a'b\"c",
        "\u{1F4A9}",
        "%00",
        "{}",
        "A*",
        "&$filter=x",
        " A",
        "a",
    ];
    let lines: Vec<(&str, &str, &str)> = strange.iter().map(|sku| (*sku, "11", "2")).collect();
    rig.snapshot(rig.ago(Duration::from_mins(1)), &["11"], &lines)
        .await;
    let (status, reply) = rig.stock(fast("11", &strange)).await;
    assert_eq!(status, 200, "{reply}");
    for (line, sku) in reply["data"].as_array().unwrap().iter().zip(strange) {
        assert_eq!(
            (&line["sku"], &line["availableStock"]),
            (&json!(sku), &json!(2))
        );
    }
    let (_, reply) = rig.stock(fast("11", &["A ", "a*", "b", "%001", "é"])).await;
    let found: Vec<&Value> = reply["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["state"])
        .collect();
    assert_eq!(found, ["PRESENT", "PRESENT", "ABSENT", "ABSENT", "UNKNOWN"]);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let rig = Rig::start_with("[api.limits]\nbody_bytes = \"1KiB\"").await;
    let request = |body: reqwest::Body| {
        rig.client
            .post(format!("{}{STOCK}", rig.api))
            .header("content-type", "application/json")
            .body(body)
    };
    let announced = request(vec![b' '; 4_096].into());
    let (status, body) = told(announced.send().await.unwrap()).await;
    assert_eq!(
        (status, code(&body)),
        (413, "inventory.request.too_large.error")
    );
    assert_eq!(
        body["errors"][0]["parameters"],
        json!({"name": "bodyBytes", "limit": "1024"})
    );
    let (status, _) = rig.stock(json!({"skus": []})).await;
    assert_eq!(status, 422, "the service goes on");
}

#[tokio::test]
async fn only_plain_json_is_read() {
    let rig = Rig::start().await;
    let bytes = serde_json::to_vec(&fast("11", &["A"])).unwrap();
    for (name, value, expected) in [
        ("content-type", "text/plain", 415),
        ("content-type", "application/json; charset=utf-8", 503),
        (
            "content-type",
            "application/vnd.intershop.inventory.v1+json",
            503,
        ),
        ("content-encoding", "gzip", 415),
    ] {
        let mut request = rig
            .client
            .post(format!("{}{STOCK}", rig.api))
            .body(bytes.clone());
        if name != "content-type" {
            request = request.header("content-type", "application/json");
        }
        let (status, body) = told(request.header(name, value).send().await.unwrap()).await;
        assert_eq!(status, expected, "{name}: {value} {body}");
    }
    let bare = rig.client.post(format!("{}{STOCK}", rig.api)).body(bytes);
    let (status, body) = told(bare.send().await.unwrap()).await;
    assert_eq!(
        (status, code(&body)),
        (415, "inventory.media_type.unsupported.error")
    );
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let rig = Rig::start_with("[api.limits]\nbody_timeout = \"300ms\"").await;
    let address = rig.api.strip_prefix("http://").unwrap();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {STOCK} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{{"
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    let read = connection.read_to_end(&mut reply);
    tokio::time::timeout(Duration::from_secs(5), read)
        .await
        .unwrap()
        .unwrap();
    let reply = String::from_utf8(reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
    assert!(reply.contains("inventory.request.timeout.error"), "{reply}");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_in_the_same_form() {
    let rig = Rig::start().await;
    for path in [
        "/",
        "/inventory",
        "/inventory/v2/inventories",
        "/inventory/v1/inventories/",
    ] {
        let (status, body) = told(rig.get(path).send().await.unwrap()).await;
        assert_eq!(
            (status, code(&body)),
            (404, "inventory.route.not_found.error"),
            "{path}"
        );
    }
    for (method, path, allowed) in [
        ("DELETE", STOCK, "GET, HEAD, POST"),
        ("GET", CHECK, "POST"),
        ("POST", "/inventory/v1/limits", "GET, HEAD"),
        ("TRACE", "/inventory/api", "GET, HEAD"),
    ] {
        let method = method.parse().unwrap();
        let request = rig.client.request(method, format!("{}{path}", rig.api));
        let reply = request.send().await.unwrap();
        assert_eq!(reply.headers()["allow"], allowed);
        let (status, body) = told(reply).await;
        assert_eq!(
            (status, code(&body)),
            (405, "inventory.method.not_allowed.error")
        );
    }
    let (status, body) = told(
        rig.get("/inventory/v1/inventories?sku=%ff")
            .send()
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (status, code(&body)),
        (400, "inventory.request.malformed.error")
    );
    assert_ne!(body["errors"][0]["message"], Value::Null);
}

//! Bad questions get the right status, a stable code and the path of the offence; the service goes on.

use crate::house::{House, world};
use serde_json::{Value, json};

const PATH: &str = "/inventory/v1/inventories";

#[tokio::test(flavor = "multi_thread")]
async fn bad_questions_are_refused_by_name_and_the_service_goes_on() {
    let house = House::with(world(100), &["24"]).await;
    house.snapshot().await;
    let (mut service, api) = house.api().await;
    let skus = |skus: Value| json!({ "warehouseId": "24", "skus": skus });
    let many: Vec<String> = (0..1_001).map(|n| format!("S{n}")).collect();
    let invalid = "inventory.request.invalid.error";
    let malformed = "inventory.request.malformed.error";
    let too_large = "inventory.request.too_large.error";
    let cases: Vec<(&str, Value, u16, &str, &str)> = vec![
        ("empty list", skus(json!([])), 422, invalid, "$.skus"),
        ("1,001 SKUs", skus(json!(many)), 413, too_large, "$.skus"),
        (
            "10 kB SKU",
            skus(json!(["x".repeat(10_240)])),
            422,
            invalid,
            "$.skus[0]",
        ),
        (
            "control character",
            skus(json!(["a", "b\n"])),
            422,
            invalid,
            "$.skus[1]",
        ),
        ("NUL", skus(json!(["\u{0}"])), 422, invalid, "$.skus[0]"),
        ("empty SKU", skus(json!([""])), 422, invalid, "$.skus[0]"),
        (
            "number for a SKU",
            skus(json!([1])),
            400,
            malformed,
            "$.skus[0]",
        ),
        (
            "text for the list",
            skus(json!("A")),
            400,
            malformed,
            "$.skus",
        ),
        (
            "no SKUs",
            json!({ "warehouseId": "24" }),
            422,
            invalid,
            "$.products",
        ),
        (
            "unknown severity",
            json!({ "warehouseId": "24", "skus": ["A"], "severity": "NOW" }),
            422,
            invalid,
            "$.severity",
        ),
        (
            "unknown warehouse",
            json!({ "warehouseId": "99", "skus": ["A"] }),
            404,
            "inventory.warehouse.not_found.error",
            "$.warehouseId",
        ),
        (
            "unknown organization",
            json!({ "organization": "nobody", "warehouseId": "24", "skus": ["A"] }),
            404,
            "inventory.organization.not_found.error",
            "$.organization",
        ),
        (
            "* live",
            json!({ "warehouseId": "24", "skus": ["A*"], "severity": "EXACT" }),
            422,
            invalid,
            "$.skus[0]",
        ),
        (
            "negative age",
            json!({ "warehouseId": "24", "skus": ["A"], "maxAgeSeconds": -1 }),
            422,
            invalid,
            "$.maxAgeSeconds",
        ),
        ("not an object", json!([1, 2]), 400, malformed, "$"),
    ];
    for (name, body, status, code, path) in cases {
        let reply = api.post(PATH, &body).await.unwrap();
        assert_eq!(reply.status.as_u16(), status, "{name}: {}", reply.text);
        assert_eq!(reply.error_code(), Some(code), "{name}: {}", reply.text);
        let paths = reply.json["errors"][0]["paths"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert!(
            paths.iter().any(|found| found == path),
            "{name}: {}",
            reply.text
        );
    }
    let raw = async |kind: &str, body: &[u8]| {
        let reply = api.post_raw(PATH, kind, body.to_vec()).await.unwrap();
        (
            reply.status.as_u16(),
            reply.error_code().unwrap_or_default().to_owned(),
        )
    };
    let json_type = "application/json";
    assert_eq!(
        raw(json_type, b"{ not json").await,
        (400, malformed.to_owned())
    );
    assert_eq!(raw(json_type, b"").await, (400, malformed.to_owned()));
    assert_eq!(
        raw(json_type, b"\xff\xfe").await,
        (400, malformed.to_owned())
    );
    assert_eq!(raw("text/plain", b"{}").await.0, 415);
    let large = format!("{{\"skus\":[\"A\"],\"x\":\"{}\"}}", "y".repeat(1_100_000));
    assert_eq!(
        raw(json_type, large.as_bytes()).await,
        (413, too_large.to_owned())
    );

    // Odd, and answered: quotes and wildcards are part of a SKU.
    let odd = [
        "A'B",
        "A*",
        "'; --",
        "$filter",
        "ä€😀",
        "{ItemNumber}",
        "%00",
    ];
    let reply = api.fast("24", &odd).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    for sku in odd {
        // Outside ASCII a database may know another spelling.
        let state = if sku.is_ascii() { "ABSENT" } else { "UNKNOWN" };
        assert_eq!(reply.line(sku).unwrap()["state"], state, "{}", reply.text);
    }
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn live_questions_get_the_row_they_ask_for_or_none() {
    use d365_simulator::{StockChange, StockKey};
    let house = House::with(world(50), &["24"]).await;
    for item in ["O'CLOCK", "o'clock", " LEAD", "A&B/C+D%20", "ABC"] {
        let key = StockKey::of("usmf", item, "24");
        // Two numbers that differ in case only are one to D365; it may refuse the second.
        let _ = house.d365().put_stock(&key, &StockChange::on_hand("6"));
    }
    house.snapshot().await;
    let (_service, api) = house.api().await;
    let asked = [
        "O'CLOCK",
        " LEAD",
        "A&B/C+D%20",
        "abc",
        "LEAD",
        "x' or '1' eq '1",
    ];
    let reply = api.exact("24", &asked).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    for (sku, state) in asked.into_iter().zip([
        "PRESENT", "PRESENT", "PRESENT", "PRESENT", "ABSENT", "ABSENT",
    ]) {
        assert_eq!(
            reply.line(sku).unwrap()["state"],
            state,
            "{sku:?}: {}",
            reply.text
        );
    }
}

//! Bad questions get the right status, a stable code and the path of the offence; the service goes on.

use d365_simulator::{StockChange, StockKey};
use integration_tests::test_bed::{TestBed, world};
use serde_json::{Value, json};

const PATH: &str = "/inventory/v1/inventories";
const INVALID: &str = "inventory.request.invalid.error";
const MALFORMED: &str = "inventory.request.malformed.error";
const TOO_LARGE: &str = "inventory.request.too_large.error";
const NO_WAREHOUSE: &str = "inventory.warehouse.not_found.error";
const NO_ORGANIZATION: &str = "inventory.organization.not_found.error";

#[tokio::test(flavor = "multi_thread")]
async fn bad_questions_are_refused_by_name_and_the_service_goes_on() {
    let bed = TestBed::start(world(100), &["24"]).await.unwrap();
    bed.snapshot().await.unwrap();
    let (mut service, api) = bed.api().await.unwrap();
    let skus = |skus: Value| json!({ "warehouseId": "24", "skus": skus });
    let with = |name: &str, value: Value| {
        let mut question = skus(json!(["A"]));
        question[name] = value;
        question
    };
    let many: Vec<String> = (0..1_001).map(|n| format!("S{n}")).collect();
    let live_wildcard = json!({ "warehouseId": "24", "skus": ["A*"], "severity": "EXACT" });
    for (name, body, status, code, path) in [
        ("empty list", skus(json!([])), 422, INVALID, "$.skus"),
        ("1,001 SKUs", skus(json!(many)), 413, TOO_LARGE, "$.skus"),
        (
            "10 kB SKU",
            skus(json!(["x".repeat(10_240)])),
            422,
            INVALID,
            "$.skus[0]",
        ),
        (
            "control character",
            skus(json!(["a", "b\n"])),
            422,
            INVALID,
            "$.skus[1]",
        ),
        ("NUL", skus(json!(["\u{0}"])), 422, INVALID, "$.skus[0]"),
        ("empty SKU", skus(json!([""])), 422, INVALID, "$.skus[0]"),
        (
            "number for a SKU",
            skus(json!([1])),
            400,
            MALFORMED,
            "$.skus[0]",
        ),
        (
            "text for the list",
            skus(json!("A")),
            400,
            MALFORMED,
            "$.skus",
        ),
        (
            "no SKUs",
            json!({ "warehouseId": "24" }),
            422,
            INVALID,
            "$.products",
        ),
        (
            "severity",
            with("severity", json!("NOW")),
            422,
            INVALID,
            "$.severity",
        ),
        (
            "warehouse",
            with("warehouseId", json!("99")),
            404,
            NO_WAREHOUSE,
            "$.warehouseId",
        ),
        (
            "organization",
            with("organization", json!("no")),
            404,
            NO_ORGANIZATION,
            "$.organization",
        ),
        ("* live", live_wildcard, 422, INVALID, "$.skus[0]"),
        (
            "negative age",
            with("maxAgeSeconds", json!(-1)),
            422,
            INVALID,
            "$.maxAgeSeconds",
        ),
        ("not an object", json!([1, 2]), 400, MALFORMED, "$"),
    ] {
        let reply = api.post(PATH, &body).await.unwrap();
        assert_eq!(reply.status.as_u16(), status, "{name}: {}", reply.text);
        assert_eq!(reply.error_code(), Some(code), "{name}: {}", reply.text);
        let paths = reply.json["errors"][0]["paths"].as_array();
        let is_named = paths.is_some_and(|paths| paths.iter().any(|found| found == path));
        assert!(is_named, "{name}: {}", reply.text);
    }
    let large = format!("{{\"skus\":[\"A\"],\"x\":\"{}\"}}", "y".repeat(1_100_000));
    for (kind, body, status) in [
        ("application/json", &b"{ not json"[..], 400),
        ("application/json", b"", 400),
        ("application/json", b"\xff\xfe", 400),
        ("application/json", large.as_bytes(), 413),
        ("text/plain", b"{}", 415),
    ] {
        let reply = api.post_raw(PATH, kind, body.to_vec()).await.unwrap();
        assert_eq!(reply.status.as_u16(), status, "{kind}: {}", reply.text);
    }

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
    let bed = TestBed::start(world(50), &["24"]).await.unwrap();
    for item in ["O'CLOCK", "o'clock", " LEAD", "A&B/C+D%20", "ABC"] {
        let key = StockKey::of("usmf", item, "24");
        // Two numbers that differ in case only are one to D365; it may refuse the second.
        let _ = bed.d365().put_stock(&key, &StockChange::on_hand("6"));
    }
    bed.snapshot().await.unwrap();
    let (_service, api) = bed.api().await.unwrap();
    let expected = [
        ("O'CLOCK", "PRESENT"),
        (" LEAD", "PRESENT"),
        ("A&B/C+D%20", "PRESENT"),
        ("abc", "PRESENT"),
        ("LEAD", "ABSENT"),
        ("x' or '1' eq '1", "ABSENT"),
    ];
    let reply = api
        .exact("24", &expected.map(|(sku, _)| sku))
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    for (sku, state) in expected {
        let line = reply.line(sku).unwrap();
        assert_eq!(line["state"], state, "{sku:?}: {}", reply.text);
    }
}

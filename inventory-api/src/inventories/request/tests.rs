use super::*;
use shared::settings::Layers;
use shared::stock::Sku;

fn settings() -> ApiSettings {
    Layers::default().load().unwrap().api
}

fn refused(error: &ApiError) -> String {
    let path = match error {
        ApiError::Invalid { path, .. }
        | ApiError::OutOfRange { path, .. }
        | ApiError::WrongType { path, .. }
        | ApiError::TooLarge { path, .. } => path,
        _ => "",
    };
    format!("{} {path}", error.code())
}

fn of_body(body: &str) -> String {
    match StockQuestion::of_body(body.as_bytes(), &settings()) {
        Ok(question) => format!("{:?} {:?}", question.severity, question.max_age),
        Err(error) => refused(&error),
    }
}

#[test]
fn a_question_is_read_with_its_defaults() {
    assert_eq!(of_body(r#"{"skus":["a"]}"#), "Fast None");
    assert_eq!(
        of_body(r#"{"skus":["a"],"severity":"exact","maxAgeSeconds":9e2}"#),
        "Exact Some(900s)"
    );
    let settings = settings();
    let question = StockQuestion::of_body(
        br#"{"products":[{"sku":"a"},{"sku":"a"}],"timeoutMs":700,"onLiveFailure":"cache"}"#,
        &settings,
    )
    .unwrap();
    assert_eq!(question.timeout, Duration::from_millis(700));
    assert_eq!(question.on_live_failure, OnLiveFailure::Cache);
    assert_eq!(question.skus.all(), [Sku::parse("a").unwrap()]);
}

#[test]
fn values_outside_their_rules_are_refused_with_their_path() {
    const MALFORMED: &str = "inventory.request.malformed.error";
    const INVALID: &str = "inventory.request.invalid.error";
    for (body, code, path) in [
        (r#"{"skus":[]}"#, INVALID, "$.skus"),
        ("{}", INVALID, "$.products"),
        (
            r#"{"skus":["a"],"products":[{"sku":"a"}]}"#,
            INVALID,
            "$.skus",
        ),
        (r#"{"skus":["a"],"severity":"SLOW"}"#, INVALID, "$.severity"),
        (r#"{"skus":["a"],"severity":1}"#, MALFORMED, "$.severity"),
        (r#"{"skus":["a"],"severity":null}"#, MALFORMED, "$.severity"),
        (
            r#"{"skus":["a"],"maxAgeSeconds":-1}"#,
            INVALID,
            "$.maxAgeSeconds",
        ),
        (
            r#"{"skus":["a"],"maxAgeSeconds":1.5}"#,
            INVALID,
            "$.maxAgeSeconds",
        ),
        (
            r#"{"skus":["a"],"maxAgeSeconds":31536001}"#,
            INVALID,
            "$.maxAgeSeconds",
        ),
        (
            r#"{"skus":["a"],"maxAgeSeconds":"9"}"#,
            MALFORMED,
            "$.maxAgeSeconds",
        ),
        (r#"{"skus":["a"],"timeoutMs":199}"#, INVALID, "$.timeoutMs"),
        (r#"{"skus":["a"],"timeoutMs":5001}"#, INVALID, "$.timeoutMs"),
        (
            r#"{"skus":["a"],"onLiveFailure":"PANIC"}"#,
            INVALID,
            "$.onLiveFailure",
        ),
        (
            r#"{"skus":["a"],"warehouseId":7}"#,
            MALFORMED,
            "$.warehouseId",
        ),
        (
            r#"{"skus":["a"],"warehouseIds":"7"}"#,
            MALFORMED,
            "$.warehouseIds",
        ),
        (
            r#"{"skus":["a"],"warehouseIds":["7",8]}"#,
            MALFORMED,
            "$.warehouseIds[1]",
        ),
        (
            r#"{"skus":["a"],"warehouseId":"7","warehouseIds":["8"]}"#,
            INVALID,
            "$.warehouseIds",
        ),
        (
            r#"{"skus":["a"],"organization":{}}"#,
            MALFORMED,
            "$.organization",
        ),
        (r#"{"skus":["a"],"channel":[]}"#, MALFORMED, "$.channel"),
        (
            r#"{"products":[{"sku":"a"},{"sku":"b\u0000"}]}"#,
            INVALID,
            "$.products[1].sku",
        ),
    ] {
        assert_eq!(of_body(body), format!("{code} {path}"), "{body}");
    }
}

#[test]
fn too_many_skus_are_refused_sooner_when_they_are_to_be_live() {
    const TOO_LARGE: &str = "inventory.request.too_large.error $.skus";
    let question = |count: usize, severity: &str| {
        let skus: Vec<String> = (0..count).map(|n| format!("\"{n}\"")).collect();
        format!(r#"{{"severity":"{severity}","skus":[{}]}}"#, skus.join(","))
    };
    assert_eq!(of_body(&question(1_000, "FAST")), "Fast None");
    assert_eq!(of_body(&question(1_001, "FAST")), TOO_LARGE);
    assert_eq!(of_body(&question(200, "EXACT")), "Exact None");
    assert_eq!(of_body(&question(201, "EXACT")), TOO_LARGE);
}

fn of_query(query: &str) -> String {
    match StockQuestion::of_query(query, &settings()) {
        Ok(question) => {
            let skus: Vec<_> = question.skus.all().iter().map(Sku::as_str).collect();
            let warehouses = question.scope.warehouses.unwrap_or_default().join(",");
            format!("{} in {warehouses}", skus.join("|"))
        }
        Err(error) => refused(&error),
    }
}

#[test]
fn a_query_string_is_decoded_exactly() {
    for (query, expected) in [
        ("sku=a&sku=b&warehouseId=24", "a|b in 24"),
        ("sku=a+b&sku=a%2Bb&sku=%20x", "a b|a+b| x in "),
        ("sku=%C3%A4&warehouseId=1&warehouseId=2", "ä in 1,2"),
        ("sku=a%26b%3Dc", "a&b=c in "),
        ("%73ku=a&unknown=1&", "a in "),
        ("sku=a&severity=fast", "a in "),
        ("sku=%FF", "inventory.request.malformed.error "),
        ("sku=a%00", "inventory.request.invalid.error sku[0]"),
        ("sku=a&sku=", "inventory.request.invalid.error sku[1]"),
        ("", "inventory.request.invalid.error sku"),
        (
            "sku=a&severity=EXACT",
            "inventory.request.invalid.error severity",
        ),
        (
            "sku=a&organization=x&organization=y",
            "inventory.request.invalid.error organization",
        ),
        (
            "sku=a&maxAgeSeconds=x",
            "inventory.request.invalid.error maxAgeSeconds",
        ),
    ] {
        assert_eq!(of_query(query), expected, "{query}");
    }
}

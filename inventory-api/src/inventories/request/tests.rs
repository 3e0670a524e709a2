use super::*;
use shared::settings::Layers;
use shared::stock::Sku;

fn settings() -> ApiSettings {
    Layers::default().load().unwrap().api
}

/// What is read, or the refusal's status and path.
fn of_body(body: &str) -> String {
    match StockQuestion::of_body(body.as_bytes(), &settings()) {
        Ok(question) => format!("{:?} {:?}", question.severity, question.max_age),
        Err(error) => error.status_and_path(),
    }
}

/// Checks a table of `input -> outcome`.
fn check(table: &str, outcome: impl Fn(&str) -> String) {
    for line in table.lines().filter(|line| !line.is_empty()) {
        let (input, expected) = line.rsplit_once(" -> ").unwrap();
        assert_eq!(outcome(input.trim_end()), expected, "{input}");
    }
}

#[test]
fn a_body_becomes_a_question_or_is_refused_with_the_path() {
    check(
        r#"
{"skus":["a"]} -> Fast None
{"skus":["a"],"severity":"exact","maxAgeSeconds":9e2} -> Exact Some(900s)
{"skus":[]} -> 422 $.skus
{} -> 422 $.products
{"skus":["a"],"products":[{"sku":"a"}]} -> 422 $.skus
{"products":[{"sku":"a"},{"sku":"b\u0000"}]} -> 422 $.products[1].sku
{"products":[{"sku":5}]} -> 400 $.products[0].sku
{"skus":["a"],"severity":"SLOW"} -> 422 $.severity
{"skus":["a"],"severity":1} -> 400 $.severity
{"skus":["a"],"severity":null} -> 400 $.severity
{"skus":["a"],"maxAgeSeconds":-1} -> 422 $.maxAgeSeconds
{"skus":["a"],"maxAgeSeconds":1.5} -> 422 $.maxAgeSeconds
{"skus":["a"],"maxAgeSeconds":31536001} -> 422 $.maxAgeSeconds
{"skus":["a"],"maxAgeSeconds":"9"} -> 400 $.maxAgeSeconds
{"skus":["a"],"timeoutMs":199} -> 422 $.timeoutMs
{"skus":["a"],"timeoutMs":5001} -> 422 $.timeoutMs
{"skus":["a"],"onLiveFailure":"PANIC"} -> 422 $.onLiveFailure
{"skus":["a"],"warehouseId":7} -> 400 $.warehouseId
{"skus":["a"],"warehouseIds":"7"} -> 400 $.warehouseIds
{"skus":["a"],"warehouseIds":["7",8]} -> 400 $.warehouseIds[1]
{"skus":["a"],"warehouseId":"7","warehouseIds":["8"]} -> 422 $.warehouseIds
{"skus":["a"],"organization":{}} -> 400 $.organization
{"skus":["a"],"channel":[]} -> 400 $.channel
"#,
        of_body,
    );
    let body = br#"{"products":[{"sku":"a"},{"sku":"a"}],"timeoutMs":700,"onLiveFailure":"cache"}"#;
    let question = StockQuestion::of_body(body, &settings()).unwrap();
    assert_eq!(question.timeout, Duration::from_millis(700));
    assert_eq!(question.on_live_failure, OnLiveFailure::Cache);
    assert_eq!(question.skus.all(), [Sku::parse("a").unwrap()]);
}

#[test]
fn too_many_skus_are_refused_sooner_when_they_are_to_be_live() {
    for (count, severity, expected) in [
        (1_000, "FAST", "Fast None"),
        (1_001, "FAST", "413 $.skus"),
        (200, "EXACT", "Exact None"),
        (201, "EXACT", "413 $.skus"),
    ] {
        let skus: Vec<String> = (0..count).map(|n| format!("\"{n}\"")).collect();
        let body = format!(r#"{{"severity":"{severity}","skus":[{}]}}"#, skus.join(","));
        assert_eq!(of_body(&body), expected);
    }
}

#[test]
fn a_query_string_is_decoded_exactly() {
    let of_query = |query: &str| match StockQuestion::of_query(query, &settings()) {
        Ok(question) => {
            let skus: Vec<_> = question.skus.all().iter().map(Sku::as_str).collect();
            let warehouses = question.scope.warehouses.unwrap_or_default().join(",");
            format!("{} in {warehouses}", skus.join("|"))
        }
        Err(error) => error.status_and_path(),
    };
    check(
        "
sku=a&sku=b&warehouseId=24 -> a|b in 24
sku=a+b&sku=a%2Bb&sku=%20x&warehouseId=1 -> a b|a+b| x in 1
sku=%C3%A4&warehouseId=1&warehouseId=2 -> ä in 1,2
sku=a%26b%3Dc&warehouseId=1 -> a&b=c in 1
%73ku=a&unknown=1&warehouseId=1& -> a in 1
sku=a&severity=fast&warehouseId=1 -> a in 1
sku=%FF -> 400 
sku=a%00 -> 422 sku[0]
sku=a&sku= -> 422 sku[1]
 -> 422 sku
sku=a&severity=EXACT -> 422 severity
sku=a&organization=x&organization=y -> 422 organization
sku=a&maxAgeSeconds=x -> 422 maxAgeSeconds
",
        of_query,
    );
}

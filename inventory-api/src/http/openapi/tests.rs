use super::*;
use shared::settings::Layers;
use std::collections::BTreeSet;

#[test]
fn the_document_is_the_one_that_is_served() {
    let settings = Layers::default().load().unwrap().api;
    let served = document(&settings);
    let is_same = serde_json::from_str::<Value>(DOCUMENT).unwrap()
        == serde_json::from_str::<Value>(&served).unwrap();
    assert!(
        is_same,
        "inventory-api/openapi.json is stale: write `inventory-api openapi` into it"
    );
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    for (place, limit) in limits(&settings) {
        let named = document.pointer(&format!("/components/{place}"));
        assert_eq!(named, Some(&limit), "{place}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    for reference in &references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for name in document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        let reference = format!("#/components/schemas/{name}");
        assert!(references.contains(&reference), "{name} is stale");
    }
}

fn collect_references(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            references.extend(
                fields
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            fields
                .values()
                .for_each(|value| collect_references(value, references));
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect_references(value, references)),
        _ => {}
    }
}

#[test]
fn html_is_served_to_those_who_name_it_first() {
    for (accept, expected) in [
        ("text/html,application/xhtml+xml,*/*;q=0.8", true),
        ("application/json, text/html", false),
        ("application/json", false),
        ("*/*", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        assert_eq!(prefers_html(&headers), expected, "{accept}");
    }
}

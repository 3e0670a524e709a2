use super::*;

fn refused(body: &str) -> String {
    match read(body.as_bytes()) {
        Ok(body) => format!("{body:?}"),
        Err(ApiError::WrongType { path, problem }) => format!("{path}: {problem}"),
        Err(ApiError::NotJson { line, column, .. }) => format!("not JSON {line}:{column}"),
        Err(other) => other.to_string(),
    }
}

#[test]
fn a_wrong_type_is_named_with_its_path() {
    for (body, expected) in [
        ("[]", "$: invalid type: sequence, expected an object"),
        ("null", "$: invalid type: null, expected an object"),
        (
            r#"{"products": {}}"#,
            "$.products: invalid type: map, expected a list",
        ),
        (
            r#"{"products": [["a"]]}"#,
            "$.products[0]: invalid type: sequence, expected an object",
        ),
        (
            r#"{"products": [{"sku":"a"}, {"sku":7}]}"#,
            "$.products[1].sku: invalid type: integer `7`, expected a string",
        ),
        (
            r#"{"products": [{"sku":null}]}"#,
            "$.products[0].sku: invalid type: null, expected a string",
        ),
        (
            r#"{"products": [{}]}"#,
            "$.products[0]: missing field `sku`",
        ),
        (
            r#"{"products": [{"sku":"a","quantity":"1"}]}"#,
            "$.products[0].quantity: expected a number",
        ),
        (
            r#"{"skus": ["a", 5]}"#,
            "$.skus[1]: invalid type: integer `5`, expected a string",
        ),
        (
            r#"{"skus": ["a"], "skus": []}"#,
            "$: duplicate field `skus`",
        ),
        (
            r#"{"severity": null}"#,
            "$.severity: invalid type: null, expected a string",
        ),
        ("", "not JSON 1:0"),
        ("{", "not JSON 1:1"),
        ("{'a':1}", "not JSON 1:2"),
        (r#"{"skus": ["a"]} x"#, "not JSON 1:17"),
        ("{\"skus\": [\"\\ud800\"]}", "not JSON 1:18"),
        ("{\"skus\": [\"a\nb\"]}", "not JSON 2:0"),
    ] {
        assert_eq!(refused(body), expected, "{body}");
    }
    assert!(read(b"{\"skus\": [\"\xff\"]}").is_err());
    assert!(read(b"\xef\xbb\xbf{}").is_err());
}

#[test]
fn unknown_fields_are_ignored_and_lists_kept_no_longer_than_they_may_be() {
    let body = br#"{"x": [{"y": null}], "products": [{"sku": "a", "z": [1]}]}"#;
    assert_eq!(read(body).unwrap().products.0.unwrap().0.len(), 1);
    let body = format!(r#"{{"skus": ["a"{}]}}"#, r#","b""#.repeat(20_000));
    let question = read(body.as_bytes()).unwrap();
    assert_eq!(question.skus.0.unwrap().0.len(), KEPT);
}

#[test]
fn a_text_without_escapes_is_borrowed() {
    let question = read(br#"{"skus": ["plain", "es\u0063aped"]}"#).unwrap();
    let skus = question.skus.0.unwrap().0;
    assert!(matches!(&skus[0].0, Cow::Borrowed("plain")));
    assert_eq!(skus[1].0, "escaped");
}

use super::*;

fn refused(body: &str) -> String {
    match read(body.as_bytes(), 3) {
        Ok(body) => format!("{body:?}"),
        Err(ApiError::WrongType { path, expected }) => format!("{path}: {expected}"),
        Err(ApiError::NotJson { line, column, .. }) => format!("not JSON {line}:{column}"),
        Err(other) => other.to_string(),
    }
}

#[test]
fn a_wrong_type_is_named_with_its_path() {
    for (body, expected) in [
        ("[]", "$: an object"),
        ("null", "$: an object"),
        (r#""x""#, "$: an object"),
        (r#"{"products": {}}"#, "$.products: a list of objects"),
        (r#"{"products": null}"#, "$.products: a list of objects"),
        (r#"{"products": [["a"]]}"#, "$.products[0]: an object"),
        (
            r#"{"products": [{"sku":"a"}, 7]}"#,
            "$.products[1]: an object",
        ),
        (
            r#"{"products": [{"sku":"a"}, {"sku":7}]}"#,
            "$.products[1].sku: a text",
        ),
        (
            r#"{"products": [{"sku":null}]}"#,
            "$.products[0].sku: a text",
        ),
        (
            r#"{"products": [{}]}"#,
            "$.products[0].sku: given as a text",
        ),
        (r#"{"skus": "a"}"#, "$.skus: a list of texts"),
        (r#"{"skus": ["a", 5]}"#, "$.skus[1]: a text"),
        ("", "not JSON 1:0"),
        ("{", "not JSON 1:1"),
        ("{'a':1}", "not JSON 1:2"),
        (r#"{"skus": ["a"]} x"#, "not JSON 1:17"),
        ("{\"skus\": [\"\\ud800\"]}", "not JSON 1:18"),
        ("{\"skus\": [\"a\nb\"]}", "not JSON 2:0"),
    ] {
        assert_eq!(refused(body), expected, "{body}");
    }
}

#[test]
fn a_body_that_is_not_utf_8_is_refused() {
    assert!(read(b"{\"skus\": [\"\xff\"]}", 3).is_err());
    assert!(read(b"\xef\xbb\xbf{}", 3).is_err());
}

#[test]
fn a_list_is_read_no_further_than_it_may_be_long() {
    let question = read(br#"{"skus": ["a","b","c","d","e","f"]}"#, 3).unwrap();
    assert_eq!(question.skus.unwrap().len(), 4);
}

#[test]
fn unknown_fields_are_ignored_whatever_they_hold() {
    let body = br#"{"x": [{"y": null}], "products": [{"sku": "a", "z": [1]}]}"#;
    assert_eq!(read(body, 3).unwrap().products.unwrap().len(), 1);
}

#[test]
fn a_text_without_escapes_is_borrowed() {
    let question = read(br#"{"skus": ["plain", "es\u0063aped"]}"#, 3).unwrap();
    let skus = question.skus.unwrap();
    assert!(matches!(&skus[0].0, Cow::Borrowed("plain")));
    assert_eq!(skus[1].0, "escaped");
}

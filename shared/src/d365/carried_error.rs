//! PURE: errors that D365 carries inside an answer with a good status.
//!
//! A failure half way through an answer comes as a member `error` beside the rows, as a row, or
//! after them, or as a note such as `@odata.error`. Whatever else the answer holds is not whole.

use crate::d365::D365Error;
use serde::Deserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Whether a member of this name is an error: `error`, what stands inside of one (`innererror`), or a
/// note about one (`@odata.error`, `value@error`), in any letter case.
pub(in crate::d365) fn is_error(member: &str) -> bool {
    let name = member.rsplit(['@', '.']).next().unwrap_or_default();
    ["error", "errors", "innererror"]
        .iter()
        .any(|error| name.eq_ignore_ascii_case(error))
}

/// What is said about an answer that carries an error.
pub(in crate::d365) fn carried(member: &str) -> String {
    let shown: String = member.chars().take(64).collect();
    format!("it carries an error: member {shown:?}")
}

/// Refuses a JSON value that carries an error at any depth.
///
/// # Errors
/// [`D365Error::BadAnswer`] that names the member, or says that it is not JSON.
pub(in crate::d365) fn refuse_carried_error(json: &[u8]) -> Result<(), D365Error> {
    check(json).map_err(|cause| D365Error::BadAnswer {
        problem: cause.to_string(),
    })
}

fn check(json: &[u8]) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    match json.first() {
        Some(b'{') => deserializer.deserialize_map(NoError)?,
        Some(b'[') => deserializer.deserialize_seq(NoError)?,
        _ => {
            let _scalar: &RawValue = serde::Deserialize::deserialize(&mut deserializer)?;
        }
    }
    deserializer.end()
}

/// Walks an object or a list. A scalar is checked for its form and not read: an unknown number may
/// be larger than any we know.
struct NoError;

impl<'de> Visitor<'de> for NoError {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without an error")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            if is_error(&name) {
                return Err(A::Error::custom(carried(&name)));
            }
            check_inside(members.next_value()?)?;
        }
        Ok(())
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while let Some(value) = values.next_element()? {
            check_inside(value)?;
        }
        Ok(())
    }
}

/// Checks what stands inside of a value that is being read.
pub(in crate::d365) fn check_inside<E: Error>(value: &RawValue) -> Result<(), E> {
    let json = value.get();
    if json.starts_with(['{', '[']) {
        check(json.as_bytes()).map_err(E::custom)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_found_by_its_name_at_any_depth() {
        for json in [
            r#"{"error":{"code":"","message":"x"}}"#,
            r#"{"error":null}"#,
            r#"{"a":1,"Error":"x"}"#,
            r#"{"err\u006fr":1}"#,
            r#"{"@odata.error":1}"#,
            r#"{"value@odata.error":1}"#,
            r#"{"@error":1}"#,
            r#"{"odata.error":1}"#,
            r#"{"errors":[]}"#,
            r#"{"a":[1,{"b":{"error":1}}]}"#,
            r#"[{"error":1}]"#,
        ] {
            let refusal = refuse_carried_error(json.as_bytes()).unwrap_err();
            assert!(refusal.to_string().contains("carries an error"), "{json}");
        }
        for json in [
            "1e999",
            "null",
            r#""error""#,
            r#"{"a":"error","errorCode":1,"terror":1e999,"@odata.count":3,"b":["error"]}"#,
        ] {
            assert_eq!(refuse_carried_error(json.as_bytes()), Ok(()), "{json}");
        }
        for json in ["", "{", "{}x", "nul", "{\"a\":}", "\"\u{1}\""] {
            assert!(refuse_carried_error(json.as_bytes()).is_err(), "{json}");
        }
    }
}

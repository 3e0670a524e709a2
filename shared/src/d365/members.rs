//! PURE: the members of a JSON object that D365 sent, each value still unread.
//!
//! An answer is good only if nothing in it says otherwise. A failure half way comes as a member `error`
//! beside the rows, as a row, after them, or as a note such as `@odata.error`. Other members are ignored.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Deepest nesting inside a member. Real rows are flat.
const DEEPEST: u32 = 32;

/// The members of one object, in the order they came.
#[derive(Debug)]
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Members<'a> {
    /// Reads an object. The error says in words what is wrong.
    pub(super) fn read(json: &'a str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|cause| cause.to_string())
    }

    /// The members of these names, whose values are unread JSON.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// Refuses an error at any depth, but for the inside of the member `unchecked`.
    pub(super) fn refuse_error_beside(&self, unchecked: &str) -> Result<(), String> {
        self.refuse_error(unchecked, 0)
    }

    /// The JSON of the only member of this name; an error if there are several.
    pub(super) fn only(&self, name: &str) -> Result<Option<&'a str>, String> {
        let mut found = self.iter().filter(|(found, _)| *found == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(format!("{name} occurs twice")),
            (first, None) => Ok(first.map(|(_, value)| value.get())),
        }
    }

    /// The text of a member; null counts as empty, as D365 writes both.
    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, String> {
        let Some(json) = self.only(name)? else {
            return Ok(None);
        };
        if json == "null" {
            return Ok(Some(Cow::Borrowed("")));
        }
        match serde_json::from_str::<Name<'a>>(json) {
            Ok(Name(text)) => Ok(Some(text)),
            Err(_other) => Err(format!("{name} is not a text")),
        }
    }

    fn refuse_error(&self, unchecked: &str, depth: u32) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("its values nest deeper than {DEEPEST}"));
        }
        for (name, value) in self.iter() {
            if is_error(name) {
                let shown: String = name.chars().take(64).collect();
                return Err(format!("it carries an error: member {shown:?}"));
            }
            if name != unchecked {
                refuse_error_inside(value, depth + 1)?;
            }
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Object).map(Self)
    }
}

fn refuse_error_inside(value: &RawValue, depth: u32) -> Result<(), String> {
    let json = value.get();
    if json.starts_with('{') {
        return Members::read(json)?.refuse_error("", depth);
    }
    if json.starts_with('[') {
        if depth > DEEPEST {
            return Err(format!("its values nest deeper than {DEEPEST}"));
        }
        let values: Vec<&RawValue> =
            serde_json::from_str(json).map_err(|cause| cause.to_string())?;
        for value in values {
            refuse_error_inside(value, depth + 1)?;
        }
    }
    Ok(())
}

/// `error`, what stands inside of one (`innererror`), or a note about one (`@odata.error`,
/// `value@error`), in any letter case.
fn is_error(member: &str) -> bool {
    let name = member.rsplit(['@', '.']).next().unwrap_or_default();
    ["error", "errors", "innererror"]
        .iter()
        .any(|error| name.eq_ignore_ascii_case(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<(), String> {
        Members::read(json)?.refuse_error_beside("rows")
    }

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
            r#"{"rows":[],"a":[[{"error":1}]]}"#,
        ] {
            let refusal = checked(json).unwrap_err();
            assert!(refusal.contains("carries an error"), "{json}: {refusal}");
        }
        for json in [
            "{}",
            r#"{"a":"error","errorCode":1,"terror":1e999,"@odata.count":3,"b":["error"]}"#,
            r#"{"rows":[{"error":1}]}"#,
        ] {
            assert_eq!(checked(json), Ok(()), "{json}");
        }
        for json in ["", "{", "{}x", "nul", "[]", "{\"a\":}", "{\"\u{1}\":1}"] {
            assert!(checked(json).is_err(), "{json}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |open: &str, depth: usize, close: &str| {
            format!("{{\"a\":{}0{}}}", open.repeat(depth), close.repeat(depth))
        };
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            assert_eq!(checked(&nested(open, 30, close)), Ok(()));
            assert!(checked(&nested(open, 100_000, close)).is_err());
        }
    }

    #[test]
    fn a_member_is_read_once_by_its_name() {
        let json = r#"{"a":"x","b":null,"c":"\u00e4\"","d":5,"a\u0061":1e999,"e":1,"e":2}"#;
        let members = Members::read(json).unwrap();
        let text = |name| members.text(name).map(|text| text.map(Cow::into_owned));
        assert_eq!(text("a"), Ok(Some("x".to_owned())));
        assert_eq!(text("b"), Ok(Some(String::new())));
        assert_eq!(text("c"), Ok(Some("\u{e4}\"".to_owned())));
        assert_eq!(text("missing"), Ok(None));
        assert_eq!(text("d"), Err("d is not a text".to_owned()));
        assert_eq!(members.only("aa"), Ok(Some("1e999")));
        assert_eq!(members.only("e"), Err("e occurs twice".to_owned()));
    }
}

//! JSON objects that name nothing twice: readers disagree about which of two counts.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

/// An object; each of its names stands once.
#[derive(Debug, PartialEq)]
pub(super) struct StrictObject(HashMap<String, Value>);

impl StrictObject {
    /// Reads a whole text; none if it is no object, or names something twice.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The value of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The value at a name, or at a path of names that begins with `/`.
    pub(super) fn find(&self, place: &str) -> Option<&Value> {
        let Some(path) = place.strip_prefix('/') else {
            return self.get(place);
        };
        let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
        self.get(first)?.pointer(rest)
    }
}

impl<'de> Deserialize<'de> for StrictObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor).map(Self)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = HashMap<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = HashMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            match fields.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(_) => return Err(A::Error::custom("a name stands twice")),
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_stands_once() {
        assert!(StrictObject::read(br#"{"a":1,"b":2}"#).is_some());
        for wrong in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            "[]",
            "{} {}",
            "",
            "null",
        ] {
            assert_eq!(StrictObject::read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_place_is_a_name_or_a_path() {
        let object = StrictObject::read(br#"{"a":{"b":[7]},"x/y":1}"#).unwrap();
        assert_eq!(object.find("/a/b/0"), Some(&json!(7)));
        assert_eq!(object.find("/a"), Some(&json!({"b": [7]})));
        assert_eq!(object.find("x/y"), Some(&json!(1)));
        assert_eq!(object.find("/a/c"), None);
    }
}

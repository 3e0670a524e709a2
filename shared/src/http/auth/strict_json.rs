//! JSON objects that name nothing twice, however deep: readers disagree about which of two counts.

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

/// An object; each of its names stands once, and so in the objects within it.
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
        while let Some((name, StrictValue(value))) = map.next_entry()? {
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

/// Any value; objects in it are strict too.
struct StrictValue(Value);

impl<'de> Deserialize<'de> for StrictValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(StrictValue(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        let fields = ObjectVisitor.visit_map(map)?;
        Ok(Value::Object(fields.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_stands_once() {
        assert!(StrictObject::read(br#"{"a":1,"b":{"a":{"b":[{"a":1},{"a":2}]}}}"#).is_some());
        for wrong in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":[0,{"b":{"c":1,"c":1}}]}"#,
            "[]",
            "{} {}",
            "",
            "null",
        ] {
            assert_eq!(StrictObject::read(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn values_are_what_they_are_to_other_readers() {
        let text = r#"{"a":[true,null,-1,18446744073709551615,1e300,"x",{"b":{}}]}"#;
        let expected: Value = serde_json::from_str(text).unwrap();
        let read = StrictObject::read(text.as_bytes()).unwrap();
        assert_eq!(read.get("a"), expected.get("a"));
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

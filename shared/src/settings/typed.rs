//! From a tree of values to typed settings, with errors that name the key and never quote a value.
//!
//! An environment variable is a text, also where a number, a switch or a list is asked for; so a text
//! that can be read as one is taken. `figment` and `config` cannot say which entry of a list a variable
//! means, and quote values in their errors, which may be secrets.

use super::error::SettingsError;
use super::removed_keys;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use toml::Value;
use toml::de::Error;

pub(super) fn typed<T: for<'de> Deserialize<'de>>(tree: Value) -> Result<T, SettingsError> {
    serde_path_to_error::deserialize(Lenient(tree)).map_err(|error| {
        let key = error.path().to_string();
        let key = if key == "." { String::new() } else { key };
        let problem = error.into_inner().message().to_owned();
        let problem = match unknown_field(&problem) {
            Some((name, known)) => removed_keys::why(&key)
                .unwrap_or_else(|| format!("there is no such key{}", nearest(&name, &known))),
            None => without_the_value(&problem).unwrap_or(problem),
        };
        SettingsError { key, problem }
    })
}

/// Reads serde's sentence about an unknown field; it has no typed form.
fn unknown_field(message: &str) -> Option<(String, Vec<String>)> {
    let mut quoted = message.strip_prefix("unknown field `")?.split('`');
    let name = quoted.next()?.to_owned();
    let known = quoted.skip(1).step_by(2).map(str::to_owned).collect();
    Some((name, known))
}

fn nearest(name: &str, known: &[String]) -> String {
    let closeness = |known: &String| strsim::jaro_winkler(known, name);
    known
        .iter()
        .max_by(|a, b| closeness(a).total_cmp(&closeness(b)))
        .map_or_else(String::new, |nearest| {
            format!("; did you mean {nearest:?}?")
        })
}

/// Serde's sentence about a value of another kind quotes the value, which may be a password in the
/// wrong place: only its kind is named.
fn without_the_value(message: &str) -> Option<String> {
    let rest = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))?;
    let (value, expected) = rest.rsplit_once(", expected ").unwrap_or((rest, ""));
    let kind = value
        .split(['`', '"'])
        .next()
        .unwrap_or_default()
        .trim_end();
    Some(match expected {
        "" => format!("cannot be this {kind}"),
        expected => format!("this {kind} cannot be used, expected {expected}"),
    })
}

/// A value of which texts also stand for what they can be read as.
struct Lenient(Value);

impl Lenient {
    /// A text read as a number or switch, if it is one; any other value as it is.
    fn read_as(self, read: fn(&str) -> Option<Value>) -> Result<Value, Error> {
        match self.0 {
            Value::String(text) => read(text.trim())
                .ok_or_else(|| Error::custom("the text is neither a number nor true or false")),
            other => Ok(other),
        }
    }
}

fn number(text: &str) -> Option<Value> {
    text.parse().ok().map(Value::Integer)
}

fn switch(text: &str) -> Option<Value> {
    text.parse().ok().map(Value::Boolean)
}

impl IntoDeserializer<'_, Error> for Lenient {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Lenient {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(list) => {
                visitor.visit_seq(SeqDeserializer::new(list.into_iter().map(Lenient)))
            }
            Value::Table(table) => {
                let entries = table.into_iter().map(|(key, value)| (key, Self(value)));
                visitor.visit_map(MapDeserializer::new(entries))
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.read_as(switch)?.deserialize_any(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.read_as(number)?.deserialize_any(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => {
                let parts = text.split(',').filter(|part| !part.is_empty());
                let parts = parts.map(|part| Self(Value::String(part.to_owned())));
                visitor.visit_seq(SeqDeserializer::new(parts))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u16 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct map struct identifier ignored_any
    }
}

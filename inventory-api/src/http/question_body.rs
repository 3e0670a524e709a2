//! The JSON body both questions share, borrowed from the request.
//!
//! Strict where the contract is: an object is an object (never a list in its place), `null` is no
//! value, numbers stay text. Unknown fields are ignored. A wrong type is reported with its path.

use crate::error::ApiError;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// Elements of a list that are kept. So a body made of brackets cannot fill the memory; one more than
/// this shows that there are too many.
const KEPT: usize = 10_001;
/// The longest list, whatever the settings say.
pub(crate) const LONGEST_LIST: usize = KEPT - 1;

/// A question as it was sent, nothing judged yet.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct QuestionBody<'a> {
    #[serde(borrow)]
    pub organization: Given<Text<'a>>,
    #[serde(borrow)]
    pub channel: Given<Text<'a>>,
    #[serde(borrow)]
    pub warehouse_id: Given<Text<'a>>,
    #[serde(borrow)]
    pub warehouse_ids: Given<List<Text<'a>>>,
    #[serde(borrow)]
    pub severity: Given<Text<'a>>,
    #[serde(borrow)]
    pub max_age_seconds: Given<Number<'a>>,
    #[serde(borrow)]
    pub timeout_ms: Given<Number<'a>>,
    #[serde(borrow)]
    pub on_live_failure: Given<Text<'a>>,
    #[serde(borrow)]
    pub order_id: Given<Text<'a>>,
    pub commit: Given<bool>,
    #[serde(borrow)]
    pub reservation_id: Given<Text<'a>>,
    #[serde(borrow)]
    pub request_id: Given<Text<'a>>,
    #[serde(borrow)]
    pub ttl_seconds: Given<Number<'a>>,
    #[serde(borrow)]
    pub products: Given<List<Object<Product<'a>>>>,
    #[serde(borrow)]
    pub skus: Given<List<Text<'a>>>,
}

/// One element of `products`.
#[derive(Debug, Deserialize)]
pub(crate) struct Product<'a> {
    #[serde(borrow)]
    pub sku: Text<'a>,
    #[serde(borrow, default)]
    pub quantity: Given<Number<'a>>,
}

/// A JSON text, borrowed unless it holds an escape.
#[derive(Debug, Deserialize)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A JSON number's text, exactly as it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a>(pub &'a str);

/// A field that may be left out, but is never `null`.
#[derive(Debug)]
pub(crate) struct Given<T>(pub Option<T>);

/// A list of which only so many elements are kept.
#[derive(Debug)]
pub(crate) struct List<T>(pub Vec<T>);

/// An object, where a derived reader would take a list as well.
#[derive(Debug)]
pub(crate) struct Object<T>(pub T);

/// Reads a body.
pub(crate) fn read(body: &[u8]) -> Result<QuestionBody<'_>, ApiError> {
    let read = serde_json::from_slice::<Object<QuestionBody<'_>>>(body);
    read.map(|Object(body)| body)
        .map_err(|error| refusal(body, &error))
}

fn refusal(body: &[u8], error: &serde_json::Error) -> ApiError {
    let problem = match error.classify() {
        Category::Data => return wrong_type(body, error),
        Category::Eof => "it ends early",
        Category::Syntax | Category::Io => "a character or escape that JSON does not allow",
    };
    ApiError::NotJson {
        problem,
        line: error.line(),
        column: error.column(),
    }
}

/// Reads the body once more to find out where it is wrong: good bodies do not pay for it.
fn wrong_type(body: &[u8], error: &serde_json::Error) -> ApiError {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let again: Result<Object<QuestionBody<'_>>, _> = serde_path_to_error::deserialize(&mut reader);
    let path = again.err().map(|error| error.path().to_string());
    let path = path.filter(|path| path != ".");
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(text, _)| text);
    ApiError::WrongType {
        path: path.map_or_else(|| "$".to_owned(), |path| format!("$.{path}")),
        problem: text.to_owned(),
    }
}

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(from).map(|value| Self(Some(value)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Number<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(from)?.get();
        if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            Ok(Self(text))
        } else {
            Err(D::Error::custom("expected a number"))
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Elements<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<List<T>, A::Error> {
                let mut list = Vec::new();
                while list.len() < KEPT {
                    match from.next_element()? {
                        Some(element) => list.push(element),
                        None => return Ok(List(list)),
                    }
                }
                while from.next_element::<IgnoredAny>()?.is_some() {}
                Ok(List(list))
            }
        }

        from.deserialize_seq(Elements(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(from)).map(Object)
            }
        }

        from.deserialize_map(Fields(PhantomData))
    }
}

#[cfg(test)]
mod tests;

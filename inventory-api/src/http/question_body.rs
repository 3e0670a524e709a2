//! The JSON body both questions share, read in one pass and borrowed from the request.
//!
//! Strict where the contract is: an object is an object (never a list in its place), `null` is no
//! value, numbers stay text. Unknown fields are ignored. A wrong type is reported with the path of
//! the value. The lists are bounded while they are read, so that a body made of brackets cannot
//! fill the memory.

use crate::error::ApiError;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

/// A question as it was sent, nothing judged yet.
#[derive(Debug, Default)]
pub(crate) struct QuestionBody<'a> {
    pub(crate) organization: Option<&'a RawValue>,
    pub(crate) channel: Option<&'a RawValue>,
    pub(crate) warehouse_id: Option<&'a RawValue>,
    pub(crate) warehouse_ids: Option<&'a RawValue>,
    pub(crate) severity: Option<&'a RawValue>,
    pub(crate) max_age_seconds: Option<&'a RawValue>,
    pub(crate) timeout_ms: Option<&'a RawValue>,
    pub(crate) on_live_failure: Option<&'a RawValue>,
    pub(crate) order_id: Option<&'a RawValue>,
    pub(crate) commit: Option<&'a RawValue>,
    pub(crate) reservation_id: Option<&'a RawValue>,
    pub(crate) request_id: Option<&'a RawValue>,
    pub(crate) ttl_seconds: Option<&'a RawValue>,
    pub(crate) products: Option<Vec<ProductEntry<'a>>>,
    pub(crate) skus: Option<Vec<Text<'a>>>,
}

/// One element of `products`.
#[derive(Debug, Default)]
pub(crate) struct ProductEntry<'a> {
    pub(crate) sku: Option<Text<'a>>,
    pub(crate) quantity: Option<&'a RawValue>,
}

/// A JSON text, borrowed unless it holds an escape.
#[derive(Debug)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

/// Reads a body. At most `longest_list` + 1 elements of a list are kept, which is enough to see
/// that there are too many.
pub(crate) fn read(body: &[u8], longest_list: usize) -> Result<QuestionBody<'_>, ApiError> {
    let place = Place::default();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let seed = BodySeed {
        place: &place,
        longest_list,
    };
    seed.deserialize(&mut reader)
        .and_then(|question| reader.end().map(|()| question))
        .map_err(|error| refusal(&error, &place))
}

fn refusal(error: &serde_json::Error, place: &Place) -> ApiError {
    use serde_json::error::Category;
    let problem = match error.classify() {
        Category::Data => {
            return ApiError::WrongType {
                path: place.path(),
                expected: place.expected.get(),
            };
        }
        Category::Eof => "it ends early",
        Category::Syntax | Category::Io => "a character or escape that JSON does not allow",
    };
    ApiError::NotJson {
        problem,
        line: error.line(),
        column: error.column(),
    }
}

/// Where the reader stands and what it expects there, for the path in a refusal.
#[derive(Debug)]
struct Place {
    field: Cell<&'static str>,
    index: Cell<Option<usize>>,
    inner: Cell<&'static str>,
    expected: Cell<&'static str>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            field: Cell::new(""),
            index: Cell::new(None),
            inner: Cell::new(""),
            expected: Cell::new("an object"),
        }
    }
}

impl Place {
    fn path(&self) -> String {
        let mut path = String::from("$");
        path.push_str(self.field.get());
        if let Some(index) = self.index.get() {
            path = format!("{path}[{index}]");
        }
        path.push_str(self.inner.get());
        path
    }

    fn stand_at(&self, field: &'static str, expected: &'static str) {
        self.field.set(field);
        self.index.set(None);
        self.inner.set("");
        self.expected.set(expected);
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

struct BodySeed<'p> {
    place: &'p Place,
    longest_list: usize,
}

impl<'de> DeserializeSeed<'de> for BodySeed<'_> {
    type Value = QuestionBody<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BodySeed<'_> {
    type Value = QuestionBody<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut body = QuestionBody::default();
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "organization" => body.organization = Some(map.next_value()?),
                "channel" => body.channel = Some(map.next_value()?),
                "warehouseId" => body.warehouse_id = Some(map.next_value()?),
                "warehouseIds" => body.warehouse_ids = Some(map.next_value()?),
                "severity" => body.severity = Some(map.next_value()?),
                "maxAgeSeconds" => body.max_age_seconds = Some(map.next_value()?),
                "timeoutMs" => body.timeout_ms = Some(map.next_value()?),
                "onLiveFailure" => body.on_live_failure = Some(map.next_value()?),
                "orderId" => body.order_id = Some(map.next_value()?),
                "commit" => body.commit = Some(map.next_value()?),
                "reservationId" => body.reservation_id = Some(map.next_value()?),
                "requestId" => body.request_id = Some(map.next_value()?),
                "ttlSeconds" => body.ttl_seconds = Some(map.next_value()?),
                "products" => {
                    self.place.stand_at(".products", "a list of objects");
                    body.products = Some(map.next_value_seed(ListSeed {
                        place: self.place,
                        longest: self.longest_list,
                        element: ProductSeed { place: self.place },
                    })?);
                }
                "skus" => {
                    self.place.stand_at(".skus", "a list of texts");
                    body.skus = Some(map.next_value_seed(ListSeed {
                        place: self.place,
                        longest: self.longest_list,
                        element: TextSeed { place: self.place },
                    })?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(body)
    }
}

struct ListSeed<'p, S> {
    place: &'p Place,
    longest: usize,
    element: S,
}

impl<'de, S: DeserializeSeed<'de> + Copy> DeserializeSeed<'de> for ListSeed<'_, S> {
    type Value = Vec<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, S: DeserializeSeed<'de> + Copy> Visitor<'de> for ListSeed<'_, S> {
    type Value = Vec<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while list.len() <= self.longest {
            self.place.index.set(Some(list.len()));
            match sequence.next_element_seed(self.element)? {
                Some(element) => list.push(element),
                None => return Ok(list),
            }
        }
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(list)
    }
}

#[derive(Clone, Copy)]
struct TextSeed<'p> {
    place: &'p Place,
}

impl<'de> DeserializeSeed<'de> for TextSeed<'_> {
    type Value = Text<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        self.place.expected.set("a text");
        Text::deserialize(from)
    }
}

#[derive(Clone, Copy)]
struct ProductSeed<'p> {
    place: &'p Place,
}

impl<'de> DeserializeSeed<'de> for ProductSeed<'_> {
    type Value = ProductEntry<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        self.place.inner.set("");
        self.place.expected.set("an object");
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ProductSeed<'_> {
    type Value = ProductEntry<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut product = ProductEntry::default();
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "sku" => {
                    self.place.inner.set(".sku");
                    self.place.expected.set("a text");
                    product.sku = Some(map.next_value()?);
                }
                "quantity" => product.quantity = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if product.sku.is_none() {
            self.place.inner.set(".sku");
            self.place.expected.set("given as a text");
            return Err(A::Error::custom("sku is missing"));
        }
        Ok(product)
    }
}

/// A field that must be a text.
pub(crate) fn text<'a>(raw: &'a RawValue, path: &str) -> Result<Cow<'a, str>, ApiError> {
    serde_json::from_str::<Text<'a>>(raw.get())
        .map(|Text(text)| text)
        .or(Err(ApiError::WrongType {
            path: path.to_owned(),
            expected: "a text",
        }))
}

/// A field that must be a list of texts.
pub(crate) fn texts<'a>(
    raw: &'a RawValue,
    path: &'static str,
    longest: usize,
) -> Result<Vec<Text<'a>>, ApiError> {
    let place = Place::default();
    place.expected.set("a list of texts");
    let seed = ListSeed {
        place: &place,
        longest,
        element: TextSeed { place: &place },
    };
    let mut reader = serde_json::Deserializer::from_str(raw.get());
    let read = seed.deserialize(&mut reader);
    read.or(Err(ApiError::WrongType {
        path: match place.index.get() {
            Some(index) => format!("{path}[{index}]"),
            None => path.to_owned(),
        },
        expected: place.expected.get(),
    }))
}

/// A field that must be a number; its text, exactly as it was sent.
pub(crate) fn number<'a>(raw: &'a RawValue, path: &str) -> Result<&'a str, ApiError> {
    let text = raw.get();
    if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(ApiError::WrongType {
            path: path.to_owned(),
            expected: "a number",
        })
    }
}

#[cfg(test)]
mod tests;

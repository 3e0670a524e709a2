//! Exact decimals and instants on the wire.

use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use shared::stock::{AsOf, Quantity};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A decimal as a JSON number: exactly its digits, never through a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(pub Quantity);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_integer() {
            Some(whole) => serializer.serialize_i64(whole),
            // A decimal's own text is a JSON number.
            None => RawValue::from_string(self.0.to_string())
                .map_err(S::Error::custom)?
                .serialize(serializer),
        }
    }
}

impl PartialSchema for Number {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .description(Some("An exact decimal of up to 28 digits."))
            .into()
    }
}

impl ToSchema for Number {}

/// An instant as `2026-11-23T04:53:56.123Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant(pub AsOf);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl PartialSchema for Instant {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("UTC, milliseconds, fixed width."))
            .pattern(Some(
                r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
            ))
            .examples(["2026-11-23T04:53:56.123Z"])
            .into()
    }
}

impl ToSchema for Instant {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_keeps_every_digit() {
        for text in [
            "0",
            "-1",
            "112",
            "0.333333",
            "-2.5",
            "79228162514264337593543950335",
            "0.1234567890123456789012345678",
        ] {
            let number = Number(text.parse().unwrap());
            assert_eq!(serde_json::to_string(&number).unwrap(), text);
        }
    }

    proptest! {
        #[test]
        fn a_number_on_the_wire_reads_back_as_itself(whole in any::<i64>(), scale in 0_u32..=18) {
            let quantity: Quantity = format!("{whole}e-{scale}").parse().unwrap();
            let text = serde_json::to_string(&Number(quantity)).unwrap();
            prop_assert_eq!(text.parse::<Quantity>().unwrap(), quantity);
        }
    }
}

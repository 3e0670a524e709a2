//! How values are written: durations as `"15m"`, sizes as `"1MiB"`, numbers and lists also as the
//! plain text an environment variable carries.

use crate::stock::{
    ChannelId, ItemNumber, LegalEntity, Quantity, SkuMapping, SkuTemplate, TenantId, WarehouseId,
};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

macro_rules! text_form {
    ($($name:ty => $parse:expr),+ $(,)?) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let parse: fn(&str) -> Result<Self, _> = $parse;
                parse(&text).map_err(Error::custom)
            }
        }
    )+};
}

// Settings are the one wire form the ids have inside `shared`; replies and requests name their own.
text_form! {
    TenantId => |text| TenantId::parse(text),
    LegalEntity => |text| LegalEntity::parse(text),
    WarehouseId => |text| WarehouseId::parse(text),
    ChannelId => |text| ChannelId::parse(text),
    ItemNumber => |text| ItemNumber::parse(text),
    SkuMapping => |text| match text {
        "item-number" => Ok(SkuMapping::ItemNumber),
        "variants" => Ok(SkuMapping::Variants),
        template if template.contains('{') => {
            SkuTemplate::parse(template).map(SkuMapping::Template).map_err(|e| e.to_string())
        }
        other => Err(format!(
            "{other:?} is no SKU mapping; use item-number, variants or a template such as \
             {{ItemNumber}}-{{ProductColorId}}-{{ProductSizeId}}"
        )),
    },
}

impl Display for SkuMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ItemNumber => f.write_str("item-number"),
            Self::Variants => f.write_str("variants"),
            Self::Template(template) => f.write_str(template.as_str()),
        }
    }
}

/// Durations as `"15m"` or `"250ms"`.
pub(super) mod duration {
    use super::{Deserialize, Deserializer, Error, Serializer};
    use std::time::Duration;

    pub(in crate::settings) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map_err(|cause| {
            D::Error::custom(format!(
                "{text:?} is no duration such as \"15m\" or \"250ms\": {cause}"
            ))
        })
    }
}

/// Sizes in bytes as `"1MiB"`, `"64KiB"` or a number of bytes.
pub(super) mod size {
    use super::{Deserializer, Error, Serializer, number};

    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks for a reference"
    )]
    pub(in crate::settings) fn serialize<S: Serializer>(
        bytes: &usize,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let bytes = *bytes as u64;
        match UNITS
            .iter()
            .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit))
        {
            Some((name, unit)) => serializer.collect_str(&format!("{}{name}", bytes / unit)),
            None => serializer.serialize_u64(bytes),
        }
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<usize, D::Error> {
        let text: String = number::text(deserializer)?;
        let (digits, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| text.strip_suffix(name).map(|digits| (digits, *unit)))
            .unwrap_or((&text, 1));
        digits
            .trim()
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| D::Error::custom(format!("{text:?} is no size such as \"1MiB\"")))
    }
}

/// Addresses. A wrong one is not quoted: it may hold a password.
pub(super) mod address {
    use super::{Deserialize, Deserializer, Error};
    use url::Url;

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Url, D::Error> {
        let text = String::deserialize(deserializer)?;
        Url::parse(&text).map_err(|cause| D::Error::custom(format!("is no address: {cause}")))
    }

    pub(in crate::settings) fn if_given<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Url>, D::Error> {
        deserialize(deserializer).map(Some)
    }
}

/// Numbers, also as text.
pub(super) mod number {
    use super::{Deserializer, Display, Error, FromStr, Visitor, fmt};

    struct TextOf;

    impl Visitor<'_> for TextOf {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number or its text")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }

    pub(in crate::settings) fn text<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<String, D::Error> {
        deserializer.deserialize_any(TextOf)
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>, N>(
        deserializer: D,
    ) -> Result<N, D::Error>
    where
        N: FromStr,
        N::Err: Display,
    {
        let text = text(deserializer)?;
        text.trim()
            .parse()
            .map_err(|cause| D::Error::custom(format!("{text:?}: {cause}")))
    }
}

/// Booleans, also as `"true"` and `"false"`.
pub(super) mod switch {
    use super::{Deserializer, Error, Visitor, fmt};

    struct Switch;

    impl Visitor<'_> for Switch {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true or false")
        }

        fn visit_bool<E: Error>(self, on: bool) -> Result<bool, E> {
            Ok(on)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
            match text {
                "true" => Ok(true),
                "false" => Ok(false),
                _ => Err(E::custom(format!("{text:?} is neither true nor false"))),
            }
        }
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<bool, D::Error> {
        deserializer.deserialize_any(Switch)
    }
}

/// Quantities as number or text, exactly: `"0.5"` or `5` (a TOML float would not be exact).
pub(super) mod quantity {
    use super::{Deserializer, Error, Quantity, Serializer, number};

    pub(in crate::settings) fn serialize<S: Serializer>(
        quantity: &Quantity,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(quantity)
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Quantity, D::Error> {
        number::text(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// Lists, also as one comma-separated text.
pub(super) mod list {
    use super::{Deserialize, Deserializer, Error, PhantomData, Visitor, fmt};
    use serde::de::{IntoDeserializer, SeqAccess, value::StrDeserializer};

    struct List<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list or a comma-separated text")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
            text.split(',')
                .filter(|part| !part.is_empty())
                .map(|part| {
                    let part: StrDeserializer<'_, E> = part.into_deserializer();
                    T::deserialize(part)
                })
                .collect()
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(element) = sequence.next_element()? {
                list.push(element);
            }
            Ok(list)
        }
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<Vec<T>, D::Error> {
        deserializer.deserialize_any(List(PhantomData))
    }
}

//! How values are written: durations as `"15m"`, sizes as `"1MiB"`, ids and quantities as text.

use crate::stock::{
    ChannelId, ItemNumber, LegalEntity, SkuMapping, SkuTemplate, TenantId, WarehouseId,
};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::{self, Display};

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
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
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
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    const UNITS: [(&str, usize); 3] = [("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "is no size such as \"1MiB\"")]
    enum Form {
        Bytes(usize),
        Text(String),
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks for a reference"
    )]
    pub(crate) fn serialize<S: Serializer>(
        bytes: &usize,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let whole = UNITS.iter().find(|(_, unit)| bytes.is_multiple_of(*unit));
        let (name, unit) = whole.unwrap_or(&("", 1));
        serializer.collect_str(&format!("{}{name}", bytes / unit))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<usize, D::Error> {
        let text = match Form::deserialize(deserializer)? {
            Form::Bytes(bytes) => return Ok(bytes),
            Form::Text(text) => text,
        };
        let with_unit = |(name, unit): &(&str, usize)| {
            let number: usize = text.strip_suffix(name)?.trim().parse().ok()?;
            number.checked_mul(*unit)
        };
        let size = UNITS.iter().find_map(with_unit);
        size.ok_or_else(|| D::Error::custom(format!("{text:?} is no size such as \"1MiB\"")))
    }
}

/// Addresses. A wrong one is not quoted: it may hold a password.
pub(super) mod address {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer};
    use url::Url;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
        let text = String::deserialize(deserializer)?;
        Url::parse(&text).map_err(|cause| D::Error::custom(format!("is no address: {cause}")))
    }

    pub(crate) fn if_given<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Url>, D::Error> {
        deserialize(deserializer).map(Some)
    }
}

/// Quantities as whole number or text, exactly: `"0.5"` or `5` (a TOML float would not be exact).
pub(super) mod quantity {
    use crate::stock::Quantity;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "is no quantity such as \"0.5\" or 5")]
    enum Form {
        Whole(i64),
        Text(String),
    }

    pub(crate) fn serialize<S: Serializer>(
        quantity: &Quantity,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(quantity)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Quantity, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Whole(number) => Ok(Quantity::from(number)),
            Form::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

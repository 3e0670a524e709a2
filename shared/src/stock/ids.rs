//! Identifiers: parsed once at the door and kept as they were given. D365's are compared as D365 compares
//! them (see [`super::Spelling`]); ours and ICM's exactly.

use crate::stock::spelling::Spelling;
use std::fmt;

/// Why a text is not the identifier it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given, or nothing but blanks.
    #[error("the {what} may not be empty")]
    Empty {
        /// Which identifier was meant.
        what: &'static str,
    },
    /// More characters than the identifier may have.
    #[error("the {what} may have at most {limit} characters, this one has {length}")]
    TooLong {
        /// Which identifier was meant.
        what: &'static str,
        /// Longest accepted length in characters.
        limit: usize,
        /// Length found, in characters.
        length: usize,
    },
    /// A control character (including NUL, tab and line breaks) occurs.
    #[error("the {what} may not contain control characters (found one at character {position})")]
    ControlCharacter {
        /// Which identifier was meant.
        what: &'static str,
        /// Position of the first one, counted in characters from 0.
        position: usize,
    },
    /// A character outside the accepted alphabet occurs.
    #[error("the {what} may contain only {allowed} (found {found:?})")]
    ForbiddenCharacter {
        /// Which identifier was meant.
        what: &'static str,
        /// The accepted alphabet in words.
        allowed: &'static str,
        /// The first character outside it.
        found: char,
    },
}

pub(super) fn checked(text: &str, what: &'static str, limit: usize) -> Result<(), IdError> {
    if text.trim_end_matches(' ').is_empty() {
        return Err(IdError::Empty { what });
    }
    // Bytes bound characters from above, so the count is needed for long texts only.
    if text.len() > limit {
        let length = text.chars().count();
        if length > limit {
            return Err(IdError::TooLong {
                what,
                limit,
                length,
            });
        }
    }
    match text.chars().position(char::is_control) {
        Some(position) => Err(IdError::ControlCharacter { what, position }),
        None => Ok(()),
    }
}

macro_rules! d365_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $limit:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Spelling);

        impl $name {
            /// Longest accepted length in characters.
            pub const MAX_CHARS: usize = $limit;

            /// Accepts 1 to [`Self::MAX_CHARS`] characters without control characters, as they are.
            pub fn parse(text: impl Into<Box<str>>) -> Result<Self, IdError> {
                let text = text.into();
                checked(&text, $what, $limit)?;
                Ok(Self(text.into()))
            }

            /// The identifier as it was given: for replies, and for asking D365.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// What all spellings of it share: for Redis.
            pub fn key(&self) -> &str {
                self.0.key()
            }

            /// Whether D365 may take it for another one, so that its absence cannot be proved.
            pub fn is_doubtful(&self) -> bool {
                self.0.is_doubtful()
            }

            /// Whether D365 may take it for this doubtful one.
            pub fn may_be(&self, doubtful: &Self) -> bool {
                self.0.may_be(&doubtful.0)
            }

            /// Whether a text is a spelling of it.
            pub fn is_named_by(&self, text: &str) -> bool {
                self.0.is_named_by(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }
    };
}

d365_id! {
    /// What ICM asks for: opaque, case kept, up to 256 characters as in ICM's product import.
    Sku, "SKU", 256
}
d365_id! {
    /// D365's product key (`ItemNumber`; the master's number for variants). Real ones begin with
    /// blanks now and then, so nothing is trimmed.
    ItemNumber, "item number", 256
}
d365_id! {
    /// D365's `InventoryWarehouseId`.
    WarehouseId, "warehouse id", 64
}
d365_id! {
    /// D365's `InventorySiteId`.
    SiteId, "site id", 64
}
/// An ICM sales channel, for example `inSPIRED-inTRONICS-Site`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(Box<str>);

impl ChannelId {
    /// Longest accepted length in characters.
    pub const MAX_CHARS: usize = 128;

    /// Accepts 1 to [`Self::MAX_CHARS`] characters without control characters, as they are.
    pub fn parse(text: impl Into<Box<str>>) -> Result<Self, IdError> {
        let text = text.into();
        checked(&text, "channel id", Self::MAX_CHARS)?;
        Ok(Self(text))
    }

    /// The identifier as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

/// One D365 environment with one legal entity; ICM calls it "Organization".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Box<str>);

impl TenantId {
    /// Accepts 1 to 32 of `a-z`, `0-9` and `-`: the id is part of every Redis key.
    pub fn parse(text: impl Into<Box<str>>) -> Result<Self, IdError> {
        let text = text.into();
        checked(&text, "tenant id", 32)?;
        match text
            .chars()
            .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-'))
        {
            Some(found) => Err(IdError::ForbiddenCharacter {
                what: "tenant id",
                allowed: "a-z, 0-9 and -",
                found,
            }),
            None => Ok(Self(text)),
        }
    }

    /// The identifier as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

/// The company whose stock it is (`dataAreaId`). D365 takes any case and answers in lower case, so
/// lower case is the one form kept.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegalEntity(Box<str>);

impl LegalEntity {
    /// Accepts 1 to 8 ASCII letters, digits, `-` or `_`, drops trailing blanks and lower-cases them.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let text = text.trim_end_matches(' ');
        checked(text, "legal entity", 8)?;
        match text
            .chars()
            .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
        {
            Some(found) => Err(IdError::ForbiddenCharacter {
                what: "legal entity",
                allowed: "ASCII letters, digits, - and _",
                found,
            }),
            None => Ok(Self(text.to_ascii_lowercase().into())),
        }
    }

    /// The company in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a `dataAreaId` names this company, whatever its spelling.
    pub fn is_named_by(&self, data_area_id: &str) -> bool {
        let named = data_area_id.trim_end_matches(' ');
        self.0.eq_ignore_ascii_case(named)
    }
}

impl fmt::Display for LegalEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LegalEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_blank_is_part_of_an_item_number() {
        let item = ItemNumber::parse(" RFI-TEST-001").unwrap();
        assert_eq!(item.as_str(), " RFI-TEST-001");
        assert_ne!(item, ItemNumber::parse("RFI-TEST-001").unwrap());
        assert_eq!(
            ItemNumber::parse("  ").unwrap_err(),
            IdError::Empty {
                what: "item number"
            }
        );
    }

    #[test]
    fn a_sku_is_bounded_and_free_of_control_characters() {
        let what = "SKU";
        let control = |position| IdError::ControlCharacter { what, position };
        let too_long = IdError::TooLong {
            what,
            limit: 256,
            length: 257,
        };
        for (text, refusal) in [
            (String::new(), Some(IdError::Empty { what })),
            ("ä".repeat(256), None),
            ("ä".repeat(257), Some(too_long)),
            ("a\nb".to_owned(), Some(control(1))),
            ("\0".to_owned(), Some(control(0))),
        ] {
            assert_eq!(Sku::parse(text.as_str()).err(), refusal, "{text:?}");
        }
    }

    #[test]
    fn a_tenant_id_keeps_to_its_alphabet() {
        assert!(TenantId::parse("contoso-emea-1").is_ok());
        for wrong in ["Contoso", "a_b", "a:b", "ä", &"x".repeat(33)] {
            assert!(TenantId::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_legal_entity_has_one_form() {
        assert_eq!(
            LegalEntity::parse("USMF").unwrap(),
            LegalEntity::parse("usmf").unwrap()
        );
        assert!(LegalEntity::parse("usmf").unwrap().is_named_by("UsMf "));
        assert!(LegalEntity::parse("us'mf").is_err());
    }
}

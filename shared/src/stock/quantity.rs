//! Signed decimal quantities, read from the text D365 sent and never through a float.

use rust_decimal::Decimal;
use std::fmt;
use std::str::FromStr;

/// A stock quantity in the item's inventory unit: exact, signed, up to 28 digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(Decimal);

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text is not a decimal number, or has more than 28 digits.
    #[error("{text:?} is not a decimal number of at most 28 digits")]
    NotADecimal {
        /// The text, cut to 64 characters.
        text: String,
    },
    /// A sum left the range of 28 digits.
    #[error("a sum of quantities left the range of 28 digits")]
    Overflow,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// The largest there is.
    pub const MAX: Self = Self(Decimal::MAX);

    /// Reads `15`, `15.0`, `-3`, `0.333333`, `1.5E+3`: every form of a JSON number.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        parse_exact(text)
            .map(|decimal| Self(decimal.normalize()))
            .ok_or_else(|| QuantityError::NotADecimal {
                text: text.chars().take(64).collect(),
            })
    }

    /// Adds, or says that the range was left.
    pub fn checked_add(self, other: Self) -> Result<Self, QuantityError> {
        self.0
            .checked_add(other.0)
            .map(|sum| Self(sum.normalize()))
            .ok_or(QuantityError::Overflow)
    }

    /// Subtracts, or says that the range was left.
    pub fn checked_sub(self, other: Self) -> Result<Self, QuantityError> {
        self.0
            .checked_sub(other.0)
            .map(|difference| Self(difference.normalize()))
            .ok_or(QuantityError::Overflow)
    }

    /// Whether it is below zero.
    pub fn is_negative(self) -> bool {
        self < Self::ZERO
    }

    /// Whether it is above zero.
    pub fn is_positive(self) -> bool {
        self > Self::ZERO
    }

    /// In millionths (D365 keeps six decimals), rounded towards zero and held within the range.
    pub fn millionths(self) -> i64 {
        self.0
            .checked_mul(Decimal::from(1_000_000))
            .and_then(|millionths| i64::try_from(millionths.trunc()).ok())
            .unwrap_or(self.bound())
    }

    /// So many millionths.
    pub fn from_millionths(millionths: i64) -> Self {
        Self(Decimal::new(millionths, 6).normalize())
    }

    /// The smallest whole number that is not below it, held within the range.
    pub fn whole_units_up(self) -> i64 {
        i64::try_from(self.0.ceil()).unwrap_or(self.bound())
    }

    fn bound(self) -> i64 {
        if self.is_negative() {
            i64::MIN
        } else {
            i64::MAX
        }
    }

    /// The whole number it is, if it is one and fits.
    pub fn as_integer(self) -> Option<i64> {
        if self.0.scale() == 0 {
            i64::try_from(self.0.mantissa()).ok()
        } else {
            None
        }
    }
}

fn parse_exact(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], i32::from_str(&text[at + 1..]).ok()?),
        None => (text, 0),
    };
    // The library takes `_` as a digit separator and a leading `+`; a number on the wire has neither.
    if !mantissa
        .bytes()
        .all(|b| b.is_ascii_digit() || b == b'.' || b == b'-')
    {
        return None;
    }
    let mut decimal = Decimal::from_str_exact(mantissa).ok()?;
    if exponent > 0 {
        let factor = 10_i128.checked_pow(u32::try_from(exponent).ok()?)?;
        let factor = Decimal::try_from_i128_with_scale(factor, 0).ok()?;
        decimal = decimal.checked_mul(factor)?;
    } else if exponent < 0 {
        decimal = decimal.normalize();
        let scale = decimal.scale().checked_add(exponent.unsigned_abs())?;
        decimal.set_scale(scale).ok()?;
    }
    Some(decimal)
}

impl From<i64> for Quantity {
    fn from(whole: i64) -> Self {
        Self(Decimal::from(whole))
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Self::parse(text)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_a_json_number_is_read_exactly() {
        for (text, shown) in [
            ("15", "15"),
            ("15.0", "15"),
            ("15.000000", "15"),
            ("-3", "-3"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0.333333", "0.333333"),
            ("1.5E+3", "1500"),
            ("1.5e3", "1500"),
            ("15E-1", "1.5"),
            ("100e-2", "1"),
            ("0e5", "0"),
            (
                "79228162514264337593543950335",
                "79228162514264337593543950335",
            ),
        ] {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_number_or_does_not_fit_is_refused() {
        for text in [
            "",
            "-",
            "abc",
            "1_000",
            "+5",
            "1,5",
            "NaN",
            "1e",
            "1e400",
            "1e-400",
            " 1",
            "1 ",
            "792281625142643375935439503350",
            "0.00000000000000000000000000001",
        ] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_quantity_survives_its_own_text(mantissa in any::<i64>(), scale in 0_u32..=18) {
            let quantity = Quantity(Decimal::new(mantissa, scale).normalize());
            let text = quantity.to_string();
            prop_assert_eq!(Quantity::parse(&text).unwrap(), quantity);
            prop_assert_eq!(Quantity::parse(&text).unwrap().to_string(), text);
        }

        #[test]
        fn trailing_zeros_and_exponents_do_not_change_the_number(
            mantissa in -1_000_000_000_i64..1_000_000_000, exponent in 0_i32..=9,
        ) {
            let plain = Quantity::parse(&mantissa.to_string()).unwrap();
            let shifted = format!("{mantissa}{}e-{exponent}", "0".repeat(exponent.unsigned_abs() as usize));
            prop_assert_eq!(Quantity::parse(&shifted).unwrap(), plain);
        }
    }
}

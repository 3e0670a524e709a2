//! Decimals in JSON, in the style switched on.

use std::fmt::Write as _;

use rust_decimal::Decimal;

use crate::switches::NumberStyle;

/// Appends a number; digits are never lost.
pub(crate) fn write_number(out: &mut String, number: Decimal, style: NumberStyle) {
    let plain = number.normalize();
    match style {
        NumberStyle::Plain => append(out, plain),
        NumberStyle::OneDecimal => append_with_scale(out, plain, 1),
        NumberStyle::SixDecimals => append_with_scale(out, plain, 6),
        NumberStyle::Exponent => append_exponent(out, plain),
    }
}

fn append(out: &mut String, number: Decimal) {
    let written = write!(out, "{number}");
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

fn append_with_scale(out: &mut String, number: Decimal, scale: u32) {
    append(out, number);
    let mut decimals = number.scale();
    if decimals == 0 {
        out.push('.');
    }
    while decimals < scale {
        out.push('0');
        decimals += 1;
    }
}

fn append_exponent(out: &mut String, number: Decimal) {
    let digits = number.mantissa().unsigned_abs().to_string();
    if number.is_sign_negative() {
        out.push('-');
    }
    let significant = digits.trim_end_matches('0');
    let (first, rest) = significant.split_at(significant.len().min(1));
    out.push_str(if first.is_empty() { "0" } else { first });
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    // At most 29 digits and 28 decimals.
    let exponent = i64::try_from(digits.len()).unwrap_or(0) - 1 - i64::from(number.scale());
    let written = write!(out, "E{exponent}");
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_style_keeps_the_number() {
        let cases = [
            ("15", ["15", "15.0", "15.000000", "1.5E1"]),
            ("0", ["0", "0.0", "0.000000", "0E0"]),
            ("-3", ["-3", "-3.0", "-3.000000", "-3E0"]),
            (
                "0.333333",
                ["0.333333", "0.333333", "0.333333", "3.33333E-1"],
            ),
            ("76.250", ["76.25", "76.25", "76.250000", "7.625E1"]),
            ("1500", ["1500", "1500.0", "1500.000000", "1.5E3"]),
        ];
        let styles = [
            NumberStyle::Plain,
            NumberStyle::OneDecimal,
            NumberStyle::SixDecimals,
            NumberStyle::Exponent,
        ];
        for (text, expected) in cases {
            let number: Decimal = text.parse().unwrap();
            for (style, expected) in styles.into_iter().zip(expected) {
                let mut out = String::new();
                write_number(&mut out, number, style);
                assert_eq!(out, expected, "{text} as {style:?}");
                let read = Decimal::from_scientific(&out)
                    .or_else(|_| out.parse())
                    .unwrap();
                assert_eq!(read, number, "{text} as {style:?}");
            }
        }
    }
}

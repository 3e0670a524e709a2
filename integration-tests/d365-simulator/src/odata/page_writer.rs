//! Writes a page of rows as the JSON D365 sends, straight into a buffer.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rust_decimal::Decimal;

use super::entities::{EntitySet, Property, SetRow, Value};
use crate::switches::NumberStyle;

/// Everything around the rows of a page.
pub(crate) struct PageFrame<'a> {
    pub(crate) set: EntitySet,
    /// Scheme, host and port of the environment.
    pub(crate) origin: &'a str,
    /// Names asked for with `$select`, in that order.
    pub(crate) selected: &'a [(&'static str, Property)],
    pub(crate) columns: &'a [(&'static str, Property)],
    pub(crate) next_link: Option<&'a str>,
    pub(crate) numbers: NumberStyle,
}

/// A written page and the place behind each of its rows.
pub(crate) struct WrittenPage {
    pub(crate) body: String,
    pub(crate) row_ends: Vec<usize>,
}

pub(crate) fn write_page(frame: &PageFrame<'_>, rows: &[SetRow<'_>]) -> WrittenPage {
    // Names with quotes and colon, made once for the page.
    let columns: Vec<(String, Property)> = frame
        .columns
        .iter()
        .map(|(name, property)| (format!(",\"{name}\":"), *property))
        .collect();
    let mut out = String::with_capacity(512 + rows.len() * (40 + columns.len() * 32));
    out.push_str("{\"@odata.context\":\"");
    out.push_str(frame.origin);
    out.push_str("/data/$metadata#");
    out.push_str(frame.set.name());
    if !frame.selected.is_empty() {
        let names: Vec<_> = frame.selected.iter().map(|(name, _)| *name).collect();
        out.push('(');
        out.push_str(&names.join(","));
        out.push(')');
    }
    out.push('"');
    out.push_str(",\"value\":[");
    let mut row_ends = Vec::with_capacity(rows.len());
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        write_row(&mut out, frame, &columns, row, place);
        row_ends.push(out.len());
    }
    out.push(']');
    if let Some(link) = frame.next_link {
        out.push_str(",\"@odata.nextLink\":");
        write_text(&mut out, link);
    }
    out.push('}');
    WrittenPage {
        body: out,
        row_ends,
    }
}

fn write_row(
    out: &mut String,
    frame: &PageFrame<'_>,
    columns: &[(String, Property)],
    row: &SetRow<'_>,
    place: usize,
) {
    out.push_str("{\"@odata.etag\":");
    if frame.set == EntitySet::WarehousesOnHand {
        // Rows of a view over several tables carry no record id.
        out.push_str(r#""W/\"JzAsMDswLDAn\"""#);
    } else {
        let record = STANDARD.encode(format!("'1,{};0,0'", 5_637_144_576_u64 + place as u64));
        out.push_str(r#""W/\""#);
        out.push_str(&record);
        out.push_str(r#"\"""#);
    }
    let spoiled = row.spoiled.as_deref();
    for (name, property) in columns {
        if spoiled.is_some_and(|damage| damage.missing == Some(*property)) {
            continue;
        }
        out.push_str(name);
        if spoiled.is_some_and(|damage| damage.null == Some(*property)) {
            out.push_str("null");
            continue;
        }
        match row.value(*property) {
            Value::Text(text) => write_text(out, text.raw()),
            Value::Number(number) => write_number(out, number, frame.numbers),
            Value::NoYes(value) => out.push_str(if value { "\"Yes\"" } else { "\"No\"" }),
        }
    }
    out.push('}');
}

/// Appends a number; digits are never lost.
fn write_number(out: &mut String, number: Decimal, style: NumberStyle) {
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

/// Appends a JSON string.
fn write_text(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_style_keeps_the_number() {
        for (text, expected) in [
            ("15", ["15", "15.0", "15.000000", "1.5E1"]),
            ("0", ["0", "0.0", "0.000000", "0E0"]),
            ("-3", ["-3", "-3.0", "-3.000000", "-3E0"]),
            (
                "0.333333",
                ["0.333333", "0.333333", "0.333333", "3.33333E-1"],
            ),
            ("76.250", ["76.25", "76.25", "76.250000", "7.625E1"]),
        ] {
            let styles = [
                NumberStyle::Plain,
                NumberStyle::OneDecimal,
                NumberStyle::SixDecimals,
                NumberStyle::Exponent,
            ];
            for (style, expected) in styles.into_iter().zip(expected) {
                let mut out = String::new();
                write_number(&mut out, text.parse().unwrap(), style);
                assert_eq!(out, expected, "{text} as {style:?}");
            }
        }
    }
}

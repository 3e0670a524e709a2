//! Writes a page of rows as the JSON D365 sends, straight into a buffer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::entities::{EntitySet, Property, SetRow, Value};
use super::numbers::write_number;
use crate::switches::NumberStyle;

/// Everything around the rows of a page.
pub(crate) struct PageFrame<'a> {
    pub(crate) set: EntitySet,
    /// Scheme, host and port of the environment.
    pub(crate) origin: &'a str,
    /// Names asked for with `$select`, in that order.
    pub(crate) selected: &'a [(&'static str, Property)],
    pub(crate) columns: &'a [(&'static str, Property)],
    pub(crate) count: Option<usize>,
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
    if let Some(count) = frame.count {
        out.push_str(",\"@odata.count\":");
        out.push_str(&count.to_string());
    }
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
    if frame.set.is_on_hand() {
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
            Value::Free(text) => write_text(out, text),
            Value::Symbol(symbol) => write_text(out, symbol),
            Value::Number(number) => write_number(out, number, frame.numbers),
            Value::NoYes(value) => out.push_str(if value { "\"Yes\"" } else { "\"No\"" }),
        }
    }
    out.push('}');
}

/// Appends a JSON string.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(place) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') {
        out.push_str(&rest[..place]);
        let escaped = rest[place..].chars().next().unwrap_or(' ');
        match escaped {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control => {
                out.push_str("\\u00");
                out.push(char::from_digit(control as u32 >> 4, 16).unwrap_or('0'));
                out.push(char::from_digit(control as u32 & 15, 16).unwrap_or('0'));
            }
        }
        rest = &rest[place + escaped.len_utf8()..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_json_wants_it() {
        for text in [
            "plain",
            "say \"hi\"",
            "a\\b",
            "tab\tline\n",
            "\u{1f}ü\u{7f}",
            "",
            "'",
        ] {
            let mut out = String::new();
            write_text(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}

//! PURE: a page of an entity set: `{ "value": [ {..}, .. ], "@odata.nextLink": "..", .. }`.
//!
//! A body is read whole before a row of it is looked at. Ten thousand selected rows are about 4 MB, and a
//! worker reads as many pages at once as it has `parallel_shards`; its limit for a body holds for all of
//! them. Members come in any order. A body that breaks off, goes on behind its end, has a member that
//! decides twice or carries an error is no page, never a short one.

use crate::d365::error::D365Error;
use crate::d365::members::Members;
use serde_json::value::RawValue;

/// What a page holds, not yet compared with what was asked for.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// The JSON of each row.
    pub(super) rows: Vec<&'a RawValue>,
    /// `@odata.nextLink`, unchecked.
    pub(super) next_link: Option<String>,
}

impl<'a> Page<'a> {
    /// Reads a body.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, D365Error> {
        let text = std::str::from_utf8(body)
            .map_err(|cause| bad_page(&format!("its body is not UTF-8: {cause}")))?;
        Self::read_text(text.strip_prefix('\u{feff}').unwrap_or(text))
            .map_err(|problem| bad_page(&problem))
    }

    fn read_text(text: &'a str) -> Result<Self, String> {
        let members =
            Members::read(text).map_err(|problem| format!("its body is not a page: {problem}"))?;
        members.refuse_error_beside("value")?;
        if members.only("Message")?.is_some() {
            return Err("it carries an error: member \"Message\"".to_owned());
        }
        let rows = members
            .only("value")?
            .ok_or("its body has no member \"value\"")?;
        let rows =
            serde_json::from_str(rows).map_err(|_other| "its member \"value\" is not a list")?;
        let mut links = members.iter().filter(|(name, _)| is_link(name));
        let next_link = match (links.next(), links.next()) {
            (_, Some(_)) => return Err("it has two continuations".to_owned()),
            (Some((_, link)), None) => serde_json::from_str(link.get())
                .map_err(|cause| format!("its nextLink is no text: {cause}"))?,
            (None, None) => None,
        };
        Ok(Self { rows, next_link })
    }
}

/// Some servers leave `odata.` out, or write the name in another case; a continuation that is not seen
/// would be the end.
fn is_link(name: &str) -> bool {
    ["@odata.nextLink", "@nextLink", "odata.nextLink"]
        .iter()
        .any(|link| name.eq_ignore_ascii_case(link))
}

fn bad_page(problem: &str) -> D365Error {
    D365Error::BadAnswer {
        problem: problem.chars().take(300).collect(),
    }
}

/// The error for a row that cannot be read; rows are counted from 1.
pub(super) fn bad_row(number: u64, problem: &str) -> D365Error {
    bad_page(&format!("row {number}: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Result<(Vec<String>, Option<String>), D365Error> {
        let page = Page::read(body)?;
        let rows = page.rows.iter().map(|row| row.get().to_owned());
        Ok((rows.collect(), page.next_link))
    }

    #[test]
    fn members_come_in_any_order_with_any_blanks() {
        let link = Some("x?$skip=1");
        for (body, rows, next_link) in [
            (r#"{"value":[]}"#, &[][..], None),
            (r#"{"value":[{"a":1},{}]}"#, &[r#"{"a":1}"#, "{}"], None),
            (
                "\u{feff} {\r\n\"@odata.nextLink\" : \"x?$skip=1\" ,\t\"value\" : [ {\"a\":\"]}\\\"\"} ] } \n",
                &[r#"{"a":"]}\""}"#],
                link,
            ),
            (
                r#"{"@odata.context":"c","@odata.count":12,"x":{"value":[1,"]"]},"y":[true,null],"z":-1.5e3,"value":[{"a":[{"b":{}}]}],"@odata.nextLink":"x?$skip=1"}"#,
                &[r#"{"a":[{"b":{}}]}"#],
                link,
            ),
            (
                r#"{"v\u0061lue":[{}],"@odata.nextLink":"x?\u0024skip=1"}"#,
                &["{}"],
                link,
            ),
            (r#"{"value":[{}],"@nextLink":"x?$skip=1"}"#, &["{}"], link),
            (
                r#"{"value":[{}],"ODATA.nextlink":"x?$skip=1"}"#,
                &["{}"],
                link,
            ),
            (r#"{"value":[{}],"@odata.nextLink":null}"#, &["{}"], None),
            (
                r#"{"value":[{}],"@odata.count":1e999,"errorCode":0,"message":"x"}"#,
                &["{}"],
                None,
            ),
        ] {
            let rows: Vec<String> = rows.iter().map(|row| (*row).to_owned()).collect();
            let expected = (rows, next_link.map(str::to_owned));
            assert_eq!(read(body.as_bytes()).unwrap(), expected, "{body}");
            for end in 0..body.trim_end().len() {
                assert!(read(&body.as_bytes()[..end]).is_err(), "{body}");
            }
        }
    }

    #[test]
    fn what_is_not_a_page_is_refused() {
        for body in [
            &b""[..],
            b"[]",
            b"null",
            b"{}",
            b"<html></html>",
            br#"{"error":{"message":"x"}}"#,
            br#"{"value":{}}"#,
            br#"{"value":null}"#,
            br#"{"value":[{},]}"#,
            br#"{"value":[{}{}]}"#,
            br#"{"value":[,{}]}"#,
            br#"{"value":[{}],}"#,
            br#"{"value":[{}]"x":1}"#,
            br#"{"value" [{}]}"#,
            br#"{"value":[{}]}x"#,
            br#"{"value":[{}]}{}"#,
            br#"{"value":[{}],"value":[{}]}"#,
            br#"{"value":[{}],"@odata.nextLink":"x","@odata.nextLink":"x"}"#,
            br#"{"value":[{}],"@odata.nextLink":null,"@odata.nextlink":"x"}"#,
            br#"{"error":{"message":"x"},"value":[{}]}"#,
            br#"{"value":[{}],"error":null}"#,
            br#"{"value":[],"@odata.error":"x"}"#,
            br#"{"Message":"An error has occurred.","value":[]}"#,
            br#"{"value":[{}],"@odata.notes":[{"error":{"message":"x"}}]}"#,
            b"{\"value\":[{}]}\0",
            b"{\"value\":[{}\0]}",
            br#"{"value":[{}],"x":1 2}"#,
            br#"{"value":[{}],"x":{"a":]}}"#,
            br#"{"value":[{}],"x":tru}"#,
            br#"{"value":[{}],"@odata.nextLink":5}"#,
            b"{\"value\":[{}],\"x\":\"\x01\"}",
            "{\u{feff}\"value\":[{}]}".as_bytes(),
            b"\xEF\xBB{\"value\":[]}",
            b"\xFF\xFE{\0",
            b"{\"value\":[{}],\"x\":\"\xFF\"}",
        ] {
            let refused = read(body);
            let is_bad = matches!(refused, Err(D365Error::BadAnswer { .. }));
            assert!(is_bad, "{}: {refused:?}", String::from_utf8_lossy(body));
        }
    }
}

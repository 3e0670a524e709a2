//! Finds the rows of an `OData` page in its bytes as they arrive, without holding the page.
//!
//! A page is `{ "value": [ {..}, .. ], "@odata.nextLink": "..", .. }` with members in any order.
//! Only the row being read is kept, and only while it is cut by the end of a chunk.
//!
//! A page is good only if nothing in it says otherwise: an error it carries, a member that decides
//! and comes twice, a body that goes on or breaks off make it no page. Other members are ignored.

use crate::d365::D365Error;
use crate::d365::carried_error::{carried, is_error, refuse_carried_error};

/// Largest row or other member. A real on-hand row has about 1 KB.
const LARGEST_VALUE: usize = 64 * 1024;
/// Deepest nesting inside a row. Real rows are flat.
const DEEPEST: u32 = 32;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads one page's bytes.
#[derive(Debug)]
pub(in crate::d365) struct PageScanner {
    place: Place,
    capture: Capture,
    // The beginning of a value whose end has not arrived yet.
    carried: Vec<u8>,
    member: Member,
    bytes_seen: u64,
    has_rows_member: bool,
    has_link_member: bool,
    next_link: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start { mark_bytes: usize },
    BeforePage,
    BeforeKey { after_comma: bool },
    InKey,
    AfterKey,
    BeforeValue,
    InValue,
    AfterValue,
    BeforeRow { after_comma: bool },
    InRow,
    AfterRow,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Rows,
    NextLink,
    Other,
}

/// Where a value ends, found without understanding it.
#[derive(Debug, Default)]
struct Capture {
    depth: u32,
    is_scalar: bool,
    in_string: bool,
    after_backslash: bool,
}

enum Step {
    Inside,
    /// The value ends with this byte.
    EndsWith,
    /// The value ended before this byte.
    EndedBefore,
    TooDeep,
}

impl Capture {
    fn step(&mut self, byte: u8) -> Step {
        if self.in_string {
            match byte {
                _ if self.after_backslash => self.after_backslash = false,
                b'\\' => self.after_backslash = true,
                b'"' => {
                    self.in_string = false;
                    return self.closed();
                }
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            _ if self.is_scalar => match byte {
                b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' => Step::EndedBefore,
                _ => Step::Inside,
            },
            b'"' => {
                self.in_string = true;
                Step::Inside
            }
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    Step::TooDeep
                } else {
                    Step::Inside
                }
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.closed()
            }
            _ => {
                self.is_scalar = self.depth == 0;
                Step::Inside
            }
        }
    }

    fn closed(&self) -> Step {
        if self.depth == 0 {
            Step::EndsWith
        } else {
            Step::Inside
        }
    }
}

fn bad(problem: impl Into<String>) -> D365Error {
    D365Error::BadAnswer {
        problem: problem.into(),
    }
}

impl Default for PageScanner {
    fn default() -> Self {
        Self {
            place: Place::Start { mark_bytes: 0 },
            capture: Capture::default(),
            carried: Vec::new(),
            member: Member::Other,
            bytes_seen: 0,
            has_rows_member: false,
            has_link_member: false,
            next_link: None,
        }
    }
}

impl PageScanner {
    /// Takes the next bytes and hands each row that is now whole to `take_row`, as JSON text that
    /// begins with `{`.
    pub(in crate::d365) fn push(
        &mut self,
        chunk: &[u8],
        take_row: &mut dyn FnMut(&[u8]) -> Result<(), D365Error>,
    ) -> Result<(), D365Error> {
        let mut at = 0;
        while at < chunk.len() {
            at = match self.place {
                Place::InKey | Place::InValue | Place::InRow => {
                    self.capture_from(chunk, at, take_row)?
                }
                _ => {
                    if self.step_between(chunk[at])? {
                        at + 1
                    } else {
                        at
                    }
                }
            };
        }
        self.bytes_seen += chunk.len() as u64;
        Ok(())
    }

    /// Ends the page and gives its `@odata.nextLink`, if it has one. A body that was cut short is
    /// an error, never a short page.
    pub(in crate::d365) fn finish(self) -> Result<Option<String>, D365Error> {
        if self.place != Place::End {
            return Err(bad(format!(
                "its body ends in the middle of the page, after {} bytes",
                self.bytes_seen
            )));
        }
        if !self.has_rows_member {
            return Err(bad("its body has no member \"value\""));
        }
        Ok(self.next_link)
    }

    /// One byte outside keys, values and rows. False if the byte begins what comes next and must
    /// be looked at again there.
    fn step_between(&mut self, byte: u8) -> Result<bool, D365Error> {
        if let Place::Start { mark_bytes } = self.place {
            return self.step_at_start(byte, mark_bytes);
        }
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return Ok(true);
        }
        self.place = match (self.place, byte) {
            (Place::BeforePage, b'{') => Place::BeforeKey { after_comma: false },
            (Place::BeforeKey { .. }, b'"') => return Ok(self.begin(Place::InKey)),
            (Place::BeforeKey { after_comma: false } | Place::AfterValue, b'}') => Place::End,
            (Place::AfterKey, b':') => Place::BeforeValue,
            (Place::BeforeValue, b'[') if self.member == Member::Rows => {
                Place::BeforeRow { after_comma: false }
            }
            (Place::BeforeValue, _) if self.member == Member::Rows => {
                return Err(bad("its member \"value\" is not a list"));
            }
            (Place::BeforeValue, _) => return Ok(self.begin(Place::InValue)),
            (Place::AfterValue, b',') => Place::BeforeKey { after_comma: true },
            (Place::BeforeRow { .. }, b'{') => return Ok(self.begin(Place::InRow)),
            (Place::BeforeRow { after_comma: false } | Place::AfterRow, b']') => Place::AfterValue,
            (Place::AfterRow, b',') => Place::BeforeRow { after_comma: true },
            _ => return Err(self.unexpected(byte)),
        };
        Ok(true)
    }

    /// The first bytes may be a byte order mark.
    fn step_at_start(&mut self, byte: u8, mark_bytes: usize) -> Result<bool, D365Error> {
        if byte == BYTE_ORDER_MARK[mark_bytes] {
            self.place = if mark_bytes + 1 == BYTE_ORDER_MARK.len() {
                Place::BeforePage
            } else {
                Place::Start {
                    mark_bytes: mark_bytes + 1,
                }
            };
            Ok(true)
        } else if mark_bytes == 0 {
            self.place = Place::BeforePage;
            Ok(false)
        } else {
            Err(self.unexpected(byte))
        }
    }

    fn begin(&mut self, place: Place) -> bool {
        self.place = place;
        self.capture = Capture::default();
        self.carried.clear();
        false
    }

    /// Goes on with the value being read from `start` and gives the position after what was taken.
    fn capture_from(
        &mut self,
        chunk: &[u8],
        start: usize,
        take_row: &mut dyn FnMut(&[u8]) -> Result<(), D365Error>,
    ) -> Result<usize, D365Error> {
        let mut end = None;
        for (offset, byte) in chunk[start..].iter().enumerate() {
            match self.capture.step(*byte) {
                Step::Inside => {}
                Step::EndsWith => end = Some(start + offset + 1),
                Step::EndedBefore => end = Some(start + offset),
                Step::TooDeep => {
                    return Err(bad(format!("its values nest deeper than {DEEPEST}")));
                }
            }
            if end.is_some() {
                break;
            }
        }
        let taken = &chunk[start..end.unwrap_or(chunk.len())];
        if self.carried.len() + taken.len() > LARGEST_VALUE {
            return Err(bad(format!("it holds a value above {LARGEST_VALUE} bytes")));
        }
        let Some(end) = end else {
            self.carried.extend_from_slice(taken);
            return Ok(chunk.len());
        };
        // Most values lie whole in one chunk and are read where they are.
        if self.carried.is_empty() {
            self.take(taken, take_row)?;
        } else {
            let mut carried = std::mem::take(&mut self.carried);
            carried.extend_from_slice(taken);
            self.take(&carried, take_row)?;
            carried.clear();
            self.carried = carried;
        }
        Ok(end)
    }

    fn take(
        &mut self,
        text: &[u8],
        take_row: &mut dyn FnMut(&[u8]) -> Result<(), D365Error>,
    ) -> Result<(), D365Error> {
        self.place = match self.place {
            Place::InRow => {
                take_row(text)?;
                Place::AfterRow
            }
            Place::InKey => {
                let key: String = read(text)?;
                self.member = self.member_of(&key)?;
                Place::AfterKey
            }
            _ => {
                if self.member == Member::NextLink {
                    self.next_link = read(text)?;
                } else {
                    refuse_carried_error(text)?;
                }
                Place::AfterValue
            }
        };
        Ok(())
    }

    fn member_of(&mut self, key: &str) -> Result<Member, D365Error> {
        // Some servers leave `odata.` out, or write the name in another case; a continuation that
        // is not seen would be the end.
        let is_link = ["@odata.nextLink", "@nextLink", "odata.nextLink"]
            .iter()
            .any(|name| key.eq_ignore_ascii_case(name));
        let (member, is_repeated) = if key == "value" {
            let is_repeated = std::mem::replace(&mut self.has_rows_member, true);
            (Member::Rows, is_repeated)
        } else if is_link {
            let is_repeated = std::mem::replace(&mut self.has_link_member, true);
            (Member::NextLink, is_repeated)
        } else if is_error(key) || key == "Message" {
            // The Web API's own envelope says "Message".
            return Err(bad(carried(key)));
        } else {
            (Member::Other, false)
        };
        if is_repeated {
            return Err(bad(format!("its body has two members {key:?}")));
        }
        Ok(member)
    }

    fn unexpected(&self, byte: u8) -> D365Error {
        bad(format!(
            "its body is not a page: found {:?} {}",
            char::from(byte),
            match self.place {
                Place::Start { .. } | Place::BeforePage => "where { was expected",
                Place::End => "after its end",
                _ => "between its values",
            }
        ))
    }
}

fn read<'a, T: serde::Deserialize<'a>>(text: &'a [u8]) -> Result<T, D365Error> {
    serde_json::from_slice(text).map_err(|cause| bad(format!("its body is not JSON: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(chunks: &[&[u8]]) -> Result<(Vec<String>, Option<String>), D365Error> {
        let mut scanner = PageScanner::default();
        let mut rows = Vec::new();
        for chunk in chunks {
            scanner.push(chunk, &mut |row| {
                rows.push(String::from_utf8(row.to_vec()).unwrap());
                Ok(())
            })?;
        }
        Ok((rows, scanner.finish()?))
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn members_come_in_any_order_with_any_blanks() {
        let link = Some("x?$skip=1".to_owned());
        for (body, rows, next_link) in [
            (r#"{"value":[]}"#, vec![], None),
            (r#"{"value":[{"a":1},{}]}"#, vec![r#"{"a":1}"#, "{}"], None),
            (
                "\u{feff} {\r\n\"@odata.nextLink\" : \"x?$skip=1\" ,\t\"value\" : [ {\"a\":\"]}\\\"\"} ] } \n",
                vec![r#"{"a":"]}\""}"#],
                link.clone(),
            ),
            (
                r#"{"@odata.context":"c","@odata.count":12,"x":{"value":[1,"]"]},"y":[true,null],"z":-1.5e3,"value":[{"a":[{"b":{}}]}],"@odata.nextLink":"x?$skip=1"}"#,
                vec![r#"{"a":[{"b":{}}]}"#],
                link.clone(),
            ),
            (
                r#"{"v\u0061lue":[{}],"@odata.nextLink":"x?\u0024skip=1"}"#,
                vec!["{}"],
                link.clone(),
            ),
            (
                r#"{"value":[{}],"@nextLink":"x?$skip=1"}"#,
                vec!["{}"],
                link,
            ),
            (r#"{"value":[{}],"@odata.nextLink":null}"#, vec!["{}"], None),
            (
                r#"{"value":[{}],"@odata.count":1e999,"errorCode":0,"message":"x"}"#,
                vec!["{}"],
                None,
            ),
        ] {
            let expected = (strings(&rows), next_link);
            assert_eq!(scan(&[body.as_bytes()]).unwrap(), expected, "{body}");
            let one_by_one: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
            assert_eq!(scan(&one_by_one).unwrap(), expected, "{body}");
            for end in 0..body.trim_end().len() {
                assert!(scan(&[&body.as_bytes()[..end]]).is_err(), "{}", body);
            }
        }
    }

    #[test]
    fn what_is_not_a_page_is_refused() {
        for body in [
            "",
            "[]",
            "null",
            "{}",
            "<html></html>",
            r#"{"error":{"message":"x"}}"#,
            r#"{"value":{}}"#,
            r#"{"value":null}"#,
            r#"{"value":[1]}"#,
            r#"{"value":[{},]}"#,
            r#"{"value":[{}{}]}"#,
            r#"{"value":[,{}]}"#,
            r#"{"value":[{}],}"#,
            r#"{"value":[{}]"x":1}"#,
            r#"{"value" [{}]}"#,
            r#"{"value":[{}]}x"#,
            r#"{"value":[{}]}{}"#,
            r#"{"value":[{}],"value":[{}]}"#,
            r#"{"value":[{}],"@odata.nextLink":"x","@odata.nextLink":"x"}"#,
            r#"{"value":[{}],"@odata.nextLink":null,"@odata.nextlink":"x"}"#,
            r#"{"error":{"message":"x"},"value":[{}]}"#,
            r#"{"value":[{}],"error":{"message":"x"}}"#,
            r#"{"value":[{}],"error":null}"#,
            r#"{"value":[],"@odata.error":"x"}"#,
            r#"{"value":[{}],"value@odata.error":"x"}"#,
            r#"{"value":[{}],"Error":"x"}"#,
            r#"{"Message":"An error has occurred.","value":[]}"#,
            r#"{"value":[{}],"@odata.notes":[{"error":{"message":"x"}}]}"#,
            r#"{"value":[{}{"error":{"message":"x"}}]}"#,
            "{\"value\":[{}]}\0",
            "{\"value\":[{}\0]}",
            r#"{"value":[{}],"x":1 2}"#,
            r#"{"value":[{}],"x":{"a":]}}"#,
            r#"{"value":[{}],"x":tru}"#,
            r#"{"value":[{}],"x":}"#,
            r#"{"value":[{}],"@odata.nextLink":5}"#,
            "{\"value\":[{}],\"x\":\"\u{1}\"}",
            "{\u{feff}\"value\":[{}]}",
        ] {
            assert!(scan(&[body.as_bytes()]).is_err(), "{body}");
        }
        assert!(scan(&[b"\xEF\xBB{\"value\":[]}"]).is_err());
        assert!(scan(&[b"\xFF\xFE{\0"]).is_err());
        assert!(scan(&[b"{\"value\":[{}],\"x\":\"\xFF\"}"]).is_err());
    }

    #[test]
    fn size_and_depth_of_a_row_are_bounded() {
        let row = |size: usize| format!(r#"{{"value":[{{"a":"{}"}}]}}"#, "x".repeat(size));
        assert!(scan(&[row(60_000).as_bytes()]).is_ok());
        assert!(scan(&[row(70_000).as_bytes()]).is_err());
        let endless = row(70_000);
        let pieces: Vec<&[u8]> = endless.as_bytes().chunks(1_000).collect();
        assert!(scan(&pieces).is_err());
        let deep = format!(r#"{{"value":[{}"#, r#"{"a":"#.repeat(40));
        assert!(scan(&[deep.as_bytes()]).is_err());
    }
}

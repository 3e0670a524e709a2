//! How much of what came in the HTTP library gets at once, and what of it it does not get to see.
//!
//! The library decodes all that it is given and counts afterwards: of small requests, some thousands
//! are in 128 KiB, each with about 7 kB of its own. So it is given the end of one head at a time.
//!
//! It also takes `Connection: upgrade` for a wish that was granted: it answers `connection: upgrade` and
//! closes. A server may ignore such an offer (RFC 9110, 7.8), so the words are overwritten by others as
//! long. A line of JSON cannot look like one of these headers, hence bodies need not be told from heads.

use memchr::memchr;

/// A header line longer than this is not waited for.
const LONGEST_LINE: usize = 1_024;
const CONNECTION: &[u8] = b"connection:";
const UPGRADE: &[u8] = b"upgrade:";
/// As long as `upgrade`, and without a meaning.
const IGNORED: &[u8] = b"ignored";

/// What becomes of the bytes that are not given now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// There are none.
    Nothing,
    /// The library gets them when it comes again.
    Later,
    /// They may be the begin of an offer: more must come first.
    Incomplete,
}

/// How bytes are divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// So many are given.
    pub(super) given: usize,
    /// Whether the end of a head is among them, or was given before.
    pub(super) head_was_given: bool,
    pub(super) rest: Rest,
}

impl Cut {
    /// All of them are given.
    pub(super) fn all(bytes: usize, head_was_given: bool) -> Self {
        Self {
            given: bytes,
            head_was_given,
            rest: Rest::Nothing,
        }
    }
}

/// PURE but for the offers, which it overwrites. `at_line_start`: the byte before ended a line, or there is
/// none. `head_was_given`: the end of a head was given since the library decoded.
pub(super) fn cut(bytes: &mut [u8], at_line_start: bool, head_was_given: bool) -> Cut {
    let (mut from, mut at_start) = (0, at_line_start);
    let mut end_of_head = head_was_given.then_some(0);
    let cut = |given, end_of_head: Option<usize>, rest| Cut {
        given,
        head_was_given: end_of_head.is_some(),
        rest,
    };
    while let Some(length) = memchr(b'\n', &bytes[from..]) {
        let begin = from;
        let line = &mut bytes[from..from + length];
        from += length + 1;
        if at_start {
            ignore_offer(line);
            if matches!(line, [] | [b'\r']) {
                match end_of_head {
                    // More blank lines: no request has none but these.
                    Some(end) if end < begin => return cut(end, end_of_head, Rest::Later),
                    _ => end_of_head = Some(from),
                }
            }
        }
        at_start = true;
    }
    let line = &bytes[from..];
    if at_start && line.len() < LONGEST_LINE && may_be_offer(line) {
        return cut(from, end_of_head, Rest::Incomplete);
    }
    cut(bytes.len(), end_of_head, Rest::Nothing)
}

fn may_be_offer(line: &[u8]) -> bool {
    let begins_alike = |name: &[u8]| {
        let length = line.len().min(name.len());
        line[..length].eq_ignore_ascii_case(&name[..length])
    };
    !line.is_empty() && (begins_alike(CONNECTION) || begins_alike(UPGRADE))
}

fn ignore_offer(line: &mut [u8]) {
    if !matches!(line.first(), Some(b'c' | b'C' | b'u' | b'U')) {
        return;
    }
    let begins_with = |name: &[u8]| {
        let start = line.get(..name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    if begins_with(UPGRADE) {
        line[..IGNORED.len()].copy_from_slice(IGNORED);
    } else if begins_with(CONNECTION) {
        for option in line[CONNECTION.len()..].split_mut(|byte| *byte == b',') {
            let blanks = option.len() - option.trim_ascii_start().len();
            if option.trim_ascii().eq_ignore_ascii_case(b"upgrade") {
                option[blanks..blanks + IGNORED.len()].copy_from_slice(IGNORED);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str, head_was_given: bool) -> (String, Rest) {
        let mut bytes = text.as_bytes().to_vec();
        let cut = cut(&mut bytes, true, head_was_given);
        bytes.truncate(cut.given);
        (String::from_utf8(bytes).unwrap(), cut.rest)
    }

    #[test]
    fn the_end_of_one_head_is_given_at_a_time() {
        let get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let post = "POST / HTTP/1.1\nhost: x\n\n{\"a\":\n1}";
        for (text, head_was_given, expected, rest) in [
            (get.to_owned(), false, get, Rest::Nothing),
            (post.to_owned(), false, post, Rest::Nothing),
            (get.repeat(3), false, get, Rest::Later),
            (format!("{get}{post}"), false, get, Rest::Later),
            (
                format!("}}{get}{get}"),
                false,
                &format!("}}{get}"),
                Rest::Later,
            ),
            (get.to_owned(), true, "", Rest::Later),
            (
                format!("{get}\r\n\n\n{get}"),
                false,
                &format!("{get}\r\n\n\n"),
                Rest::Later,
            ),
            ("\n".repeat(9), true, &"\n".repeat(9), Rest::Nothing),
            ("GET / HT".to_owned(), true, "GET / HT", Rest::Nothing),
            (String::new(), false, "", Rest::Nothing),
        ] {
            let given = given(&text, head_was_given);
            assert_eq!(given, (expected.to_owned(), rest), "{text:?}");
        }
    }

    #[test]
    fn offers_are_overwritten_and_nothing_else_is() {
        for (line, expected) in [
            (
                "Connection: Upgrade, HTTP2-Settings",
                "Connection: ignored, HTTP2-Settings",
            ),
            (
                "connection:keep-alive ,\tUPGRADE ",
                "connection:keep-alive ,\tignored ",
            ),
            ("Connection: close", "Connection: close"),
            ("Connection: upgrades", "Connection: upgrades"),
            ("Upgrade: h2c", "ignored: h2c"),
            (
                "upgrade-insecure-requests: 1",
                "upgrade-insecure-requests: 1",
            ),
            ("x-connection: upgrade", "x-connection: upgrade"),
            ("", ""),
        ] {
            let text = format!("GET / HTTP/1.1\r\n{line}\r\nhost: x\r\n\r\n");
            let expected = format!("GET / HTTP/1.1\r\n{expected}\r\nhost: x\r\n\r\n");
            let (given, _) = given(&text, false);
            assert!(expected.starts_with(&given), "{given:?}");
        }
    }

    #[test]
    fn an_offer_in_two_pieces_is_waited_for() {
        for begin in ["c", "Connection", "Connection: Upg", "UPGRADE: h2", "upg"] {
            let (given, rest) = given(&format!("GET / HTTP/1.1\r\n{begin}"), false);
            assert_eq!(
                (given.as_str(), rest),
                ("GET / HTTP/1.1\r\n", Rest::Incomplete)
            );
        }
        for begin in [
            "cookie: connection",
            "host: c",
            "{\"connection\"",
            "context",
        ] {
            let (_, rest) = given(&format!("GET / HTTP/1.1\r\n{begin}"), false);
            assert_eq!(rest, Rest::Nothing, "{begin}");
        }
        let long = format!("connection: {}", "x".repeat(LONGEST_LINE));
        assert_eq!(given(&long, false).1, Rest::Nothing);
        // In the middle of a line nothing begins.
        assert_eq!(cut(&mut b"connection".to_vec(), false, false).given, 10);
    }
}

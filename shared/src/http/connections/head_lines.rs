//! The lines a caller sends: where a request's head ends, and offers to upgrade the connection.
//!
//! The HTTP library takes an offer to upgrade for a wish that was granted: it answers `connection: upgrade` and
//! closes, or reads a body without an end. A server may ignore such an offer (RFC 9110, 7.8). So the last
//! letter of `upgrade` is overwritten, in the option of `Connection` and in the name of the header. No line of
//! JSON begins like one of these headers, hence bodies and heads are treated alike.

use memchr::memchr;

const CONNECTION: &[u8] = b"connection:";
const UPGRADE: &[u8] = b"upgrade";
/// No option and no header that anything reads ends like this.
const IGNORED: u8 = b'x';

/// Where in a line the next byte stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum HeadLines {
    /// At its start.
    #[default]
    Start,
    /// At its start, and the line before was blank.
    AfterBlank,
    /// So many bytes of the line are those of this name.
    Name(&'static [u8], usize),
    /// In an option of `Connection`: so many bytes are those of `upgrade`; none if it is another one.
    Option(Option<usize>),
    /// In what nobody looks at.
    Rest,
}

impl HeadLines {
    /// Follows these bytes, with so many blank lines among them at most: each may end a head. Several in a row
    /// are one. How many bytes were followed.
    pub(super) fn follow(&mut self, bytes: &mut [u8], heads: &mut u8) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if *self == Self::Rest {
                let Some(length) = memchr(b'\n', &bytes[at..]) else {
                    return bytes.len();
                };
                at += length;
            }
            *self = match (bytes[at], *self) {
                (b'\n', Self::Start) if *heads == 0 => return at,
                (b'\n', Self::Start) => {
                    *heads -= 1;
                    Self::AfterBlank
                }
                (b'\n', Self::AfterBlank) => Self::AfterBlank,
                (b'\n', _) => Self::Start,
                (_, before) => before.after(&mut bytes[at]),
            };
            at += 1;
        }
        at
    }

    fn after(self, byte: &mut u8) -> Self {
        let letter = byte.to_ascii_lowercase();
        match self {
            Self::Start | Self::AfterBlank => match letter {
                b'\r' => self,
                b'c' => Self::Name(CONNECTION, 1),
                b'u' => Self::Name(UPGRADE, 1),
                _ => Self::Rest,
            },
            Self::Name(name, matched) if name[matched] == letter => {
                if matched + 1 < name.len() {
                    Self::Name(name, matched + 1)
                } else if name == CONNECTION {
                    Self::Option(Some(0))
                } else {
                    *byte = IGNORED;
                    Self::Rest
                }
            }
            Self::Option(_) if letter == b',' => Self::Option(Some(0)),
            Self::Option(Some(0)) if letter == b' ' || letter == b'\t' => Self::Option(Some(0)),
            Self::Option(Some(matched)) if UPGRADE.get(matched) == Some(&letter) => {
                if matched + 1 == UPGRADE.len() {
                    *byte = IGNORED;
                }
                Self::Option(Some(matched + 1))
            }
            Self::Option(_) => Self::Option(None),
            Self::Name(..) | Self::Rest => Self::Rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_heads_end_at_a_time() {
        let get = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let post = "POST / HTTP/1.1\nhost: x\n\n{\"a\":\n1}";
        let before_end = get.len() - 1;
        for (text, heads, followed, left) in [
            (get.repeat(3), 1, get.len() + before_end, 0),
            (get.repeat(3), 2, 2 * get.len() + before_end, 0),
            (format!("{post}{get}"), 1, post.len() + before_end, 0),
            (get.to_owned(), 0, before_end, 0),
            (format!("{get}\r\n\n\n"), 1, get.len() + 4, 0),
            ("\n".to_owned(), 0, 0, 0),
            ("GET / HT".to_owned(), 1, 8, 1),
            (String::new(), 1, 0, 1),
        ] {
            let (mut bytes, mut heads) = (text.clone().into_bytes(), heads);
            let count = HeadLines::default().follow(&mut bytes, &mut heads);
            assert_eq!((count, heads), (followed, left), "{text:?}");
        }
    }

    #[test]
    fn offers_are_overwritten_however_they_are_cut_and_nothing_else_is() {
        for (line, expected) in [
            (
                "Connection: Upgrade, HTTP2-Settings",
                "Connection: Upgradx, HTTP2-Settings",
            ),
            (
                "connection:keep-alive ,\tUPGRADE ",
                "connection:keep-alive ,\tUPGRADx ",
            ),
            ("Connection: close", "Connection: close"),
            ("Connection: not-upgrade", "Connection: not-upgrade"),
            ("Upgrade: h2c", "Upgradx: h2c"),
            ("x-connection: upgrade", "x-connection: upgrade"),
            ("cookie: upgrade", "cookie: upgrade"),
            ("{\"upgrade\":1}", "{\"upgrade\":1}"),
        ] {
            let text = format!("GET / HTTP/1.1\r\n{line}\r\nhost: x\r\n");
            let expected = format!("GET / HTTP/1.1\r\n{expected}\r\nhost: x\r\n");
            for piece in [1, 2, 7, 1_000] {
                let (mut bytes, mut lines) = (text.clone().into_bytes(), HeadLines::default());
                for piece in bytes.chunks_mut(piece) {
                    assert_eq!(lines.follow(piece, &mut 0), piece.len());
                }
                assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{piece}");
            }
        }
    }
}

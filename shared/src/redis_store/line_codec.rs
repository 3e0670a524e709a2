//! A line as text: `available|on_hand|reserved|ordered|as_of|origin`, for example
//! `7|12|5|0|2026-11-23T04:53:56.123Z|snap:482`; a live answer without a row:
//! `absent|2026-11-23T04:53:56.123Z|live`. Under 64 bytes for everyday numbers, so that Redis keeps
//! its compact encoding.

use crate::stock::{AsOf, LineContent, LineValue, Quantities};
use std::fmt;

#[derive(Debug)]
pub struct LineText<'a>(pub &'a LineValue);

impl fmt::Display for LineText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LineValue {
            content,
            as_of,
            origin,
        } = self.0;
        match content {
            LineContent::Quantities(Quantities {
                available,
                on_hand,
                reserved,
                ordered,
            }) => {
                write!(
                    f,
                    "{available}|{on_hand}|{reserved}|{ordered}|{as_of}|{origin}"
                )
            }
            LineContent::Absent => write!(f, "absent|{as_of}|{origin}"),
        }
    }
}

pub fn read_line(text: &[u8]) -> Option<LineValue> {
    let text = str::from_utf8(text).ok()?;
    let mut parts = text.split('|');
    let first = parts.next()?;
    let content = if first == "absent" {
        LineContent::Absent
    } else {
        LineContent::Quantities(Quantities {
            available: first.parse().ok()?,
            on_hand: parts.next()?.parse().ok()?,
            reserved: parts.next()?.parse().ok()?,
            ordered: parts.next()?.parse().ok()?,
        })
    };
    let as_of: AsOf = parts.next()?.parse().ok()?;
    let origin = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some(LineValue {
        content,
        as_of,
        origin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stock::{Generation, Origin, Quantity};
    use proptest::prelude::*;

    fn quantity() -> impl Strategy<Value = Quantity> {
        (any::<i32>(), 0_u32..=6)
            .prop_map(|(mantissa, scale)| format!("{mantissa}e-{scale}").parse().unwrap())
    }

    #[test]
    fn it_reads_as_documented() {
        let text = "7|12|5|0|2026-11-23T04:53:56.123Z|snap:482";
        let line = read_line(text.as_bytes()).unwrap();
        assert_eq!(LineText(&line).to_string(), text);
        let text = "absent|2026-11-23T04:53:56.123Z|live";
        let line = read_line(text.as_bytes()).unwrap();
        assert_eq!(line.content, LineContent::Absent);
        assert_eq!(LineText(&line).to_string(), text);
    }

    #[test]
    fn anything_else_is_no_line() {
        for text in [
            "",
            "absent",
            "7|12|5|0",
            "7|12|5|0|yesterday|live",
            "7|12|5|2026-11-23T04:53:56.123Z|live",
            "7|12|5|0|2026-11-23T04:53:56.123Z|snap:x",
            "7|12|5|0|2026-11-23T04:53:56.123Z|live|",
            "NaN|12|5|0|2026-11-23T04:53:56.123Z|live",
        ] {
            assert_eq!(read_line(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read_line(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn a_line_survives_its_own_text(
            numbers in [quantity(), quantity(), quantity(), quantity()],
            ms in 0_i64..4_000_000_000_000,
            generation in proptest::option::of(any::<u64>()),
            is_absent in any::<bool>(),
        ) {
            let [available, on_hand, reserved, ordered] = numbers;
            let line = LineValue {
                content: if is_absent {
                    LineContent::Absent
                } else {
                    LineContent::Quantities(Quantities { available, on_hand, reserved, ordered })
                },
                as_of: AsOf::from_unix_ms(ms).unwrap(),
                origin: generation.map_or(Origin::Live, |number| Origin::Snapshot(Generation(number))),
            };
            prop_assert_eq!(read_line(LineText(&line).to_string().as_bytes()), Some(line));
        }
    }
}

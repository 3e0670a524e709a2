//! Holds as text, one line each: `quantity|placed|until|confirmed|owner|warehouse`, for example
//! `2|2026-11-23T04:53:56.123Z|2026-11-23T05:23:56.123Z|-|order:INTRON-00001234|24`. The warehouse
//! stands last, so any warehouse id is safe. The owner of a channel reads `order@<channel>:<id>`, the
//! channel percent-encoded.
//!
//! A SKU with many holds has two texts: all of them, and a short one for those who only want to know
//! what is left, `17|..|..|-|several:17|24`.

use crate::stock::{AsOf, ChannelId, Hold, HoldId, HoldOwner, Quantity, WarehouseId, summary};
use percent_encoding::{
    AsciiSet, CONTROLS, PercentEncode, percent_decode_str, utf8_percent_encode,
};

/// What would end a channel, a hold's part or a key early, and blanks, which people would have to quote.
const RESERVED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b':').add(b'|');
/// So many holds, about a kilobyte, are told one by one to everybody.
const MOST_TOLD: usize = 8;

/// A channel as it stands in texts and keys.
pub(super) fn channel_text(channel: &ChannelId) -> PercentEncode<'_> {
    utf8_percent_encode(channel.as_str(), RESERVED)
}

/// What everybody reads of these holds, and what is kept of each if that is not the same: else empty.
pub(super) fn texts_of(holds: &[Hold]) -> (String, String) {
    if holds.len() <= MOST_TOLD {
        return (text_of(holds), String::new());
    }
    (text_of(&summary(holds)), text_of(holds))
}

/// The holds of which this is what everybody reads, and this what is kept of each; none if a line is
/// not one.
pub(super) fn each_hold_of(told: &str, each: &str) -> Option<Vec<Hold>> {
    let holds = holds_of(told)?;
    let is_several = |hold: &Hold| matches!(hold.owner, HoldOwner::Several(_));
    if !holds.iter().any(is_several) {
        return Some(holds);
    }
    // A summary of holds that are gone says nothing about whose they were.
    holds_of(each).filter(|holds| !holds.is_empty() && !holds.iter().any(is_several))
}

/// Nobody confirmed it.
const UNCONFIRMED: &str = "-";

/// Writes holds; an empty text for none.
fn text_of(holds: &[Hold]) -> String {
    let lines: Vec<String> = holds
        .iter()
        .map(|hold| {
            let confirmed = hold
                .confirmed
                .map_or_else(|| UNCONFIRMED.to_owned(), |confirmed| confirmed.to_string());
            format!(
                "{}|{}|{}|{confirmed}|{}|{}",
                hold.quantity,
                hold.placed,
                hold.until,
                owner_text(&hold.owner),
                hold.warehouse
            )
        })
        .collect();
    lines.join("\n")
}

/// Reads holds; none if a line is not one.
pub(super) fn holds_of(text: &str) -> Option<Vec<Hold>> {
    text.split('\n')
        .filter(|line| !line.is_empty())
        .map(hold_of)
        .collect()
}

fn hold_of(line: &str) -> Option<Hold> {
    let mut parts = line.splitn(6, '|');
    let quantity = Quantity::parse(parts.next()?).ok()?;
    let placed: AsOf = parts.next()?.parse().ok()?;
    let until: AsOf = parts.next()?.parse().ok()?;
    let confirmed = match parts.next()? {
        UNCONFIRMED => None,
        instant => Some(instant.parse().ok()?),
    };
    let owner = owner_of(parts.next()?)?;
    let warehouse = WarehouseId::parse(parts.next()?).ok()?;
    quantity.is_positive().then_some(Hold {
        owner,
        warehouse,
        quantity,
        placed,
        until,
        confirmed,
    })
}

fn owner_text(owner: &HoldOwner) -> String {
    let (kind, id) = (owner.kind(), owner.id());
    match id.channel() {
        Some(channel) => format!("{kind}@{}:{id}", channel_text(channel)),
        None => format!("{kind}:{id}"),
    }
}

fn owner_of(text: &str) -> Option<HoldOwner> {
    let (kind, id) = text.split_once(':')?;
    let id = HoldId::parse(id).ok()?;
    let (kind, id) = match kind.split_once('@') {
        Some((kind, channel)) => {
            let channel = percent_decode_str(channel).decode_utf8().ok()?;
            (kind, id.in_channel(&ChannelId::parse(&*channel).ok()?))
        }
        None => (kind, id),
    };
    Some(match kind {
        "order" => HoldOwner::Order(id),
        "reservation" => HoldOwner::Reservation(id),
        "several" => HoldOwner::Several(id),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hold() -> impl Strategy<Value = Hold> {
        let instant = 0_i64..4_000_000_000_000;
        let instants = (instant.clone(), instant.clone(), prop::option::of(instant));
        (
            ("[!-{}~]{1,128}", prop::option::of("[ -~äß]{1,30}")),
            any::<bool>(),
            "[ -~äß|]{0,63}[!-~äß]",
            1_i64..1_000_000_000,
            instants,
        )
            .prop_map(
                |((id, channel), is_order, warehouse, millionths, (placed, until, confirmed))| {
                    let mut id = HoldId::parse(id).unwrap();
                    if let Some(channel) = channel {
                        id = id.in_channel(&ChannelId::parse(channel).unwrap());
                    }
                    let at = |ms| AsOf::from_unix_ms(ms).unwrap();
                    Hold {
                        owner: if is_order {
                            HoldOwner::Order(id)
                        } else {
                            HoldOwner::Reservation(id)
                        },
                        warehouse: WarehouseId::parse(warehouse).unwrap(),
                        quantity: Quantity::from_millionths(millionths),
                        placed: at(placed),
                        until: at(until),
                        confirmed: confirmed.map(at),
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(holds in prop::collection::vec(hold(), 0..20)) {
            let (told, each) = texts_of(&holds);
            prop_assert_eq!(each_hold_of(&told, &each), Some(holds));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
            let _read = holds_of(&text);
        }
    }

    #[test]
    fn a_line_that_is_no_hold_spoils_the_text() {
        let good = "2|2026-11-23T04:53:56.123Z|2026-11-23T05:23:56.123Z|-|order:O-1|24";
        assert_eq!(holds_of(good).unwrap().len(), 1);
        for bad in [
            "2|2026-11-23T04:53:56.123Z|2026-11-23T05:23:56.123Z|-|order:O-1",
            "0|2026-11-23T04:53:56.123Z|2026-11-23T05:23:56.123Z|-|order:O-1|24",
            "x|2026-11-23T04:53:56.123Z|2026-11-23T05:23:56.123Z|-|order:O-1|24",
            "2|2026-11-23T04:53:56.123Z|2026-11-23T05:23:56.123Z|-|cart:O-1|24",
            "2|today|2026-11-23T05:23:56.123Z|-|order:O-1|24",
        ] {
            assert_eq!(holds_of(&format!("{good}\n{bad}")), None, "{bad}");
        }
    }
}

//! Holds as text, one line each: `quantity|placed|until|confirmed|owner|warehouse`, for example
//! `2|2026-11-23T04:53:56.123Z|2026-11-23T05:23:56.123Z|-|order:INTRON-00001234|24`. The warehouse
//! stands last, so any warehouse id is safe.

use crate::stock::{AsOf, Hold, HoldId, HoldOwner, Quantity, WarehouseId};

/// Nobody confirmed it.
const UNCONFIRMED: &str = "-";

/// Writes holds; an empty text for none.
pub(super) fn text_of(holds: &[Hold]) -> String {
    let lines: Vec<String> = holds
        .iter()
        .map(|hold| {
            let confirmed = hold
                .confirmed
                .map_or_else(|| UNCONFIRMED.to_owned(), |confirmed| confirmed.to_string());
            format!(
                "{}|{}|{}|{confirmed}|{}:{}|{}",
                hold.quantity,
                hold.placed,
                hold.until,
                hold.owner.kind(),
                hold.owner.id(),
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
    let (kind, id) = parts.next()?.split_once(':')?;
    let id = HoldId::parse(id).ok()?;
    let owner = match kind {
        "order" => HoldOwner::Order(id),
        "reservation" => HoldOwner::Reservation(id),
        _ => return None,
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hold() -> impl Strategy<Value = Hold> {
        let instant = 0_i64..4_000_000_000_000;
        let instants = (instant.clone(), instant.clone(), prop::option::of(instant));
        (
            "[!-{}~]{1,128}",
            any::<bool>(),
            "[ -~äß|]{0,63}[!-~äß]",
            1_i64..1_000_000_000,
            instants,
        )
            .prop_map(
                |(id, is_order, warehouse, millionths, (placed, until, confirmed))| {
                    let id = HoldId::parse(id).unwrap();
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
        fn what_is_written_is_read(holds in prop::collection::vec(hold(), 0..5)) {
            prop_assert_eq!(holds_of(&text_of(&holds)), Some(holds));
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

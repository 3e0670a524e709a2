//! PURE: what was told, and what is known about the SKU -> whether it may be told.

use super::erp::Step;
use super::ledger::{Owner, Range, Window};
use super::told::Told;

/// Replicas carry Redis' time on by themselves; the simulator has the machine's.
const CLOCKS_APART_MS: i64 = 20;
/// No request to D365 takes longer.
const LONGEST_READ_MS: i64 = 10_000;

/// What is known about a SKU when a reply is judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) owners: &'a [Owner],
    /// Those that did not stand in the question's way.
    pub(super) except: &'a [&'a str],
    pub(super) steps: &'a [Step],
    pub(super) window: Window,
}

impl Known<'_> {
    fn others(&self) -> impl Iterator<Item = &Owner> {
        let is_other = |owner: &&Owner| !self.except.contains(&owner.id.as_str());
        self.owners.iter().filter(is_other)
    }

    /// What a number with this as-of is to be told less of.
    pub(super) fn counts(&self, as_of: i64) -> Range {
        self.others()
            .map(|owner| owner.counts(self.window, as_of))
            .fold(Range::default(), Range::plus)
    }

    /// The numbers that were true while a request that began at this instant may have read them.
    pub(super) fn readable(&self, as_of: i64) -> impl Iterator<Item = (usize, i64)> {
        let from = as_of - CLOCKS_APART_MS;
        let to = self.window.ended_ms.min(as_of + LONGEST_READ_MS) + CLOCKS_APART_MS;
        let steps = self.steps;
        steps.iter().enumerate().filter_map(move |(at, step)| {
            let is_over = steps.get(at + 1).is_some_and(|next| next.since < from);
            (step.since <= to && !is_over).then_some((at, step.number))
        })
    }

    fn unshown(&self, step: usize) -> i64 {
        self.others()
            .map(|owner| owner.unshown(self.window, step))
            .sum()
    }
}

/// Judges a line of a browse reply or of a check's; the error says what is wrong.
pub(super) fn line(known: &Known<'_>, told: &Told) -> Result<(), String> {
    let Told {
        available, held, ..
    } = *told;
    if available < 0 || held < 0 {
        return Err("below zero".to_owned());
    }
    if told.is_in_stock != (available > 0) {
        return Err("inStock is not what availableStock says".to_owned());
    }
    let counts = known.counts(told.as_of);
    if held < counts.least {
        return Err(format!("{held} held, and {} must be", counts.least));
    }
    if held > counts.most {
        return Err(format!("{held} held, and {} can be", counts.most));
    }
    let mut read = known
        .readable(told.as_of)
        .filter(|(_, number)| told.number.is_none_or(|told| told == *number))
        .filter(|(_, number)| available == (number - held).max(0))
        .peekable();
    if read.peek().is_none() {
        return Err("D365 had no number that comes to this".to_owned());
    }
    let needed = read.map(|(step, _)| known.unshown(step)).min();
    if needed > Some(held) {
        return Err(format!("{held} held, and the number misses {needed:?}"));
    }
    Ok(())
}

/// Judges what an order was granted, once the holds it got stand in the ledger.
pub(super) fn grant(known: &Known<'_>, told: &Told, quantity: i64) -> Result<(), String> {
    if told.granted != quantity.min(told.available) {
        return Err("granted is not the smaller of what is asked for and what is there".to_owned());
    }
    if told.granted < quantity {
        return Ok(());
    }
    let all = Known {
        except: &[],
        window: Window {
            begun: known.window.ended,
            begun_ms: known.window.ended_ms,
            ..known.window
        },
        ..*known
    };
    let most = known.readable(told.as_of).map(|(_, number)| number).max();
    let promised = all.counts(told.as_of).least;
    if Some(promised) > most {
        return Err(format!("sold too often: {promised} of {most:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Phase;
    use super::*;

    const NOW: i64 = 1_000_000;

    fn order(quantity: i64, confirmed: Option<i64>, booked: Option<usize>) -> Owner {
        let mut order = Owner::new(format!("O-{quantity}"), true);
        order.booked = booked;
        order.phases.push(Phase {
            since: (0, 1),
            quantity,
            until: NOW + 60_000,
            confirmed,
            is_certain: true,
        });
        order
    }

    fn told(available: i64, held: i64, number: i64, as_of: i64) -> Told {
        Told {
            available,
            held,
            number: Some(number),
            as_of,
            is_live: false,
            is_in_stock: available > 0,
            granted: 0,
        }
    }

    fn judged(owners: &[Owner], steps: &[(i64, i64)], told: &Told) -> Result<(), String> {
        let step = |(since, number): &(i64, i64)| Step {
            since: *since,
            number: *number,
        };
        let steps: Vec<Step> = steps.iter().map(step).collect();
        let known = Known {
            owners,
            except: &[],
            steps: &steps,
            window: Window {
                begun: 2,
                ended: 3,
                begun_ms: NOW,
                ended_ms: NOW + 10,
            },
        };
        line(&known, told)
    }

    #[test]
    fn in_sequence_nothing_but_the_exact_number_passes() {
        let owners = [order(4, None, None)];
        let steps = [(0, 10)];
        assert_eq!(judged(&owners, &steps, &told(6, 4, 10, NOW)), Ok(()));
        for wrong in [
            told(10, 0, 10, NOW),
            told(2, 8, 10, NOW),
            told(7, 4, 10, NOW),
            told(6, 4, 11, NOW),
            told(-2, 4, 2, NOW),
        ] {
            assert!(judged(&owners, &steps, &wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_confirmed_order_is_taken_from_older_numbers_and_never_from_younger_ones() {
        let (booked, confirmed) = (NOW - 500, NOW - 400);
        let owners = [order(4, Some(confirmed), Some(1))];
        let steps = [(0, 10), (booked, 6)];
        assert_eq!(judged(&owners, &steps, &told(6, 4, 10, NOW - 900)), Ok(()));
        assert_eq!(judged(&owners, &steps, &told(6, 0, 6, NOW - 300)), Ok(()));
        assert!(judged(&owners, &steps, &told(2, 4, 6, NOW - 300)).is_err());
        assert!(judged(&owners, &steps, &told(10, 0, 10, NOW - 900)).is_err());
    }

    #[test]
    fn a_number_that_misses_a_booking_needs_the_hold_whatever_the_stamps_say() {
        // Stamped just after the confirmation, and read before the booking all the same.
        let owners = [order(4, Some(NOW - 10), Some(1))];
        let steps = [(0, 10), (NOW - 5, 6)];
        assert!(judged(&owners, &steps, &told(10, 0, 10, NOW - 9)).is_err());
    }
}

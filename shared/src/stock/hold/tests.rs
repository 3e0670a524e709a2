use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(ms: i64) -> AsOf {
    AsOf::from_unix_ms(1_800_000_000_000 + ms).unwrap()
}

fn warehouse() -> WarehouseId {
    WarehouseId::parse("11").unwrap()
}

fn order(number: u8) -> HoldOwner {
    HoldOwner::Order(HoldId::parse(format!("O-{number}")).unwrap())
}

fn hold(number: u8, quantity: i64, until: i64, confirmed: Option<i64>) -> Hold {
    Hold {
        owner: order(number),
        warehouse: warehouse(),
        quantity: Quantity::from(quantity),
        placed: at(0),
        until: at(until),
        confirmed: confirmed.map(at),
    }
}

#[test]
fn an_id_is_visible_ascii_without_the_separator() {
    for good in ["1", "INTRON-00001234", "a:b/c#d", &"x".repeat(128)] {
        assert!(HoldId::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "a b", "a|b", "ä", "a\n", &"x".repeat(129)] {
        assert!(HoldId::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_hold_counts_until_a_number_from_after_the_confirmation_or_its_end() {
    let open = hold(1, 2, 100, None);
    assert!(open.counts(Some(at(99)), at(99)));
    assert!(!open.counts(Some(at(99)), at(100)));
    let confirmed = hold(1, 2, 100, Some(50));
    assert!(confirmed.counts(Some(at(49)), at(60)));
    assert!(
        confirmed.counts(Some(at(50)), at(60)),
        "read at that instant proves nothing"
    );
    assert!(!confirmed.counts(Some(at(51)), at(60)));
    assert!(confirmed.counts(None, at(60)));
}

#[test]
fn other_warehouses_and_ones_own_order_do_not_count() {
    let elsewhere = Hold {
        warehouse: WarehouseId::parse("24").unwrap(),
        ..hold(2, 5, 100, None)
    };
    let holds = [hold(1, 2, 100, None), elsewhere, hold(3, 4, 100, None)];
    let held = |except: &[HoldOwner]| held_against(&holds, &warehouse(), None, at(1), except);
    assert_eq!(held(&[]), Quantity::from(6));
    assert_eq!(held(&[order(3)]), Quantity::from(2));
}

#[test]
fn what_is_held_and_not_there_is_told() {
    let left = |available: i64, held: i64| {
        let remaining = remaining(Quantity::from(available), Quantity::from(held));
        (
            remaining.left.as_integer().unwrap(),
            remaining.shortfall.as_integer().unwrap(),
        )
    };
    assert_eq!(left(7, 3), (4, 0));
    assert_eq!(left(2, 3), (0, 1));
    assert_eq!(left(0, 3), (0, 3));
    assert_eq!(left(-4, 3), (-4, 3));
    assert_eq!(left(-4, 0), (-4, 0));
}

/// What happens, each a moment after the other.
#[derive(Debug, Clone)]
enum Event {
    /// An order of so much, if it is granted.
    Order(u8, i64),
    /// The ERP books an order: D365's own number falls.
    Book(u8),
    /// The ERP's confirmation arrives.
    Confirm(u8),
    /// D365 is read; the answer arrives when the second is over.
    Read,
    /// An answer that started so many moments ago arrives.
    LateRead(i64),
    /// Time passes.
    Wait(i64),
    /// Stock arrives.
    Receive(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0_u8..6, 1_i64..6).prop_map(|(number, quantity)| Event::Order(number, quantity)),
        2 => (0_u8..6).prop_map(Event::Book),
        3 => (0_u8..6).prop_map(Event::Confirm),
        3 => Just(Event::Read),
        1 => (1_i64..40).prop_map(Event::LateRead),
        1 => (1_i64..30).prop_map(Event::Wait),
        1 => (1_i64..5).prop_map(Event::Receive),
    ]
}

const TIME_TO_LIVE: i64 = 60;

/// The ERP and the holds, beside the truth about each order.
#[derive(Default)]
struct World {
    now: i64,
    /// D365's number since when: the history of the truth.
    erp: Vec<(i64, i64)>,
    /// What stands in the cache, and its as-of.
    cached: Option<(i64, i64)>,
    holds: BTreeMap<u8, Hold>,
    booked: BTreeMap<u8, i64>,
}

impl World {
    fn truth_at(&self, moment: i64) -> i64 {
        let known = self.erp.iter().rev().find(|(since, _)| *since <= moment);
        known.map_or(0, |(_, number)| *number)
    }

    fn told(&self) -> Option<Remaining> {
        let (number, as_of) = self.cached?;
        let holds: Vec<Hold> = self.holds.values().cloned().collect();
        let held = held_against(&holds, &warehouse(), Some(at(as_of)), at(self.now), &[]);
        Some(remaining(Quantity::from(number), held))
    }

    fn arrive(&mut self, started: i64) {
        let newer = self.cached.is_none_or(|(_, as_of)| as_of < started);
        if newer {
            self.cached = Some((self.truth_at(started), started));
        }
    }

    fn step(&mut self, event: &Event) {
        self.now += 1;
        match *event {
            Event::Order(number, quantity) => {
                let may = self
                    .told()
                    .is_some_and(|told| told.left >= Quantity::from(quantity));
                if may && !self.holds.contains_key(&number) && !self.booked.contains_key(&number) {
                    let until = self.now + TIME_TO_LIVE;
                    self.holds
                        .insert(number, hold(number, quantity, until, None));
                }
            }
            Event::Book(number) => {
                let Some(hold) = self.holds.get(&number) else {
                    return;
                };
                if !self.booked.contains_key(&number) {
                    let quantity = hold.quantity.as_integer().unwrap();
                    self.booked.insert(number, self.now);
                    let number_now = self.truth_at(self.now) - quantity;
                    self.erp.push((self.now, number_now));
                }
            }
            Event::Confirm(number) => {
                // The ERP confirms what it has booked, never before.
                if let (Some(hold), Some(_)) =
                    (self.holds.get_mut(&number), self.booked.get(&number))
                {
                    hold.confirmed.get_or_insert(at(self.now));
                }
            }
            Event::Read => self.arrive(self.now),
            Event::LateRead(ago) => self.arrive((self.now - ago).max(0)),
            Event::Wait(time) => self.now += time,
            Event::Receive(quantity) => {
                let number_now = self.truth_at(self.now) + quantity;
                self.erp.push((self.now, number_now));
            }
        }
    }

    /// What may be told at most: the cached number less every living order it does not show.
    fn check(&self) {
        let (Some((number, as_of)), Some(told)) = (self.cached, self.told()) else {
            return;
        };
        let (mut needed, mut most) = (0, 0);
        for (order, hold) in &self.holds {
            let quantity = hold.quantity.as_integer().unwrap();
            if at(self.now) >= hold.until {
                continue;
            }
            let is_shown = self
                .booked
                .get(order)
                .is_some_and(|booked| *booked <= as_of);
            if !is_shown {
                needed += quantity;
            }
            let released = hold
                .confirmed
                .is_some_and(|confirmed| at(as_of) > confirmed);
            if !released {
                most += quantity;
            }
        }
        let left = told.left.as_integer().unwrap();
        let shortfall = told.shortfall.as_integer().unwrap();
        // Never oversold: what the number does not show is held back.
        assert!(
            left <= (number - needed).max(number.min(0)),
            "{left} of {number}, {needed} needed"
        );
        // Never subtracted twice: no more than the living, unreleased holds, and each piece of them
        // is either taken or told as a shortfall.
        assert_eq!(number - left + shortfall, most);
        assert!(shortfall >= 0 && (left >= 0 || left == number));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]
    #[test]
    fn no_history_subtracts_twice_or_too_little_and_every_hold_ends(
        stock in 0_i64..20,
        events in prop::collection::vec(event(), 1..25),
    ) {
        let mut world = World { erp: vec![(0, stock)], ..World::default() };
        for event in &events {
            world.step(event);
            world.check();
        }
        // Released always: by a number from after the confirmation, or by time.
        for hold in world.holds.values() {
            let confirmed = hold.confirmed.map(|confirmed| confirmed.plus(std::time::Duration::from_millis(1)));
            prop_assert!(!hold.counts(confirmed.or(Some(hold.until)), hold.until));
            if let Some(after) = confirmed {
                prop_assert!(!hold.counts(Some(after), at(world.now)));
            }
        }
    }
}

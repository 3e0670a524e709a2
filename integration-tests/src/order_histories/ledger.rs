//! PURE: what each order and reservation of a SKU may hold, as far as its callers can know.
//!
//! A call takes effect at some instant between its start and its end. Who asks in between may see
//! either; who asks afterwards may not: then least and most are the same.

/// How far replicas may differ about the end of a hold: each carries Redis' time on by itself.
const ENDS_APART_MS: i64 = 150;

/// When a call was under way: by the history's own count of starts and ends, and in ms since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) begun: u32,
    pub(super) ended: u32,
    pub(super) begun_ms: i64,
    pub(super) ended_ms: i64,
}

/// What is held from some call on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Phase {
    /// Start and end of the call, by the history's count.
    pub(super) since: (u32, u32),
    pub(super) quantity: i64,
    /// Its end by itself, in ms since 1970.
    pub(super) until: i64,
    /// The instant of the confirmation, as the service told it.
    pub(super) confirmed: Option<i64>,
    /// False if the call failed without saying whether it was done.
    pub(super) is_certain: bool,
}

impl Phase {
    /// Nothing any more.
    pub(super) fn over(window: Window) -> Self {
        Self {
            since: (window.begun, window.ended),
            quantity: 0,
            until: 0,
            confirmed: None,
            is_certain: true,
        }
    }

    /// The hold, whatever the number that is told.
    fn stands(&self, window: Window) -> Range {
        let all = Range {
            least: if self.is_certain { self.quantity } else { 0 },
            most: self.quantity,
        };
        if self.confirmed.is_some() || window.ended_ms < self.until - ENDS_APART_MS {
            all
        } else if window.begun_ms > self.until + ENDS_APART_MS {
            Range::default()
        } else {
            Range { least: 0, ..all }
        }
    }

    /// What it takes from a number with this as-of.
    fn counts(&self, window: Window, as_of: i64) -> Range {
        match self.confirmed {
            Some(confirmed) if as_of > confirmed => Range::default(),
            _ => self.stands(window),
        }
    }
}

/// From least to most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Range {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            least: self.least + other.least,
            most: self.most + other.most,
        }
    }
}

/// An order or a reservation.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) id: String,
    pub(super) is_order: bool,
    /// The quantity it was granted last: the same again is a repetition.
    pub(super) asked: i64,
    pub(super) phases: Vec<Phase>,
    /// The step of D365's number that shows it first.
    pub(super) booked: Option<usize>,
    /// Whether a number with the booking was told to somebody.
    pub(super) is_seen: bool,
    /// Confirmed against the rules: for a while nobody subtracts it.
    pub(super) is_early: bool,
}

impl Owner {
    pub(super) fn new(id: String, is_order: bool) -> Self {
        Self {
            id,
            is_order,
            asked: 0,
            phases: Vec::new(),
            booked: None,
            is_seen: false,
            is_early: false,
        }
    }

    pub(super) fn last(&self) -> Option<&Phase> {
        self.phases.last()
    }

    /// What it holds or was confirmed with.
    pub(super) fn quantity(&self) -> i64 {
        self.last().map_or(0, |phase| phase.quantity)
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.last().is_some_and(|phase| phase.confirmed.is_some())
    }

    /// It holds something, or did until its time was over, and nobody has settled it.
    pub(super) fn is_open(&self) -> bool {
        self.quantity() > 0 && !self.is_confirmed()
    }

    /// Surely held at this instant and for so long yet.
    pub(super) fn is_safe(&self, now_ms: i64, margin_ms: i64) -> bool {
        let last = self.last();
        self.is_open()
            && last.is_some_and(|last| last.is_certain && now_ms + margin_ms < last.until)
    }

    /// Surely ended by itself at this instant.
    pub(super) fn is_lapsed(&self, now_ms: i64) -> bool {
        self.is_open()
            && self
                .last()
                .is_some_and(|last| now_ms > last.until + ENDS_APART_MS)
    }

    /// What stood before this call may have ended by itself while it was under way.
    pub(super) fn may_end_during(&self, window: Window) -> bool {
        let before = self
            .phases
            .iter()
            .rfind(|phase| phase.since.1 < window.begun);
        before.is_some_and(|phase| {
            phase.confirmed.is_none() && window.ended_ms > phase.until - ENDS_APART_MS
        })
    }

    /// What it holds, whatever the number that is told.
    pub(super) fn stands(&self, window: Window) -> Range {
        self.over(window, |phase| phase.stands(window))
    }

    /// What it takes from a number with this as-of, told in this window.
    pub(super) fn counts(&self, window: Window, as_of: i64) -> Range {
        self.over(window, |phase| phase.counts(window, as_of))
    }

    /// What a number that was read at this step of D365's does not show of it.
    pub(super) fn unshown(&self, window: Window, step: usize) -> i64 {
        let is_shown = self.booked.is_some_and(|booked| booked <= step);
        if is_shown || self.is_early {
            return 0;
        }
        self.stands(window).least
    }

    /// Over all phases that may have been in force at some instant of the window.
    fn over(&self, window: Window, of: impl Fn(&Phase) -> Range) -> Range {
        let Some(first) = self.phases.first() else {
            return Range::default();
        };
        let begins = Range::default();
        let mut range = (first.since.1 > window.begun).then_some(begins);
        for (at, phase) in self.phases.iter().enumerate() {
            let next = self.phases.get(at + 1);
            let is_over = next.is_some_and(|next| next.since.1 < window.begun);
            if is_over || phase.since.0 > window.ended {
                continue;
            }
            let more = of(phase);
            range = Some(range.map_or(more, |known| Range {
                least: known.least.min(more.least),
                most: known.most.max(more.most),
            }));
        }
        range.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: i64 = 1_000_000;

    fn window(begun: u32, ended: u32) -> Window {
        Window {
            begun,
            ended,
            begun_ms: i64::from(begun) * 1_000,
            ended_ms: i64::from(ended) * 1_000,
        }
    }

    fn phase(since: (u32, u32), quantity: i64, confirmed: Option<i64>) -> Phase {
        Phase {
            since,
            quantity,
            until: LONG,
            confirmed,
            is_certain: true,
        }
    }

    fn order(phases: &[Phase]) -> Owner {
        let mut order = Owner::new("O".to_owned(), true);
        order.phases = phases.to_vec();
        order
    }

    #[test]
    fn who_asks_afterwards_is_told_exactly_and_who_asks_in_between_one_of_both() {
        let order = order(&[phase((2, 3), 4, None), phase((6, 9), 7, None)]);
        for ((begun, ended), least, most) in [
            ((0, 1), 0, 0),
            ((1, 4), 0, 4),
            ((4, 5), 4, 4),
            ((5, 7), 4, 7),
            ((7, 8), 4, 7),
            ((7, 12), 4, 7),
            ((10, 11), 7, 7),
        ] {
            let counts = order.counts(window(begun, ended), 0);
            assert_eq!(counts, Range { least, most }, "{begun} {ended}");
        }
    }

    #[test]
    fn a_confirmed_order_counts_against_older_numbers_and_any_other_until_its_end() {
        let confirmed = order(&[phase((0, 1), 4, Some(500))]);
        let after = window(2 * 1_000, 2_001);
        assert_eq!(confirmed.counts(after, 500).least, 4);
        assert_eq!(confirmed.counts(after, 501).most, 0);
        let open = order(&[phase((0, 1), 4, None)]);
        assert_eq!(open.counts(window(998, 999), 0).least, 4);
        assert_eq!(
            open.counts(window(998, 1_001), 0),
            Range { least: 0, most: 4 }
        );
        assert_eq!(open.counts(window(1_001, 1_002), 0).most, 0);
    }

    #[test]
    fn a_hold_may_end_during_a_slow_call_unless_it_is_confirmed() {
        let open = order(&[phase((0, 1), 4, None), phase((990, 1_200), 5, None)]);
        assert!(!open.may_end_during(window(990, 999)));
        assert!(open.may_end_during(window(990, 1_200)));
        let confirmed = order(&[phase((0, 1), 4, Some(500))]);
        assert!(!confirmed.may_end_during(window(990, 1_200)));
        assert!(!order(&[]).may_end_during(window(990, 1_200)));
    }

    #[test]
    fn what_is_booked_is_shown_from_that_step_on() {
        let mut order = order(&[phase((0, 1), 4, None)]);
        assert_eq!(order.unshown(window(2, 3), 9), 4);
        order.booked = Some(3);
        assert_eq!(order.unshown(window(2, 3), 2), 4);
        assert_eq!(order.unshown(window(2, 3), 3), 0);
    }
}

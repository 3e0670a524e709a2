//! What happened, counted.

use super::event::Event;
use std::cell::Cell;

/// A count that grows.
#[derive(Debug, Default)]
pub(super) struct Count(Cell<u64>);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.set(self.0.get() + more);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Everything that is counted while histories run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    events: [Count; Event::ALL.len()],
    pub(super) histories: Count,
    pub(super) calls: Count,
    /// Holds that were granted.
    pub(super) grants: Count,
    /// Orders and reservations that found too little.
    pub(super) refusals: Count,
    /// Submissions that were told what they had been granted before.
    pub(super) replays: Count,
    /// Refused because the order was settled.
    pub(super) conflicts: Count,
    /// Calls that were sent again: too busy, or their turn did not come.
    pub(super) retries: Count,
    /// Reservations of which it is not known whether they hold.
    pub(super) orphans: Count,
    /// Lines that were judged.
    pub(super) judged: Count,
    /// Of these, lines of which only one number was right.
    pub(super) exact: Count,
    /// Of these, lines that told of more held than there was.
    pub(super) shortfalls: Count,
    pub(super) snapshots: Count,
}

impl Tally {
    pub(super) fn event(&self, event: Event) {
        let place = Event::ALL.iter().position(|(known, _)| *known == event);
        if let Some(count) = place.and_then(|place| self.events.get(place)) {
            count.add(1);
        }
    }

    pub(super) fn events(&self) -> Vec<(&'static str, u64)> {
        let counts = Event::ALL.iter().zip(&self.events);
        counts
            .map(|((event, _), count)| (event.name(), count.get()))
            .collect()
    }

    /// The other counts, in words.
    pub(super) fn counts(&self) -> Vec<(&'static str, u64)> {
        [
            ("histories", &self.histories),
            ("calls", &self.calls),
            ("granted", &self.grants),
            ("refused for want of stock", &self.refusals),
            ("repeated", &self.replays),
            ("refused because settled", &self.conflicts),
            ("sent again", &self.retries),
            ("reservations in doubt", &self.orphans),
            ("snapshots", &self.snapshots),
            ("lines judged", &self.judged),
            ("with one right answer", &self.exact),
            ("with more held than there is", &self.shortfalls),
        ]
        .into_iter()
        .map(|(what, count)| (what, count.get()))
        .collect()
    }
}

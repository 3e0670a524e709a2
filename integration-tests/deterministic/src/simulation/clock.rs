//! Redis' clock, which may be stepped, and the workers' view of it, which may lag.

/// How far Redis' clock was ahead of the truth, and since when.
#[derive(Debug, Default)]
pub(super) struct WorldClock {
    steps: Vec<(i64, i64)>,
}

impl WorldClock {
    /// How far ahead it is now.
    pub(super) fn ahead_ms(&self) -> i64 {
        self.steps.last().map_or(0, |(_, ahead)| *ahead)
    }

    /// How far ahead it was.
    pub(super) fn ahead_at(&self, at_ms: i64) -> i64 {
        let latest = self.steps.iter().rev().find(|(from, _)| *from <= at_ms);
        latest.map_or(0, |(_, ahead)| *ahead)
    }

    /// Steps it.
    pub(super) fn step_to(&mut self, at_ms: i64, ahead_ms: i64) {
        self.steps.push((at_ms, ahead_ms));
    }
}

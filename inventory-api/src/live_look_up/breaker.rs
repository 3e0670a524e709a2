//! PURE: when an environment that keeps failing is left alone, and who tries it again.
//!
//! Closed, every call passes. Five failures in a row, or ten among the last twenty calls, open it:
//! nothing is asked for ten seconds. Then one call passes as the trial; its end decides. A call that
//! ends without a verdict (its caller left, its time was too short to blame D365) changes nothing,
//! except that a trial without a verdict leaves the next call to try.

use std::collections::VecDeque;
use std::time::Duration;

/// Failures in a row that open it.
const IN_A_ROW: usize = 5;
/// Calls that are remembered.
const REMEMBERED: usize = 20;
/// Failures among them that open it.
const OF_REMEMBERED: usize = 10;
/// How long nothing is asked.
pub(crate) const REST: Duration = Duration::from_secs(10);

/// How a call ended, as far as it tells anything about the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallVerdict {
    /// It answered, be it with a refusal.
    Works,
    /// It did not.
    Fails,
}

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Go ahead.
    Pass,
    /// Go ahead, and be the one call that tries.
    Trial,
    /// Not now; try again after this long.
    Rest(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Closed,
    /// Nothing is asked until then (monotonic).
    Open(Duration),
    /// One call is trying.
    Trying,
}

/// The breaker of one environment; instants are readings of the monotonic clock.
#[derive(Debug)]
pub(crate) struct Breaker {
    position: Position,
    /// Whether the last calls failed, oldest first.
    failed: VecDeque<bool>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            position: Position::Closed,
            failed: VecDeque::with_capacity(REMEMBERED),
        }
    }
}

impl Breaker {
    /// What a call that would begin now may do.
    pub(crate) fn ask(&mut self, now: Duration) -> Leave {
        match self.position {
            Position::Closed => Leave::Pass,
            Position::Open(until) if now >= until => {
                self.position = Position::Trying;
                Leave::Trial
            }
            Position::Open(until) => Leave::Rest(until.saturating_sub(now)),
            Position::Trying => Leave::Rest(REST),
        }
    }

    /// How long a call would be kept waiting that began now; none if it could go. Takes no trial.
    pub(crate) fn rest_left(&self, now: Duration) -> Option<Duration> {
        match self.position {
            Position::Closed => None,
            Position::Open(until) => until.checked_sub(now).filter(|left| !left.is_zero()),
            Position::Trying => Some(REST),
        }
    }

    /// Notes how a call ended. Returns whether this opened the breaker.
    pub(crate) fn note(
        &mut self,
        leave: Leave,
        verdict: Option<CallVerdict>,
        now: Duration,
    ) -> bool {
        match (leave, verdict) {
            (Leave::Rest(_), _) | (Leave::Pass, None) => false,
            (Leave::Trial, None) => {
                self.position = Position::Open(now);
                false
            }
            (Leave::Trial, Some(CallVerdict::Works)) => {
                *self = Self::default();
                false
            }
            (Leave::Trial, Some(CallVerdict::Fails)) => {
                self.position = Position::Open(now.saturating_add(REST));
                true
            }
            (Leave::Pass, Some(verdict)) => self.remember(verdict, now),
        }
    }

    fn remember(&mut self, verdict: CallVerdict, now: Duration) -> bool {
        // A call from before the opening says nothing about the time after it.
        if self.position != Position::Closed {
            return false;
        }
        if self.failed.len() == REMEMBERED {
            self.failed.pop_front();
        }
        self.failed.push_back(verdict == CallVerdict::Fails);
        let in_a_row = self.failed.iter().rev().take_while(|failed| **failed);
        let of_remembered = self.failed.iter().filter(|failed| **failed);
        let opens = in_a_row.count() >= IN_A_ROW || of_remembered.count() >= OF_REMEMBERED;
        if opens {
            self.position = Position::Open(now.saturating_add(REST));
        }
        opens
    }

    /// Whether calls pass.
    pub(crate) fn is_closed(&self) -> bool {
        self.position == Position::Closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CallVerdict::{Fails, Works};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for number in 1..=5 {
            assert_eq!(breaker.ask(at(0)), Leave::Pass);
            assert_eq!(breaker.note(Leave::Pass, Some(Fails), at(0)), number == 5);
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_call_tries_after_the_rest() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(at(4)), Leave::Rest(at(6)));
        assert_eq!(breaker.rest_left(at(4)), Some(at(6)));
        assert_eq!(breaker.rest_left(at(10)), None);
        assert_eq!(breaker.ask(at(10)), Leave::Trial);
        assert_eq!(breaker.ask(at(10)), Leave::Rest(REST));
        assert!(breaker.note(Leave::Trial, Some(Fails), at(11)));
        assert_eq!(breaker.ask(at(20)), Leave::Rest(at(1)));
        assert_eq!(breaker.ask(at(21)), Leave::Trial);
        assert!(!breaker.note(Leave::Trial, Some(Works), at(22)));
        assert!(breaker.is_closed());
        assert_eq!(breaker.ask(at(22)), Leave::Pass);
    }

    #[test]
    fn half_of_the_last_twenty_open_it_though_never_five_in_a_row() {
        let mut breaker = Breaker::default();
        let mut calls = 0;
        loop {
            calls += 1;
            let verdict = if calls % 2 == 0 { Fails } else { Works };
            if breaker.note(Leave::Pass, Some(verdict), at(0)) {
                break;
            }
            assert!(calls < 100);
        }
        assert_eq!(calls, 20);
        let mut breaker = Breaker::default();
        for call in 0..1_000 {
            let verdict = if call % 3 == 0 { Fails } else { Works };
            assert!(!breaker.note(Leave::Pass, Some(verdict), at(0)), "{call}");
        }
    }

    #[test]
    fn a_trial_without_a_verdict_leaves_the_next_call_to_try() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(at(10)), Leave::Trial);
        assert!(!breaker.note(Leave::Trial, None, at(11)));
        assert_eq!(breaker.ask(at(11)), Leave::Trial);
    }

    #[test]
    fn stragglers_from_before_the_opening_change_nothing() {
        let mut breaker = opened();
        assert!(!breaker.note(Leave::Pass, Some(Works), at(1)));
        assert_eq!(breaker.ask(at(1)), Leave::Rest(at(9)));
        assert_eq!(breaker.ask(at(10)), Leave::Trial);
        assert!(!breaker.note(Leave::Pass, Some(Fails), at(10)));
        assert_eq!(breaker.ask(at(10)), Leave::Rest(REST));
    }
}

//! PURE: when an environment that keeps failing is left alone, and who tries it again.
//!
//! Closed, every call passes. Five failures in a row, or ten among the last twenty calls, open it:
//! nothing is asked for ten seconds. Then one call passes as the trial; its end decides.
//!
//! An impatient caller's call that got no answer in its short time says little: D365 may only be slower
//! than that. It counts as a failure all the same, or nothing would open while only such callers ask a
//! D365 that is dead. But what was opened by such a call yields to callers with time: they pass, until
//! the first of them fails. A call D365 refused or that found no place changes nothing; as a trial it
//! leaves the next call to try.

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
    /// It did not in the little time there was.
    Silent,
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
    /// Nothing is asked until then (monotonic); by callers with time at once, if only impatient ones
    /// have failed.
    Open {
        until: Duration,
        yields: bool,
    },
    /// One call is trying.
    Trying {
        yields: bool,
    },
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
    /// What a call that would begin now may do; whether it has time for an answer that is slow.
    pub(crate) fn ask(&mut self, now: Duration, has_time: bool) -> Leave {
        match (self.rest_left(now, has_time), self.position) {
            (Some(left), _) => Leave::Rest(left),
            (None, Position::Open { until, yields }) if now >= until => {
                self.position = Position::Trying { yields };
                Leave::Trial
            }
            (None, _) => Leave::Pass,
        }
    }

    /// How long a call would be kept waiting that began now; none if it could go. Takes no trial.
    pub(crate) fn rest_left(&self, now: Duration, has_time: bool) -> Option<Duration> {
        match self.position {
            Position::Closed => None,
            Position::Open { yields: true, .. } | Position::Trying { yields: true } if has_time => {
                None
            }
            Position::Open { until, .. } => until.checked_sub(now).filter(|left| !left.is_zero()),
            Position::Trying { .. } => Some(REST),
        }
    }

    /// Notes how a call ended; no verdict: it was not sent. Returns whether this opened the breaker.
    pub(crate) fn note(
        &mut self,
        leave: Leave,
        verdict: Option<CallVerdict>,
        now: Duration,
    ) -> bool {
        match (leave, verdict) {
            (Leave::Rest(_), _) | (Leave::Pass, None) => false,
            (Leave::Trial, None) => {
                // Somebody with time may have closed it meanwhile, or shut it for good.
                if let Position::Trying { yields } = self.position {
                    self.position = Position::Open { until: now, yields };
                }
                false
            }
            (Leave::Trial, Some(CallVerdict::Works)) => {
                *self = Self::default();
                false
            }
            (Leave::Trial, Some(verdict)) => {
                if !self.is_closed() {
                    self.open(now, verdict);
                }
                verdict == CallVerdict::Fails
            }
            (Leave::Pass, Some(verdict)) if self.yields() => self.settle(verdict, now),
            (Leave::Pass, Some(verdict)) => self.remember(verdict, now),
        }
    }

    fn yields(&self) -> bool {
        matches!(
            self.position,
            Position::Open { yields: true, .. } | Position::Trying { yields: true }
        )
    }

    /// A call with time ended while only impatient ones had failed: it knows.
    fn settle(&mut self, verdict: CallVerdict, now: Duration) -> bool {
        match verdict {
            CallVerdict::Works => *self = Self::default(),
            CallVerdict::Fails => self.open(now, verdict),
            CallVerdict::Silent => {}
        }
        verdict == CallVerdict::Fails
    }

    fn open(&mut self, now: Duration, verdict: CallVerdict) {
        self.position = Position::Open {
            until: now.saturating_add(REST),
            yields: verdict == CallVerdict::Silent,
        };
    }

    fn remember(&mut self, verdict: CallVerdict, now: Duration) -> bool {
        // A call from before the opening says nothing about the time after it.
        if self.position != Position::Closed {
            return false;
        }
        if self.failed.len() == REMEMBERED {
            self.failed.pop_front();
        }
        self.failed.push_back(verdict != CallVerdict::Works);
        let in_a_row = self.failed.iter().rev().take_while(|failed| **failed);
        let of_remembered = self.failed.iter().filter(|failed| **failed);
        let opens = in_a_row.count() >= IN_A_ROW || of_remembered.count() >= OF_REMEMBERED;
        if opens {
            self.open(now, verdict);
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
    use CallVerdict::{Fails, Silent, Works};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for number in 1..=5 {
            assert_eq!(breaker.ask(at(0), true), Leave::Pass);
            assert_eq!(breaker.note(Leave::Pass, Some(Fails), at(0)), number == 5);
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_call_tries_after_the_rest() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(at(4), true), Leave::Rest(at(6)));
        assert_eq!(breaker.rest_left(at(4), true), Some(at(6)));
        assert_eq!(breaker.rest_left(at(10), true), None);
        assert_eq!(breaker.ask(at(10), true), Leave::Trial);
        assert_eq!(breaker.ask(at(10), true), Leave::Rest(REST));
        assert!(breaker.note(Leave::Trial, Some(Fails), at(11)));
        assert_eq!(breaker.ask(at(20), true), Leave::Rest(at(1)));
        assert_eq!(breaker.ask(at(21), true), Leave::Trial);
        assert!(!breaker.note(Leave::Trial, Some(Works), at(22)));
        assert!(breaker.is_closed());
        assert_eq!(breaker.ask(at(22), true), Leave::Pass);
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
    fn a_trial_that_was_not_sent_leaves_the_next_call_to_try() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(at(10), true), Leave::Trial);
        assert!(!breaker.note(Leave::Trial, None, at(11)));
        assert_eq!(breaker.ask(at(11), true), Leave::Trial);
    }

    #[test]
    fn impatient_callers_open_it_for_each_other_and_callers_with_time_pass() {
        let mut breaker = Breaker::default();
        for number in 1..=5 {
            assert_eq!(breaker.ask(at(0), false), Leave::Pass);
            assert_eq!(breaker.note(Leave::Pass, Some(Silent), at(0)), number == 5);
        }
        // Among themselves they try as seldom as others do.
        assert_eq!(breaker.ask(at(1), false), Leave::Rest(at(9)));
        assert_eq!(breaker.ask(at(10), false), Leave::Trial);
        assert_eq!(breaker.ask(at(10), true), Leave::Pass);
        assert!(!breaker.note(Leave::Trial, Some(Silent), at(10)));
        assert_eq!(breaker.ask(at(11), false), Leave::Rest(at(9)));
        for _ in 0..3 {
            assert_eq!(breaker.ask(at(11), true), Leave::Pass);
        }
        assert!(!breaker.note(Leave::Pass, Some(Silent), at(11)));
        // The first of them that fails shuts it for all.
        assert!(breaker.note(Leave::Pass, Some(Fails), at(12)));
        assert_eq!(breaker.ask(at(13), true), Leave::Rest(at(9)));
        assert_eq!(breaker.ask(at(22), false), Leave::Trial);
        assert!(!breaker.note(Leave::Trial, Some(Works), at(22)));
        assert!(breaker.is_closed());
    }

    #[test]
    fn a_caller_with_time_closes_what_impatient_ones_opened() {
        let mut breaker = Breaker::default();
        for _ in 0..5 {
            breaker.note(Leave::Pass, Some(Silent), at(0));
        }
        assert_eq!(breaker.ask(at(10), false), Leave::Trial);
        assert_eq!(breaker.ask(at(10), true), Leave::Pass);
        assert!(!breaker.note(Leave::Pass, Some(Works), at(10)));
        assert!(breaker.is_closed());
        // The trial that was under way meanwhile says less.
        assert!(!breaker.note(Leave::Trial, Some(Silent), at(11)));
        assert!(breaker.is_closed());
    }

    #[test]
    fn stragglers_from_before_the_opening_change_nothing() {
        let mut breaker = opened();
        assert!(!breaker.note(Leave::Pass, Some(Works), at(1)));
        assert_eq!(breaker.ask(at(1), true), Leave::Rest(at(9)));
        assert_eq!(breaker.ask(at(10), true), Leave::Trial);
        assert!(!breaker.note(Leave::Pass, Some(Fails), at(10)));
        assert_eq!(breaker.ask(at(10), true), Leave::Rest(REST));
    }
}

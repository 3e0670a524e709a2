//! PURE: when an environment that keeps failing is left alone, and who tries it again.
//!
//! Five failures in a row, or ten among the last twenty calls, open it: nothing is asked for ten
//! seconds. Then one call passes as the trial; its end decides.
//!
//! A call that got no answer in its time shows that D365 was silent for so long, and no more: D365
//! may only be slower than that. So its failure speaks against calls that have no more time, and a
//! call with more time passes as long as not enough of its like have failed. How long a caller waits
//! changes nothing for those who wait longer. A call that was not sent changes nothing; as a trial it
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
    /// It failed, and would have failed whoever had asked.
    Fails,
    /// It had not answered after so long.
    Silent(Duration),
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

/// A silence as long as any caller's time.
const FOR_ALL: Duration = Duration::MAX;

/// Nothing is asked until then (monotonic) by calls that have no more time than D365 was silent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    silence: Duration,
    since: Duration,
    until: Duration,
}

impl Open {
    fn at(now: Duration, silence: Duration) -> Self {
        Self {
            silence,
            since: now,
            until: now.saturating_add(REST),
        }
    }

    /// Whether it holds for a call with so much time. Times differ by what else a call waited for: an
    /// eighth more is no more.
    fn is_for(self, time: Duration) -> bool {
        covers(self.silence, time)
    }
}

fn covers(silence: Duration, time: Duration) -> bool {
    silence.saturating_add(silence / 8) >= time
}

/// The breaker of one environment; instants are readings of the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    open: Option<Open>,
    /// The time of the call that tries.
    trying: Option<Duration>,
    /// The last trial that was shorter than the silence it was opened by.
    tried: Option<Open>,
    /// The last calls, oldest first: how long D365 was silent; nothing if it answered.
    failures: VecDeque<Option<Duration>>,
}

impl Breaker {
    /// What a call with so much time may do that would begin now.
    pub(crate) fn ask(&mut self, now: Duration, time: Duration) -> Leave {
        match self.rest_left(now, time) {
            Some(left) => Leave::Rest(left),
            None if self.open.is_some_and(|open| open.is_for(time)) => {
                self.trying = self.trying.max(Some(time));
                Leave::Trial
            }
            None => Leave::Pass,
        }
    }

    /// How long a call with so much time would be kept waiting that began now; none if it could go.
    /// Takes no trial.
    pub(crate) fn rest_left(&self, now: Duration, time: Duration) -> Option<Duration> {
        let open = self.open.filter(|open| open.is_for(time))?;
        let tried = self.tried.filter(|tried| tried.is_for(time));
        let until = tried.map_or(open.until, |tried| open.until.max(tried.until));
        let left = until.saturating_sub(now);
        let is_tried = self.trying.is_some_and(|trying| covers(trying, time));
        if left.is_zero() {
            is_tried.then_some(REST)
        } else {
            Some(left)
        }
    }

    /// Notes how a call ended that began then; no verdict: it was not sent. Returns whether this opened
    /// the breaker.
    pub(crate) fn note(
        &mut self,
        leave: Leave,
        verdict: Option<CallVerdict>,
        began: Duration,
        now: Duration,
    ) -> bool {
        if leave == Leave::Trial {
            self.trying = None;
        }
        let silence = match verdict {
            None => return false,
            Some(CallVerdict::Works) => {
                match self.open {
                    // A call from before the opening says nothing about the time after it.
                    Some(open) if began <= open.since => {}
                    Some(_) => *self = Self::default(),
                    None => _ = self.remember(None, now),
                }
                return false;
            }
            Some(CallVerdict::Fails) => FOR_ALL,
            Some(CallVerdict::Silent(silence)) => silence,
        };
        match self.open {
            Some(open) if leave == Leave::Trial => {
                let tried = Open::at(now, silence);
                if tried.is_for(open.silence) {
                    self.open = Some(Open {
                        until: tried.until,
                        ..open
                    });
                    self.tried = None;
                } else {
                    self.tried = Some(tried);
                }
                true
            }
            // From before the opening, or no more than is known.
            Some(open) if open.is_for(silence) => false,
            _ => self.remember(Some(silence), now),
        }
    }

    /// Others have just found that it fails: whoever would try next waits as long as they do.
    pub(crate) fn is_failing(&mut self, now: Duration) {
        if let Some(open) = &mut self.open {
            open.until = open.until.max(now.saturating_add(REST));
        }
    }

    fn remember(&mut self, failure: Option<Duration>, now: Duration) -> bool {
        if self.failures.len() == REMEMBERED {
            self.failures.pop_front();
        }
        self.failures.push_back(failure);
        let opens_for = self.failures.iter().flatten().copied();
        let opens_for = opens_for.filter(|time| self.fails_for(*time)).max();
        let known = self.open.map(|open| open.silence);
        let Some(silence) = opens_for.filter(|silence| known.is_none_or(|known| known < *silence))
        else {
            return false;
        };
        self.open = Some(Open::at(now, silence));
        self.tried = None;
        true
    }

    /// Whether enough calls failed that had so much time. Shorter ones say nothing about it.
    fn fails_for(&self, time: Duration) -> bool {
        let telling = self
            .failures
            .iter()
            .rev()
            .filter(|failure| failure.is_none_or(|silence| silence >= time));
        let in_a_row = telling.clone().take_while(|failure| failure.is_some());
        let of_remembered = telling.filter(|failure| failure.is_some());
        in_a_row.count() >= IN_A_ROW || of_remembered.count() >= OF_REMEMBERED
    }

    /// Whether calls pass, however little time they have.
    pub(crate) fn is_closed(&self) -> bool {
        self.open.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CallVerdict::{Fails, Silent, Works};

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// How a call ends that takes no time.
    fn note(
        breaker: &mut Breaker,
        leave: Leave,
        verdict: impl Into<Option<CallVerdict>>,
        now: Duration,
    ) -> bool {
        breaker.note(leave, verdict.into(), now, now)
    }

    const SHORT: Duration = Duration::from_millis(600);
    const LONG: Duration = Duration::from_millis(2_500);
    const LONGEST: Duration = Duration::from_secs(5);

    fn opened_by(verdict: CallVerdict, time: Duration) -> Breaker {
        let mut breaker = Breaker::default();
        for number in 1..=5 {
            assert_eq!(breaker.ask(at(0), time), Leave::Pass);
            assert_eq!(note(&mut breaker, Leave::Pass, verdict, at(0)), number == 5);
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_call_tries_after_the_rest() {
        let mut breaker = opened_by(Fails, LONG);
        assert_eq!(breaker.ask(at(4), LONGEST), Leave::Rest(at(6)));
        assert_eq!(breaker.rest_left(at(4), LONG), Some(at(6)));
        assert_eq!(breaker.rest_left(at(10), LONG), None);
        assert_eq!(breaker.ask(at(10), LONG), Leave::Trial);
        assert_eq!(breaker.ask(at(10), LONG), Leave::Rest(REST));
        assert!(note(&mut breaker, Leave::Trial, Fails, at(11)));
        assert_eq!(breaker.ask(at(20), LONG), Leave::Rest(at(1)));
        assert_eq!(breaker.ask(at(21), LONG), Leave::Trial);
        assert!(!note(&mut breaker, Leave::Trial, Works, at(22)));
        assert!(breaker.is_closed());
        assert_eq!(breaker.ask(at(22), SHORT), Leave::Pass);
    }

    #[test]
    fn half_of_the_last_twenty_open_it_though_never_five_in_a_row() {
        for failure in [Fails, Silent(LONG)] {
            let mut breaker = Breaker::default();
            let mut calls = 0;
            loop {
                calls += 1;
                let verdict = if calls % 2 == 0 { failure } else { Works };
                if note(&mut breaker, Leave::Pass, verdict, at(0)) {
                    break;
                }
                assert!(calls < 100);
            }
            assert_eq!(calls, 20);
        }
        let mut breaker = Breaker::default();
        for call in 0..1_000 {
            let verdict = if call % 3 == 0 { Fails } else { Works };
            assert!(!note(&mut breaker, Leave::Pass, verdict, at(0)), "{call}");
        }
    }

    #[test]
    fn a_trial_that_was_not_sent_leaves_the_next_call_to_try() {
        let mut breaker = opened_by(Fails, LONG);
        assert_eq!(breaker.ask(at(10), LONG), Leave::Trial);
        assert!(!note(&mut breaker, Leave::Trial, None, at(11)));
        assert_eq!(breaker.ask(at(11), LONG), Leave::Trial);
    }

    #[test]
    fn silence_speaks_against_those_who_wait_no_longer_and_nobody_else() {
        for (silent, refused, passes) in [
            (
                SHORT,
                Duration::from_millis(670),
                Duration::from_millis(680),
            ),
            (
                LONG,
                Duration::from_millis(2_800),
                Duration::from_millis(2_820),
            ),
        ] {
            let mut breaker = opened_by(Silent(silent), silent);
            assert_eq!(breaker.ask(at(1), refused), Leave::Rest(at(9)));
            assert_eq!(breaker.ask(at(1), passes), Leave::Pass);
        }
        // However often the impatient ask.
        let mut breaker = Breaker::default();
        for _ in 0..1_000 {
            note(&mut breaker, Leave::Pass, Silent(SHORT), at(0));
            assert_eq!(breaker.ask(at(0), LONG), Leave::Pass);
        }
    }

    #[test]
    fn those_who_wait_longer_find_out_for_themselves_among_any_number_of_impatient() {
        let mut breaker = opened_by(Silent(SHORT), SHORT);
        for number in 1..=5 {
            assert_eq!(breaker.ask(at(number), LONG), Leave::Pass, "{number}");
            let opens = note(&mut breaker, Leave::Pass, Silent(LONG), at(number));
            assert_eq!(opens, number == 5);
            note(&mut breaker, Leave::Pass, Silent(SHORT), at(number));
        }
        assert_eq!(breaker.ask(at(6), LONG), Leave::Rest(at(9)));
        assert_eq!(breaker.ask(at(6), LONGEST), Leave::Pass);
    }

    #[test]
    fn an_impatient_trial_does_not_keep_those_who_wait_longer_from_trying() {
        let mut breaker = opened_by(Silent(LONG), LONG);
        for round in 0..3 {
            let now = at(10 + 20 * round);
            assert_eq!(breaker.ask(now, SHORT), Leave::Trial);
            // Neither while it tries, nor when it has failed.
            assert_eq!(breaker.rest_left(now, LONG), None);
            assert!(note(&mut breaker, Leave::Trial, Silent(SHORT), now));
            assert_eq!(breaker.ask(now, SHORT), Leave::Rest(REST));
            assert_eq!(breaker.ask(now, LONG), Leave::Trial);
            assert_eq!(breaker.ask(now, LONG), Leave::Rest(REST));
            assert!(note(&mut breaker, Leave::Trial, Silent(LONG), now));
            assert_eq!(breaker.ask(now + at(9), LONG), Leave::Rest(at(1)));
            assert_eq!(breaker.ask(now + at(9), SHORT), Leave::Rest(at(1)));
        }
    }

    #[test]
    fn an_answer_to_somebody_who_waits_longer_closes_it() {
        let mut breaker = opened_by(Silent(SHORT), SHORT);
        assert_eq!(breaker.ask(at(10), SHORT), Leave::Trial);
        assert_eq!(breaker.ask(at(10), LONG), Leave::Pass);
        assert!(!note(&mut breaker, Leave::Pass, Works, at(10)));
        assert!(breaker.is_closed());
        // The trial that was under way meanwhile is a call like others.
        assert!(!note(&mut breaker, Leave::Trial, Silent(SHORT), at(11)));
        assert!(breaker.is_closed());
    }

    #[test]
    fn stragglers_from_before_the_opening_change_nothing() {
        let mut breaker = opened_by(Fails, LONG);
        assert!(!breaker.note(Leave::Pass, Some(Works), at(0), at(1)));
        assert_eq!(breaker.ask(at(1), LONG), Leave::Rest(at(9)));
        assert_eq!(breaker.ask(at(10), LONG), Leave::Trial);
        assert!(!note(&mut breaker, Leave::Pass, Fails, at(10)));
        assert_eq!(breaker.ask(at(10), LONG), Leave::Rest(REST));
    }
}

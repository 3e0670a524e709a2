//! A failure that lasts is logged when it begins, and then now and then.

use std::time::Duration;

const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// When a failure was logged last, on the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct LogLimit(Option<Duration>);

impl LogLimit {
    /// Whether a failure is to be logged now.
    pub(crate) fn lets_pass(&mut self, now: Duration) -> bool {
        let is_due = |last| now.saturating_sub(last) >= AGAIN_AFTER;
        let passes = self.0.is_none_or(is_due);
        if passes {
            self.0 = Some(now);
        }
        passes
    }

    /// It went well: the next failure is a new one.
    pub(crate) fn reset(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_logged_first_then_every_half_minute_and_at_once_after_a_success() {
        let mut limit = LogLimit::default();
        let logged = |limit: &mut LogLimit, from: u64| -> Vec<u64> {
            let seconds = from..from + 70;
            seconds
                .filter(|now| limit.lets_pass(Duration::from_secs(*now)))
                .collect()
        };
        assert_eq!(logged(&mut limit, 5), [5, 35, 65]);
        limit.reset();
        assert_eq!(logged(&mut limit, 75), [75, 105, 135]);
    }
}

//! When D365 is asked again for what failed.

use shared::d365::D365Error;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Tries of one call before the part breaks off.
const TRIES: u32 = 4;
const FIRST_PAUSE_MS: u64 = 500;
/// D365 asks for seconds to minutes; a part that is asked to wait for longer breaks off.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// Counts this failure to those before it in a row. Being asked to wait is none: it does not use up the tries.
pub fn failures_with(error: &D365Error, before: u32) -> u32 {
    before + u32::from(!matches!(error, D365Error::Throttled { .. }))
}

/// How long to wait before the next try after so many failures in a row; none if there is none.
pub fn pause_after(error: &D365Error, failures: u32) -> Option<Duration> {
    if let D365Error::Throttled { retry_after } = error {
        return (*retry_after <= LONGEST_WAIT).then_some(*retry_after);
    }
    if failures >= TRIES || !error.may_be_tried_again() {
        return None;
    }
    // Full jitter: replicas that failed together do not come back together.
    let longest = FIRST_PAUSE_MS << failures.min(6);
    let chance = RandomState::new().hash_one(failures) % longest;
    Some(Duration::from_millis(chance.max(50)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_tried_four_times_unless_that_cannot_help_and_waits_as_long_as_d365_asks() {
        let broken = D365Error::Connection {
            cause: "reset".to_owned(),
        };
        let forbidden = D365Error::Status {
            status: 403,
            message: String::new(),
        };
        let throttled = |s| D365Error::Throttled {
            retry_after: Duration::from_secs(s),
        };
        assert!(pause_after(&broken, 1).unwrap() <= Duration::from_secs(1));
        assert!(pause_after(&broken, 3).is_some());
        assert_eq!(pause_after(&broken, 4), None);
        assert_eq!(pause_after(&forbidden, 1), None);
        let waited = pause_after(&throttled(37), 9);
        assert_eq!(waited, Some(Duration::from_secs(37)));
        assert_eq!(pause_after(&throttled(601), 1), None);
        assert_eq!(failures_with(&throttled(1), 3), 3);
        assert_eq!(failures_with(&broken, 3), 4);
    }
}

//! `Retry-After`: how long D365 wants us to stay away.

use crate::stock::AsOf;
use jiff::fmt::rfc2822::DateTimeParser;
use std::time::Duration;

/// Without the header: what Microsoft's own sample waits.
const WITHOUT_HEADER: Duration = Duration::from_secs(30);
/// The longest wait obeyed; a longer one would be a mistake that stops the feed for good.
const LONGEST: Duration = Duration::from_mins(10);
/// A wait of nothing would only bring the next 429.
const SHORTEST: Duration = Duration::from_secs(1);

/// Reads the wait from the texts of `Retry-After` (seconds or an HTTP date) and of the answer's
/// own `Date`, against which a date is measured; without it `now` is used.
pub(super) fn wait_asked_for(retry_after: Option<&str>, date: Option<&str>, now: AsOf) -> Duration {
    let Some(text) = retry_after.map(str::trim) else {
        return WITHOUT_HEADER;
    };
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit is a very long wait.
        Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
    } else {
        let answered_at_ms = date.and_then(unix_ms).unwrap_or_else(|| now.unix_ms());
        unix_ms(text).map(|until_ms| {
            Duration::from_millis(u64::try_from(until_ms - answered_at_ms).unwrap_or(0))
        })
    };
    wait.map_or(WITHOUT_HEADER, |wait| wait.clamp(SHORTEST, LONGEST))
}

fn unix_ms(http_date: &str) -> Option<i64> {
    DateTimeParser::new()
        .parse_timestamp(http_date.trim())
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_dates_and_nothing_are_understood_and_bounded() {
        let now = AsOf::from_unix_ms(1_445_412_400_000).unwrap();
        let date = "Wed, 21 Oct 2015 07:27:00 GMT";
        for (retry_after, date, expected) in [
            (Some("37"), None, 37),
            (Some(" 60 "), None, 60),
            (Some("0"), None, 1),
            (Some("86400"), None, 600),
            (Some("99999999999999999999999"), None, 600),
            (Some("Wed, 21 Oct 2015 07:28:00 GMT"), Some(date), 60),
            (Some("Wed, 21 Oct 2015 07:28:00 GMT"), None, 80),
            (Some("Wed, 21 Oct 2015 07:28:00 GMT"), Some("nonsense"), 80),
            (Some("Wed, 21 Oct 2015 07:00:00 GMT"), Some(date), 1),
            (Some("Wed, 21 Oct 2099 07:00:00 GMT"), Some(date), 600),
            (Some("soon"), None, 30),
            (Some("-5"), None, 30),
            (Some("1.5"), None, 30),
            (Some(""), None, 30),
            (None, Some(date), 30),
        ] {
            assert_eq!(
                wait_asked_for(retry_after, date, now),
                Duration::from_secs(expected),
                "{retry_after:?} {date:?}"
            );
        }
    }
}

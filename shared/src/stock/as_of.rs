//! As-of stamps.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A stored as-of further ahead of now than this is corrupt (a clock was wrong when it was made).
pub const FUTURE_TOLERANCE: Duration = Duration::from_secs(5);

/// The instant a D365 request was started, in whole milliseconds UTC on the clock of Redis.
///
/// Shown as fixed-width ISO 8601 (`2026-11-23T04:53:56.123Z`): readable, and newer is greater as
/// text, which is what the write script compares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsOf(i64);

/// Why a text or number is not an as-of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an instant of the form 2026-11-23T04:53:56.123Z between 1970 and 9999")]
pub struct AsOfError(String);

/// 9999-12-31T00:00:00Z: the last day of the fixed-width form.
const LATEST_MS: i64 = 253_402_214_400_000;

impl AsOf {
    /// 1970-01-01T00:00:00.000Z.
    pub const EPOCH: Self = Self(0);

    /// From milliseconds since 1970-01-01T00:00:00Z, up to the end of 9999.
    pub fn from_unix_ms(ms: i64) -> Result<Self, AsOfError> {
        if (0..LATEST_MS).contains(&ms) {
            Ok(Self(ms))
        } else {
            Err(AsOfError(ms.to_string()))
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn unix_ms(self) -> i64 {
        self.0
    }

    /// How old it is at `now`; zero if it lies ahead.
    pub fn age_at(self, now: Self) -> Duration {
        Duration::from_millis(u64::try_from(now.0.saturating_sub(self.0)).unwrap_or(0))
    }

    /// The instant this much later, held inside the range.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(ms).min(LATEST_MS - 1))
    }

    /// The instant this much earlier, held inside the range.
    #[must_use]
    pub fn minus(self, time: Duration) -> Self {
        let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(ms).max(Self::EPOCH.0))
    }
}

/// Whole milliseconds, always three digits of them.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = Timestamp::from_millisecond(self.0).or(Err(fmt::Error))?;
        f.write_str(&PRINTER.timestamp_to_string(&instant))
    }
}

impl fmt::Debug for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AsOf {
    type Err = AsOfError;

    fn from_str(text: &str) -> Result<Self, AsOfError> {
        fixed_form(text)
            .and_then(|instant| Self::from_unix_ms(instant.as_millisecond()).ok())
            .ok_or_else(|| AsOfError(text.chars().take(64).collect()))
    }
}

/// The library reads other forms too, and a second 60 as 59.
fn fixed_form(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let has_marks = bytes.len() == 24
        && [(4, b'-'), (10, b'T'), (13, b':'), (19, b'.'), (23, b'Z')]
            .iter()
            .all(|(at, mark)| bytes[*at] == *mark)
        && bytes[17] < b'6';
    has_marks.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_fixed_form_is_read() {
        for text in [
            "2026-11-23T04:53:56Z",
            "2026-11-23 04:53:56.123Z",
            "2026-11-23T04:53:56,123Z",
            "2026-11-23t04:53:56.123z",
            "20261123T045356.1234567Z",
            "2026-11-23T04:53:5\u{e4}.123Z",
            "2026-11-23T04:53:56.123+00:00",
            "2026-13-23T04:53:56.123Z",
            "2026-11-23T04:53:60.123Z",
            "1969-12-31T23:59:59.999Z",
            "",
        ] {
            assert!(text.parse::<AsOf>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_time_order_alike(a in 0_i64..LATEST_MS, b in 0_i64..LATEST_MS) {
            let (a, b) = (AsOf(a), AsOf(b));
            prop_assert_eq!(a.to_string().parse::<AsOf>().unwrap(), a);
            prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
            prop_assert_eq!(a.to_string().len(), 24);
        }
    }
}

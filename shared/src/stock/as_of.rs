//! As-of stamps and the one rule by which a line may replace another.

use super::Origin;
use jiff::tz::Offset;
use jiff::{Timestamp, civil};
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

impl AsOf {
    // Every line of every reply carries a stamp, so it is written digit by digit.
    fn text(self) -> [u8; 24] {
        let mut text = *b"0000-00-00T00:00:00.000Z";
        // The constructor holds the range, which lies inside the calendar's.
        let instant = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        let civil = Offset::UTC.to_datetime(instant);
        write_digits(&mut text[0..4], civil.year().unsigned_abs());
        write_digits(&mut text[5..7], civil.month().unsigned_abs().into());
        write_digits(&mut text[8..10], civil.day().unsigned_abs().into());
        write_digits(&mut text[11..13], civil.hour().unsigned_abs().into());
        write_digits(&mut text[14..16], civil.minute().unsigned_abs().into());
        write_digits(&mut text[17..19], civil.second().unsigned_abs().into());
        write_digits(&mut text[20..23], civil.millisecond().unsigned_abs());
        text
    }
}

fn write_digits(place: &mut [u8], mut number: u16) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn read_fixed_form(text: &[u8]) -> Option<i64> {
    let is_fixed_form = text.len() == 24
        && text.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            10 => *byte == b'T',
            13 | 16 => *byte == b':',
            19 => *byte == b'.',
            23 => *byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    if !is_fixed_form {
        return None;
    }
    let number = |place: &[u8]| {
        place
            .iter()
            .fold(0_i16, |number, digit| number * 10 + i16::from(digit - b'0'))
    };
    let small = |place: &[u8]| i8::try_from(number(place)).ok();
    let civil = civil::DateTime::new(
        number(&text[0..4]),
        small(&text[5..7])?,
        small(&text[8..10])?,
        small(&text[11..13])?,
        small(&text[14..16])?,
        small(&text[17..19])?,
        i32::from(number(&text[20..23])) * 1_000_000,
    )
    .ok()?;
    Offset::UTC
        .to_timestamp(civil)
        .ok()
        .map(Timestamp::as_millisecond)
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        f.write_str(str::from_utf8(&text).or(Err(fmt::Error))?)
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
        read_fixed_form(text.as_bytes())
            .and_then(|ms| Self::from_unix_ms(ms).ok())
            .ok_or_else(|| AsOfError(text.chars().take(64).collect()))
    }
}

/// What became of a line that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Written.
    Applied,
    /// Written over a line whose as-of lay too far in the future to be true.
    AppliedOverCorrupt,
    /// The stored line was read later (or at the same instant, and not beaten by a live answer).
    RefusedOlder,
    /// The new line claims an as-of too far in the future to be true.
    RefusedFuture,
    /// The warehouse's feed is read with other settings than the new line.
    RefusedOtherSettings,
}

impl Verdict {
    /// Whether the new line stands in the store now.
    pub fn is_applied(self) -> bool {
        matches!(self, Self::Applied | Self::AppliedOverCorrupt)
    }
}

/// The write rule: newer wins; at the same instant a live answer beats a snapshot; stamps more than
/// [`FUTURE_TOLERANCE`] ahead of `now` are corrupt, whichever side they are on.
///
/// The store's script decides by the same rule; a test feeds both the same histories.
pub fn decide(stored: Option<(AsOf, Origin)>, new: (AsOf, Origin), now: AsOf) -> Verdict {
    let latest_true = now.plus(FUTURE_TOLERANCE);
    if new.0 > latest_true {
        return Verdict::RefusedFuture;
    }
    match stored {
        None => Verdict::Applied,
        Some((as_of, _)) if as_of > latest_true => Verdict::AppliedOverCorrupt,
        Some((as_of, _)) if new.0 > as_of => Verdict::Applied,
        Some((as_of, Origin::Snapshot(_))) if new.0 == as_of && new.1 == Origin::Live => {
            Verdict::Applied
        }
        Some(_) => Verdict::RefusedOlder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stock::Generation;
    use proptest::prelude::*;

    const SNAP: Origin = Origin::Snapshot(Generation(7));

    fn at(ms: i64) -> AsOf {
        AsOf::from_unix_ms(1_800_000_000_000 + ms).unwrap()
    }

    #[test]
    fn the_write_rule_case_by_case() {
        let now = at(0);
        for (stored, new, expected) in [
            (None, (at(-9), SNAP), Verdict::Applied),
            (Some((at(-10), SNAP)), (at(-9), SNAP), Verdict::Applied),
            (
                Some((at(-9), SNAP)),
                (at(-10), Origin::Live),
                Verdict::RefusedOlder,
            ),
            (
                Some((at(-9), SNAP)),
                (at(-9), Origin::Live),
                Verdict::Applied,
            ),
            (
                Some((at(-9), Origin::Live)),
                (at(-9), SNAP),
                Verdict::RefusedOlder,
            ),
            (Some((at(-9), SNAP)), (at(-9), SNAP), Verdict::RefusedOlder),
            (
                Some((at(5_000), SNAP)),
                (at(-9), SNAP),
                Verdict::RefusedOlder,
            ),
            (
                Some((at(5_001), SNAP)),
                (at(-9), SNAP),
                Verdict::AppliedOverCorrupt,
            ),
            (None, (at(5_000), Origin::Live), Verdict::Applied),
            (None, (at(5_001), Origin::Live), Verdict::RefusedFuture),
            (
                Some((at(9_000), SNAP)),
                (at(8_000), Origin::Live),
                Verdict::RefusedFuture,
            ),
        ] {
            assert_eq!(decide(stored, new, now), expected, "{stored:?} {new:?}");
        }
    }

    #[test]
    fn only_the_fixed_form_is_read() {
        for text in [
            "2026-11-23T04:53:56Z",
            "2026-11-23 04:53:56.123Z",
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

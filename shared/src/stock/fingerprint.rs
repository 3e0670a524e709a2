//! Under which settings a line was read: its numbers mean nothing under others.

use crate::stock::as_of::AsOf;
use std::fmt;
use std::str::FromStr;

/// Stands for all settings that change what a stored line means. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

/// A text that is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has 16 hexadecimal digits")]
pub struct FingerprintError;

impl Fingerprint {
    /// From the first eight bytes of a digest.
    pub fn of_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(FingerprintError);
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .or(Err(FingerprintError))
    }
}

/// What a feed's record says about the settings it is read with: `<fingerprint>|<since>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedSettings {
    /// Their fingerprint; none where the record's text cannot be read, which no settings match.
    pub fingerprint: Option<Fingerprint>,
    /// Lines and snapshots of before were read with others. 1970 where there were no others.
    pub since: AsOf,
}

impl FeedSettings {
    /// Reads the record's text.
    pub fn read(text: &str) -> Self {
        let parts = text.split_once('|');
        let parsed = parts.and_then(|(fingerprint, since)| {
            Some((fingerprint.parse().ok()?, since.parse().ok()?))
        });
        match parsed {
            Some((fingerprint, since)) => Self {
                fingerprint: Some(fingerprint),
                since,
            },
            None => Self {
                fingerprint: None,
                since: AsOf::EPOCH,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_cannot_be_read_matches_no_settings() {
        let own = Fingerprint::of_bytes([0, 1, 2, 3, 4, 5, 6, 0xab]);
        assert_eq!(own.to_string(), "00010203040506ab");
        let read = FeedSettings::read("00010203040506ab|2026-11-23T04:53:56.123Z");
        assert_eq!(read.fingerprint, Some(own));
        assert_eq!(read.since.to_string(), "2026-11-23T04:53:56.123Z");
        for text in [
            "",
            "00010203040506ab",
            "00010203040506ab|",
            "+001020304050ab|1970-01-01T00:00:00.000Z",
        ] {
            assert_eq!(FeedSettings::read(text).fingerprint, None, "{text}");
        }
    }
}

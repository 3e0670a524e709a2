//! Credentials that were accepted a moment ago, found again without being checked anew.
//!
//! Kept is a digest keyed with a secret of this process, so that neither a memory dump nor a crafted
//! token tells or hits anything.

use super::caller::Caller;
use crate::process::clock::Clock;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use moka::sync::Cache;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Longest time something is remembered.
pub(super) const LONGEST: Duration = Duration::from_mins(1);
/// How old a password's note is before another call renews it.
const RENEWED_AFTER: Duration = Duration::from_secs(1);
/// Credentials remembered at once: some hundred bytes each.
const MOST: u64 = 10_000;

type Digest = [u8; 32];

#[derive(Clone)]
struct Entry {
    caller: Arc<Caller>,
    until: Duration,
    /// The keys it was verified with; none for passwords.
    generation: Option<u64>,
}

pub(super) struct Remembered {
    key: hmac::Key,
    entries: Cache<Digest, Entry>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remembered(***)")
    }
}

impl Remembered {
    /// Nothing yet; fails if the system has no randomness.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Result<Self, String> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_cause| "the system gives no random numbers".to_owned())?;
        let entries = Cache::builder()
            .max_capacity(MOST)
            .time_to_live(LONGEST)
            .build();
        Ok(Self {
            key,
            entries,
            clock,
        })
    }

    /// The caller these credentials were accepted for; `generation` is that of the present keys.
    pub(super) fn caller(
        &self,
        credentials: &[u8],
        generation: Option<u64>,
    ) -> Option<Arc<Caller>> {
        let entry = self.entries.get(&self.digest(credentials)?)?;
        let left = entry.until.checked_sub(self.clock.monotonic())?;
        let is_good = entry.generation.is_none_or(|of| generation == Some(of));
        if left.is_zero() || !is_good {
            return None;
        }
        // The users do not change while the process runs: who calls again within a minute need not
        // wait among strangers who try theirs. Not at each call: a moment ago is soon enough.
        if entry.generation.is_none() && left + RENEWED_AFTER < LONGEST {
            self.note(credentials, &entry.caller, LONGEST, None);
        }
        Some(entry.caller)
    }

    /// Remembers accepted credentials for this long, a minute at most.
    pub(super) fn note(
        &self,
        credentials: &[u8],
        caller: &Arc<Caller>,
        good_for: Duration,
        generation: Option<u64>,
    ) {
        let Some(digest) = self.digest(credentials) else {
            return;
        };
        let entry = Entry {
            caller: Arc::clone(caller),
            until: self.clock.monotonic() + good_for.min(LONGEST),
            generation,
        };
        self.entries.insert(digest, entry);
    }

    fn digest(&self, credentials: &[u8]) -> Option<Digest> {
        hmac::sign(&self.key, credentials).as_ref().try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::clock::ManualClock;
    use crate::stock::AsOf;

    #[test]
    fn what_was_accepted_is_known_until_it_ends_or_the_keys_change() {
        let clock = Arc::new(ManualClock::at(AsOf::EPOCH));
        let remembered = Remembered::new(clock.clone()).unwrap();
        let caller = Arc::new(Caller::everybody());
        remembered.note(b"short", &caller, Duration::from_secs(5), Some(1));
        remembered.note(b"long", &caller, Duration::from_hours(1), Some(1));
        remembered.note(b"password", &caller, Duration::MAX, None);
        assert!(remembered.caller(b"short", Some(1)).is_some());
        assert!(remembered.caller(b"short", Some(2)).is_none());
        assert!(remembered.caller(b"shor", Some(1)).is_none());
        clock.advance(Duration::from_secs(5));
        assert!(remembered.caller(b"short", Some(1)).is_none());
        assert!(remembered.caller(b"long", Some(1)).is_some());
        assert!(remembered.caller(b"password", Some(9)).is_some());
        clock.advance(Duration::from_secs(55));
        assert!(remembered.caller(b"long", Some(1)).is_none());
        assert!(remembered.caller(b"password", None).is_some());
        clock.advance(LONGEST);
        assert!(remembered.caller(b"password", None).is_none());
    }

    #[test]
    fn a_password_that_is_shown_every_fifty_seconds_stays_known() {
        let clock = Arc::new(ManualClock::at(AsOf::EPOCH));
        let remembered = Remembered::new(clock.clone()).unwrap();
        let caller = Arc::new(Caller::everybody());
        remembered.note(b"password", &caller, LONGEST, None);
        for seconds in [29, 50, 58] {
            clock.advance(Duration::from_secs(seconds));
            assert!(remembered.caller(b"password", None).is_some(), "{seconds}");
        }
    }
}

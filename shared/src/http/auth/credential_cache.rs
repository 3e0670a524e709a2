//! Credentials that were accepted a moment ago, found again without being checked anew.
//!
//! Kept is a digest keyed with a secret of this process: a memory dump shows no credentials, and a crafted
//! token meets none. A password is known for a minute after each use, since the users do not change while the
//! process runs: so one that is used does not wait for a check among others that are tried. A token is known
//! for a minute, not longer than it is good, and not after its issuer's keys have changed.

use super::caller::Caller;
use crate::process::clock::Clock;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use moka::sync::Cache;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const KNOWN_FOR: Duration = Duration::from_mins(1);
/// Credentials known at once: some hundred bytes each.
const MOST: u64 = 10_000;

type Digest = [u8; 32];

/// For how long a token's entry may be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfToken {
    pub(super) good_for: Duration,
    /// The number of the keys it was verified with.
    pub(super) generation: u64,
}

#[derive(Clone)]
struct Entry {
    caller: Arc<Caller>,
    /// Until when, and with which keys; none for passwords.
    token: Option<(Duration, u64)>,
}

pub(super) struct CredentialCache {
    key: hmac::Key,
    entries: Cache<Digest, Entry>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for CredentialCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialCache(***)")
    }
}

impl CredentialCache {
    /// Nothing yet; fails if the system has no randomness.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Result<Self, String> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_cause| "the system gives no random numbers".to_owned())?;
        let entries = Cache::builder()
            .max_capacity(MOST)
            .time_to_idle(KNOWN_FOR)
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
        let is_good = entry.token.is_none_or(|(until, verified_with)| {
            self.clock.monotonic() < until && generation == Some(verified_with)
        });
        is_good.then_some(entry.caller)
    }

    /// Notes accepted credentials; `token` is none for passwords.
    pub(super) fn note(&self, credentials: &[u8], caller: &Arc<Caller>, token: Option<OfToken>) {
        let Some(digest) = self.digest(credentials) else {
            return;
        };
        let token = token.map(|token| {
            let until = self.clock.monotonic() + token.good_for.min(KNOWN_FOR);
            (until, token.generation)
        });
        let caller = Arc::clone(caller);
        self.entries.insert(digest, Entry { caller, token });
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
    fn a_token_is_known_until_it_ends_or_the_keys_change() {
        let clock = Arc::new(ManualClock::at(AsOf::EPOCH));
        let cache = CredentialCache::new(clock.clone()).unwrap();
        let caller = Arc::new(Caller::everybody());
        let token = |seconds| {
            Some(OfToken {
                good_for: Duration::from_secs(seconds),
                generation: 1,
            })
        };
        cache.note(b"short", &caller, token(5));
        cache.note(b"long", &caller, token(3_600));
        cache.note(b"password", &caller, None);
        let known = |name: &str, generation| cache.caller(name.as_bytes(), generation).is_some();
        assert!(known("short", Some(1)) && !known("short", Some(2)) && !known("shor", Some(1)));
        clock.advance(Duration::from_secs(5));
        assert!(!known("short", Some(1)) && known("long", Some(1)) && !known("long", None));
        clock.advance(Duration::from_secs(55));
        assert!(!known("long", Some(1)));
        assert!(known("password", Some(9)) && known("password", None));
    }
}

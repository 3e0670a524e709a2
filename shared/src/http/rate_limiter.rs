//! How often one caller may do something: a bucket per caller that fills steadily and holds a burst.
//!
//! A bucket is one instant: when it will be full again. Each time moves it on by what one time costs;
//! if it lies further ahead than a burst, the caller is refused and nothing moves. (Own code: the number of
//! callers is bounded and a time can be given back, which `governor` knows neither of.)

use super::caller_key::CallerKey;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Callers that have a bucket of their own; those beyond share one.
const CALLERS: usize = 10_000;

/// The buckets of all callers.
#[derive(Debug)]
pub struct RateLimiter {
    /// What one time costs; nothing if there is no limit.
    cost: Option<Duration>,
    burst: Duration,
    full_at: Mutex<HashMap<CallerKey, Duration>>,
}

/// How long a refused caller should wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften(pub Duration);

impl RateLimiter {
    /// So many times a second in the long run, and so many at once after a rest. At 0 a second
    /// nothing is limited.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let cost = Duration::from_secs(1).checked_div(per_second);
        Self {
            cost,
            burst: cost.unwrap_or_default() * burst,
            full_at: Mutex::default(),
        }
    }

    /// Takes one time out of a caller's bucket at this reading of the monotonic clock.
    pub fn take(&self, caller: CallerKey, now: Duration) -> Result<(), TooOften> {
        let Some(cost) = self.cost else {
            return Ok(());
        };
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= CALLERS && !buckets.contains_key(&caller) {
            // A full bucket says nothing that a new one would not say.
            buckets.retain(|_, full_at| *full_at > now);
        }
        let caller = if buckets.len() >= CALLERS && !buckets.contains_key(&caller) {
            CallerKey::Nobody
        } else {
            caller
        };
        let full_at = buckets.entry(caller).or_insert(now);
        let next = (*full_at).max(now) + cost;
        let ahead = next.saturating_sub(now);
        if ahead > self.burst {
            return Err(TooOften(ahead.saturating_sub(self.burst)));
        }
        *full_at = next;
        Ok(())
    }

    /// Gives one time back that was taken.
    pub fn give_back(&self, caller: &CallerKey) {
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let own = if buckets.contains_key(caller) {
            caller
        } else {
            &CallerKey::Nobody
        };
        if let (Some(cost), Some(full_at)) = (self.cost, buckets.get_mut(own)) {
            *full_at = full_at.saturating_sub(cost);
        }
    }
}

#[cfg(test)]
mod tests;

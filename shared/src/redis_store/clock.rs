//! The clock all replicas share: Redis' `TIME`, sampled and carried on by the monotonic clock.

use super::connection::Link;
use super::error::StoreError;
use super::metrics;
use crate::process::clock::{Clock, SystemClock};
use crate::stock::AsOf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the clock is sampled; with the answer's way, no sample is older than a second.
const SAMPLE_EVERY: Duration = Duration::from_millis(800);
/// While Redis is away the clock carries on; this is how often it is asked again.
const RETRY_EVERY: Duration = Duration::from_millis(200);
const STEP_NS: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;

/// Redis' time.
///
/// The shared time is the local monotonic one plus an offset. Both are kept in nanoseconds and added
/// first: two numbers that were each cut to milliseconds differ by up to 1 ms too much.
#[derive(Debug)]
pub struct RedisClock {
    link: Link,
    local: SystemClock,
    /// Redis' time less the local monotonic time, in ns: at least this, by the latest sample.
    at_least_ns: AtomicI64,
    /// At most this. The two are as far apart as the sample was on its way.
    at_most_ns: AtomicI64,
    is_sampled: AtomicBool,
}

impl RedisClock {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            local: SystemClock::default(),
            at_least_ns: AtomicI64::new(0),
            at_most_ns: AtomicI64::new(0),
            is_sampled: AtomicBool::new(false),
        }
    }

    /// Samples until cancelled. Run it in the background.
    pub async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.sample().await {
                Ok(()) => SAMPLE_EVERY,
                Err(error) => {
                    tracing::debug!(%error, "the clock could not be sampled");
                    RETRY_EVERY
                }
            };
            let _ = tokio::time::timeout(pause, stop.cancelled()).await;
        }
    }

    pub async fn sample(&self) -> Result<(), StoreError> {
        let question = redis::pipe().cmd("TIME").clone();
        let asked = self.local.monotonic();
        let [(seconds, micros)] = self.link.ask::<[(i64, i64); 1]>(&question).await?;
        let answered = self.local.monotonic();
        let (at_least, at_most) = bounds_of(seconds * 1_000_000 + micros, asked, answered);
        self.at_most_ns.store(at_most, Ordering::Relaxed);
        let before = self.at_least_ns.swap(at_least, Ordering::Relaxed);
        let step = at_least - before;
        if self.is_sampled.swap(true, Ordering::Release) && step.abs() > STEP_NS {
            metrics::clock_stepped();
            tracing::warn!(
                step_ms = step / NS_PER_MS,
                "Redis' clock has jumped; it is followed"
            );
        }
        Ok(())
    }

    /// An instant Redis' own clock has not passed yet, by as little as is known. Nothing that began
    /// before now is stamped later than this, by whichever replica.
    pub fn not_before_now(&self) -> AsOf {
        if !self.is_shared() {
            // Cut downwards.
            return self.local.now().plus(Duration::from_millis(1));
        }
        latest(
            self.at_most_ns.load(Ordering::Relaxed),
            self.local.monotonic(),
        )
    }
}

/// What Redis' time less the local monotonic time is at least and at most, in ns, when Redis said
/// `redis_us` (cut to microseconds) at some moment between two local readings.
fn bounds_of(redis_us: i64, asked: Duration, answered: Duration) -> (i64, i64) {
    (
        redis_us * 1_000 - nanos(answered),
        (redis_us + 1) * 1_000 - nanos(asked),
    )
}

/// Redis' time is not before this instant. Cut downwards, so that a stamp is never ahead.
fn earliest(at_least_ns: i64, local: Duration) -> AsOf {
    let ns = nanos(local).saturating_add(at_least_ns);
    AsOf::from_unix_ms(ns.div_euclid(NS_PER_MS)).unwrap_or(AsOf::EPOCH)
}

/// Redis' time is not after this instant. Rounded upwards.
fn latest(at_most_ns: i64, local: Duration) -> AsOf {
    let ns = nanos(local).saturating_add(at_most_ns);
    AsOf::from_unix_ms(ns.saturating_add(NS_PER_MS - 1).div_euclid(NS_PER_MS))
        .unwrap_or(AsOf::EPOCH)
}

fn nanos(local: Duration) -> i64 {
    i64::try_from(local.as_nanos()).unwrap_or(i64::MAX)
}

impl Clock for RedisClock {
    fn now(&self) -> AsOf {
        if !self.is_shared() {
            return self.local.now();
        }
        earliest(
            self.at_least_ns.load(Ordering::Relaxed),
            self.local.monotonic(),
        )
    }

    fn is_shared(&self) -> bool {
        self.is_sampled.load(Ordering::Acquire)
    }

    fn monotonic(&self) -> Duration {
        self.local.monotonic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// All in ns, by the two machines' own readings: whatever the fractions, a stamp is not
        /// ahead of Redis and behind by at most the answer's way and 1 ms; the bound the other way.
        #[test]
        fn stamps_keep_their_bounds_whatever_the_fractions(
            redis_ns in 1_800_000_000_000_000_000_i64..1_800_000_000_100_000_000,
            asked_ns in 0_i64..10_000_000_000,
            there_ns in 0_i64..5_000_000,
            back_ns in 0_i64..5_000_000,
            since_ns in 0_i64..1_000_000_000,
        ) {
            let local = |ns: i64| Duration::from_nanos(ns.unsigned_abs());
            let answered_ns = asked_ns + there_ns + back_ns;
            let (at_least, at_most) =
                bounds_of(redis_ns / 1_000, local(asked_ns), local(answered_ns));
            let now = local(answered_ns + since_ns);
            let redis_now_ns = redis_ns + back_ns + since_ns;
            let ns = |instant: AsOf| instant.unix_ms() * NS_PER_MS;
            let behind = redis_now_ns - ns(earliest(at_least, now));
            prop_assert!((0..back_ns + NS_PER_MS + 1_000).contains(&behind), "{} ns behind", behind);
            let ahead = ns(latest(at_most, now)) - redis_now_ns;
            prop_assert!((0..=there_ns + NS_PER_MS + 1_000).contains(&ahead), "{} ns ahead", ahead);
        }
    }
}

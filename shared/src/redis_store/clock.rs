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
const STEP_MS: i64 = 1_000;
/// What cutting three instants to whole milliseconds may take.
const ROUNDED_MS: i64 = 3;

/// Redis' time.
#[derive(Debug)]
pub struct RedisClock {
    link: Link,
    local: SystemClock,
    /// Redis' time less the local monotonic time at the latest sample.
    offset_ms: AtomicI64,
    /// How far behind Redis' own clock this one may be: how long the latest sample was on its way.
    behind_ms: AtomicI64,
    is_sampled: AtomicBool,
}

impl RedisClock {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            local: SystemClock::default(),
            offset_ms: AtomicI64::new(0),
            behind_ms: AtomicI64::new(0),
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

    /// Takes one sample.
    pub async fn sample(&self) -> Result<(), StoreError> {
        let asked_ms = self.monotonic_ms();
        let question = redis::pipe().cmd("TIME").clone();
        let [(seconds, micros)] = self.link.ask::<[(i64, i64); 1]>(&question).await?;
        // Anchored at the answer's arrival: by then Redis' own clock has moved on, so this one may
        // be a little behind and is never ahead.
        let answered_ms = self.monotonic_ms();
        let offset = seconds * 1_000 + micros / 1_000 - answered_ms;
        self.behind_ms
            .store(answered_ms - asked_ms + ROUNDED_MS, Ordering::Relaxed);
        let before = self.offset_ms.swap(offset, Ordering::Relaxed);
        if self.is_sampled.swap(true, Ordering::Release) && (offset - before).abs() > STEP_MS {
            metrics::clock_stepped();
            tracing::warn!(
                step_ms = offset - before,
                "Redis' clock has jumped; it is followed"
            );
        }
        Ok(())
    }

    /// An instant Redis' own clock has not passed yet, by as little as is known. Nothing that began
    /// before now is stamped later than this, by whichever replica.
    pub fn not_before_now(&self) -> AsOf {
        let behind_ms = self.behind_ms.load(Ordering::Relaxed);
        self.now()
            .plus(Duration::from_millis(behind_ms.unsigned_abs()))
    }

    fn monotonic_ms(&self) -> i64 {
        i64::try_from(self.local.monotonic().as_millis()).unwrap_or(i64::MAX)
    }
}

impl Clock for RedisClock {
    fn now(&self) -> AsOf {
        if !self.is_shared() {
            return self.local.now();
        }
        let ms = self
            .monotonic_ms()
            .saturating_add(self.offset_ms.load(Ordering::Relaxed));
        AsOf::from_unix_ms(ms).unwrap_or(AsOf::EPOCH)
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
    use crate::redis_store::StockStore;
    use crate::redis_store::test_server::TestRedis;

    /// Redis' own clock is between the two.
    #[tokio::test]
    async fn it_is_never_ahead_and_its_bound_never_behind() {
        let redis = TestRedis::start().unwrap();
        let store = StockStore::open(&redis.settings().unwrap()).unwrap();
        let clock = store.clock();
        let client = redis::Client::open(redis.url()).unwrap();
        let mut other = client.get_multiplexed_async_connection().await.unwrap();
        for pause_ms in [0_u64, 40, 0] {
            redis::cmd("CLIENT")
                .arg("PAUSE")
                .arg(pause_ms)
                .arg("ALL")
                .exec_async(&mut other)
                .await
                .unwrap();
            clock.sample().await.unwrap();
            for _ in 0..50 {
                let ours = clock.now();
                let (seconds, micros): (i64, i64) =
                    redis::cmd("TIME").query_async(&mut other).await.unwrap();
                let theirs = AsOf::from_unix_ms(seconds * 1_000 + micros / 1_000).unwrap();
                let bound = clock.not_before_now();
                assert!(ours <= theirs, "{ours} is ahead of {theirs}");
                assert!(bound >= theirs, "{bound} is behind {theirs}");
            }
            let bound = clock.now().plus(Duration::from_millis(pause_ms + 250));
            assert!(
                clock.not_before_now() < bound,
                "known to little more than the way"
            );
        }
    }
}

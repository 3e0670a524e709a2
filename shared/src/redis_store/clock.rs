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

/// Redis' time.
#[derive(Debug)]
pub struct RedisClock {
    link: Link,
    local: SystemClock,
    /// Redis' time less the local monotonic time at the latest sample.
    offset_ms: AtomicI64,
    is_sampled: AtomicBool,
}

impl RedisClock {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            local: SystemClock::default(),
            offset_ms: AtomicI64::new(0),
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
        let mut connection = self.link.connection().await?;
        let answer = redis::cmd("TIME")
            .query_async::<(i64, i64)>(&mut connection)
            .await;
        let (seconds, micros) = self.link.judge(answer)?;
        // Anchored at the answer's arrival: by then Redis' own clock has moved on, so this one may
        // be a little behind and is never ahead.
        let offset = seconds * 1_000 + micros / 1_000 - self.monotonic_ms();
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

//! The end in stages: take nothing new, close the listeners, drop what is under way.
//!
//! SIGTERM comes while load balancers still send: what they send until they have noticed is answered,
//! for the time of `drain_delay`. SIGINT comes from a person at a terminal, who waits for nothing.

use super::tasks::Tasks;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

const SIGTERM: &str = "SIGTERM";

/// Tells everybody when to stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    closing: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// Nobody has to stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when no new work may be begun: the process is not ready any more, and connections
    /// are not kept.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when listeners close; until then requests are still answered.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Cancelled when work under way must be dropped.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Begins the end, without a delay before listeners close.
    pub fn begin(&self) {
        self.soft.cancel();
        self.closing.cancel();
    }

    /// Ends at once.
    pub fn force(&self) {
        self.begin();
        self.hard.cancel();
    }

    /// Begins the end; listeners close after this time, or sooner if [`begin`](Self::begin) says so.
    pub async fn begin_and_close_after(&self, delay: Duration) {
        self.soft.cancel();
        let _sooner = tokio::time::timeout(delay, self.closing.cancelled()).await;
        self.closing.cancel();
    }

    /// SIGTERM begins the end and closes listeners after `drain_delay`, SIGINT at once. A second
    /// signal of either kind drops what is under way.
    ///
    /// # Errors
    /// If the system lets no signal be watched.
    pub fn watch_signals(&self, tasks: &Tasks, drain_delay: Duration) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (shutdown, own) = (self.clone(), tasks.clone());
        // Not among the tasks: it waits through the drain, and the drain must not wait for it.
        let signals = async move {
            let first = next(&mut terminate, &mut interrupt).await;
            tracing::info!(signal = first, "stopping: nothing new is taken");
            let delay = if first == SIGTERM {
                drain_delay
            } else {
                Duration::ZERO
            };
            let closing = shutdown.clone();
            own.spawn_unawaited("closing", async move {
                closing.begin_and_close_after(delay).await;
            });
            let second = next(&mut terminate, &mut interrupt).await;
            tracing::warn!(signal = second, "second signal: work under way is dropped");
            shutdown.force();
        };
        tasks.spawn_unawaited("signals", signals);
        Ok(())
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => SIGTERM,
        _ = interrupt.recv() => "SIGINT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn listeners_close_after_the_delay_or_when_told_to() {
        let shutdown = Shutdown::new();
        let states = |shutdown: &Shutdown| {
            [shutdown.soft(), shutdown.closing(), shutdown.hard()]
                .map(CancellationToken::is_cancelled)
        };
        assert_eq!(states(&shutdown), [false; 3]);
        let tasks = Tasks::new();
        let delayed = shutdown.clone();
        tasks.spawn("delayed", async move {
            delayed.begin_and_close_after(Duration::from_secs(5)).await;
        });
        shutdown.soft().cancelled().await;
        tokio::time::sleep(Duration::from_millis(4_999)).await;
        assert_eq!(states(&shutdown), [true, false, false]);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(states(&shutdown), [true, true, false]);

        let forced = Shutdown::new();
        let waiting = forced.begin_and_close_after(Duration::from_hours(1));
        forced.begin();
        waiting.await;
        assert_eq!(states(&forced), [true, true, false]);
        forced.force();
        assert_eq!(states(&forced), [true; 3]);
    }
}

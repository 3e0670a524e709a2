//! The end in two stages: soft (take nothing new, finish what is under way), then hard.

use super::tasks::Tasks;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Tells everybody when to stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Shutdown {
    /// Nobody has to stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled when nothing new may be taken.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when work under way must be dropped.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    /// Begins the soft stage.
    pub fn begin(&self) {
        self.soft.cancel();
    }

    /// Ends the soft stage.
    pub fn force(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }

    /// SIGTERM or SIGINT begins the soft stage, a second one the hard stage.
    pub fn watch_signals(&self, tasks: &Tasks) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tasks.spawn("signals", async move {
            tokio::select! {
                name = next(&mut terminate, &mut interrupt) => {
                    tracing::info!(signal = name, "stopping: nothing new is taken");
                    shutdown.begin();
                }
                // The process is ending by itself; waiting for a signal would hold it up.
                () = shutdown.soft.cancelled() => {}
            }
        });
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        // Not among the tasks: it waits through the drain, and the drain must not wait for it.
        let second = async move {
            next(&mut terminate, &mut interrupt).await;
            let name = next(&mut terminate, &mut interrupt).await;
            tracing::warn!(signal = name, "second signal: work under way is dropped");
            shutdown.force();
        };
        tasks.spawn_unawaited("second signal", second);
        Ok(())
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

//! Background work with a name: a panic is logged, never lost.

use futures_util::FutureExt;
use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// The background work of a process.
///
/// It lives on the runtime these tasks were made on, from wherever it is begun: the threads of a web server
/// have runtimes of their own, and what lived there would die with the first thread that is drained.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    /// None if they were made outside of any runtime; then it is the beginner's.
    runtime: Option<Handle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    pub finished: bool,
    /// How many tasks still ran when time was up.
    pub still_running: usize,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// No work yet; the runtime is the caller's.
    pub fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            runtime: Handle::try_current().ok(),
        }
    }

    /// Runs `work` in the background. A panic ends this task only; it is logged and counted.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.begin(self.tracker.track_future(watched(name, work)));
    }

    /// The same, for work that the end does not wait for.
    pub fn spawn_unawaited(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        self.begin(watched(name, work));
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that watches for panics"
    )]
    fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        match &self.runtime {
            Some(runtime) => runtime.spawn(work),
            None => tokio::spawn(work),
        };
    }

    /// Takes nothing new and waits for what runs, at most this long.
    pub async fn close_and_wait(&self, limit: Duration) -> Drained {
        self.tracker.close();
        let finished = tokio::time::timeout(limit, self.tracker.wait())
            .await
            .is_ok();
        Drained {
            finished,
            still_running: self.tracker.len(),
        }
    }
}

async fn watched(name: &'static str, work: impl Future<Output = ()>) {
    if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
        ::metrics::counter!("process_task_panics_total", "task" => name).increment(1);
        tracing::error!(
            task = name,
            panic = message_of(&*panic),
            "a background task panicked"
        );
    }
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_own_task_only() {
        let tasks = Tasks::new();
        let (done, finished) = tokio::sync::oneshot::channel();
        tasks.spawn("breaks", async { panic!("on purpose") });
        tasks.spawn("works", async move { done.send(()).unwrap() });
        finished.await.unwrap();
        let drained = tasks.close_and_wait(Duration::from_secs(5)).await;
        assert_eq!(
            drained,
            Drained {
                finished: true,
                still_running: 0
            }
        );
    }

    #[tokio::test]
    async fn work_outlives_the_runtime_it_was_begun_on() {
        let tasks = Tasks::new();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let (done, finished) = tokio::sync::oneshot::channel();
        let begun = tasks.clone();
        std::thread::spawn(move || {
            let other = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            other.block_on(async {
                begun.spawn("outlives", async move {
                    wait.await.unwrap();
                    done.send(()).unwrap();
                });
            });
        })
        .join()
        .unwrap();
        go.send(()).unwrap();
        finished.await.unwrap();
    }

    #[tokio::test]
    async fn what_does_not_end_in_time_is_counted() {
        let tasks = Tasks::new();
        tasks.spawn("hangs", std::future::pending());
        let drained = tasks.close_and_wait(Duration::from_millis(10)).await;
        assert_eq!(
            drained,
            Drained {
                finished: false,
                still_running: 1
            }
        );
    }
}

//! `once`: every warehouse now, with progress, and a summary.

use crate::error::WorkerError;
use crate::ops::terminal::shown;
use crate::scheduler::poller::Poller;
use crate::scheduler::{plan, settings_change};
use crate::snapshot::progress::Progress;
use crate::worker::{TenantFeed, Worker};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use shared::process::clock::Clock as _;
use shared::process::shutdown::Shutdown;
use shared::redis_store::{PublishedTenant, StoreError};
use shared::settings::Settings;
use shared::stock::{Generation, WarehouseId};
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long nothing may happen to a warehouse before it is given up.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// Redis may be away this long before the reading is given up.
const REDIS_AWAY: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOG_FIRST: Duration = Duration::from_secs(2);
const LOG_EVERY: Duration = Duration::from_mins(1);
/// The bar of a warehouse that was read before.
const KNOWN_LENGTH: &str =
    "{spinner} {prefix:<20} [{bar:20}] {pos:>9}/{len} rows {rate:>14}  {elapsed}  {msg}";
/// That of one whose size is not known.
const FIRST_TIME: &str = "{spinner} {prefix:<20} {pos:>9} rows {rate:>14}  {elapsed}  {msg}";

struct Job<'a> {
    feed: &'a TenantFeed,
    warehouse: &'a WarehouseId,
    /// The cycle that was the last one before; a later one counts.
    before: Generation,
    /// Rows of its last complete snapshot: about what there is to read.
    usual_rows: Option<u64>,
    progress: Arc<Progress>,
    /// When something happened last, and the rows then.
    last_sign: (Duration, u64),
    shown: Shown,
    summary: Option<Summary>,
}

/// Bars where people look at the whole output, log lines elsewhere.
enum Shown {
    Bar(ProgressBar),
    /// When to log next; when it was logged last, and the rows then.
    Log {
        next: Duration,
        last: (Duration, u64),
    },
}

struct Summary {
    state: &'static str,
    rows: u64,
    took: Duration,
    reason: String,
}

/// Reads every warehouse of every tenant once. Other workers may help.
pub(crate) async fn once(settings: &Settings) -> Result<ExitCode, WorkerError> {
    let worker = Worker::build(settings, Shutdown::new())?;
    (worker.shutdown).watch_signals(&worker.tasks, Duration::ZERO)?;
    worker.clock().sample().await?;
    let clock = Arc::clone(worker.clock());
    let stop = worker.shutdown.soft().clone();
    worker
        .tasks
        .spawn("clock", async move { clock.run(stop).await });
    let is_watched = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
    let bars = is_watched.then(MultiProgress::new);
    let mut jobs = schedule(&worker, bars.as_ref()).await?;
    let begun = worker.clock().monotonic();
    let work = CancellationToken::new();
    for number in 0..worker.settings.parallel_shards {
        let poller = Poller::new(worker.clone(), number);
        worker.tasks.spawn("poller", poller.run_until(work.clone()));
    }
    let stop = worker.shutdown.soft();
    while jobs.iter().any(|job| job.summary.is_none()) {
        let _ = tokio::time::timeout(LOOK_EVERY, stop.cancelled()).await;
        for job in jobs.iter_mut().filter(|job| job.summary.is_none()) {
            job.look(&worker, begun).await;
        }
    }
    work.cancel();
    if let Some(bars) = bars {
        // A terminal that went away is nothing to fail for.
        let _ = bars.clear();
    }
    print(&jobs)?;
    worker.shutdown.begin();
    worker
        .tasks
        .close_and_wait(worker.settings.drain_timeout)
        .await;
    let mut summaries = jobs.iter().filter_map(|job| job.summary.as_ref());
    Ok(if summaries.all(|summary| summary.state == "complete") {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Publishes the configuration and makes every warehouse due.
async fn schedule<'a>(
    worker: &'a Worker,
    bars: Option<&MultiProgress>,
) -> Result<Vec<Job<'a>>, StoreError> {
    let now = worker.clock().monotonic();
    let mut jobs = Vec::new();
    for feed in worker.feeds.iter() {
        let (store, warehouses) = (&worker.store, &feed.settings.warehouses);
        worker.respell(feed).await;
        let before = store.snapshots(feed.id(), warehouses).await?;
        settings_change::settle(worker, feed, &before).await?;
        store.publish(&PublishedTenant::of(&feed.settings)).await?;
        store
            .ensure_scheduled(feed.id(), &plan::shards_of(&feed.settings))
            .await?;
        for (warehouse, record) in warehouses.iter().zip(before) {
            store.make_due(feed.id(), warehouse.key()).await?;
            let usual_rows = record.recent_rows.first().copied();
            let log = Shown::Log {
                next: now + LOG_FIRST,
                last: (now, 0),
            };
            let name = format!("{}/{warehouse}", feed.id());
            jobs.push(Job {
                feed,
                warehouse,
                before: record.generation,
                usual_rows,
                progress: worker.progress_of(feed, warehouse),
                last_sign: (now, 0),
                shown: bars.map_or(log, |bars| Shown::Bar(bars.add(bar(name, usual_rows)))),
                summary: None,
            });
        }
    }
    jobs.sort_by_key(|job| (job.feed.id().to_string(), job.warehouse.to_string()));
    Ok(jobs)
}

fn bar(name: String, usual_rows: Option<u64>) -> ProgressBar {
    let (template, bar) = match usual_rows {
        Some(rows) => (KNOWN_LENGTH, ProgressBar::new(rows)),
        None => (FIRST_TIME, ProgressBar::no_length()),
    };
    bar.set_prefix(name);
    // Whole rows: the library's own form shows fourteen decimals.
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        let _ = write!(out, "{:.0} rows/s", state.per_sec());
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("rate", rate));
    }
    bar
}

impl Job<'_> {
    /// Looks whether a cycle of the warehouse has ended that began after the call.
    async fn look(&mut self, worker: &Worker, begun: Duration) {
        let own = std::slice::from_ref(self.warehouse);
        let records = worker.store.snapshots(self.feed.id(), own).await;
        let (now, rows) = (worker.clock().monotonic(), self.progress.rows());
        let quiet_for = now.saturating_sub(self.last_sign.0);
        let mut failed = None;
        match records {
            Ok(mut records) => {
                let record = records.pop().unwrap_or_default();
                if record.sealed > self.before {
                    let reason = record.reason.unwrap_or_default();
                    let state = record.standing.state.as_str();
                    self.end(state, record.rows, reason, now.saturating_sub(begun));
                    return;
                }
                if rows > self.last_sign.1 || record.generation > self.before {
                    self.last_sign = (now, rows);
                }
            }
            Err(error) if quiet_for > REDIS_AWAY => failed = Some(error.to_string()),
            Err(_away) => {}
        }
        if worker.shutdown.soft().is_cancelled() {
            failed = Some("stopped".to_owned());
        } else if quiet_for > LONGEST_WAIT {
            failed = Some("no cycle began; does another worker hold it?".to_owned());
        }
        self.show(now);
        if let Some(reason) = failed {
            self.end("not read", rows, reason, now.saturating_sub(begun));
        }
    }

    fn end(&mut self, state: &'static str, rows: u64, reason: String, took: Duration) {
        if let Shown::Bar(bar) = &self.shown {
            bar.set_position(rows);
            bar.finish();
        }
        self.summary = Some(Summary {
            state,
            rows,
            took,
            reason,
        });
    }

    fn show(&mut self, now: Duration) {
        let (rows, progress) = (self.progress.rows(), &self.progress);
        match &mut self.shown {
            Shown::Bar(bar) => {
                bar.set_position(rows);
                bar.set_message(format!("{} lines written", progress.lines()));
            }
            Shown::Log { next, last } if now >= *next => {
                let millis = now.saturating_sub(last.0).as_millis().max(1);
                let since_last = u128::from(rows.saturating_sub(last.1));
                let rows_per_second = u64::try_from(since_last * 1_000 / millis);
                tracing::info!(
                    warehouse = format!("{}/{}", self.feed.id(), self.warehouse),
                    rows,
                    usual_rows = self.usual_rows,
                    pages = progress.pages(),
                    rows_per_second = rows_per_second.unwrap_or(u64::MAX),
                    "reading"
                );
                (*next, *last) = (now + LOG_EVERY, (now, rows));
            }
            Shown::Log { .. } => {}
        }
    }
}

fn print(jobs: &[Job<'_>]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<16} {:<12} {:<12} {:>10} {:>9}  reason",
        "tenant", "warehouse", "state", "rows", "seconds"
    )?;
    for job in jobs {
        if let Some(summary) = &job.summary {
            writeln!(
                out,
                "{:<16} {:<12} {:<12} {:>10} {:>9.1}  {}",
                job.feed.id().as_str(),
                job.warehouse.as_str(),
                summary.state,
                summary.rows,
                summary.took.as_secs_f64(),
                shown(&summary.reason)
            )?;
        }
    }
    Ok(())
}

//! `once`: every warehouse now, with progress, and a summary.

use crate::error::WorkerError;
use crate::ops::terminal::shown;
use crate::scheduler::plan;
use crate::scheduler::poller::Poller;
use crate::scheduler::settings_change;
use crate::snapshot::progress::Progress;
use crate::worker::{TenantFeed, Worker};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use shared::process::clock::Clock as _;
use shared::process::shutdown::Shutdown;
use shared::redis_store::{PublishedTenant, StoreError};
use shared::settings::Settings;
use shared::stock::{Generation, WarehouseId, WarehouseSnapshot};
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long nothing may happen to a warehouse before it is given up.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// Redis may be away this long before the reading is given up.
const REDIS_AWAY: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(100);
const TELL_FIRST: Duration = Duration::from_secs(2);
const TELL_EVERY: Duration = Duration::from_mins(1);
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// The bar of a warehouse that was read before.
const KNOWN_LENGTH: &str =
    "{spinner} {prefix:<20} [{bar:20}] {pos:>9}/{len} rows {rate:>14}  {elapsed}  {msg}";
/// That of one nobody knows the size of.
const FIRST_TIME: &str = "{spinner} {prefix:<20} {pos:>9} rows {rate:>14}  {elapsed}  {msg}";

/// One warehouse's line of the summary.
struct Summary {
    tenant: String,
    warehouse: String,
    state: &'static str,
    rows: u64,
    took: Duration,
    reason: String,
}

impl Summary {
    fn is_complete(&self) -> bool {
        self.state == "complete"
    }
}

/// One warehouse that is to be read.
struct Job<'a> {
    feed: &'a TenantFeed,
    warehouse: &'a WarehouseId,
    /// The cycle that was the last one before; a later one counts.
    before: Generation,
    /// Rows of its last complete snapshot: about what there is to read.
    usual_rows: Option<u64>,
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
    let jobs = schedule(&worker).await?;
    let begun = worker.clock().monotonic();
    let work = CancellationToken::new();
    for number in 0..worker.settings.parallel_shards {
        let poller = Poller::new(worker.clone(), number);
        worker.tasks.spawn("poller", poller.run_until(work.clone()));
    }
    let screen = Screen::new();
    let waits = jobs
        .iter()
        .map(|job| one_warehouse(&worker, job, begun, &screen));
    let mut summaries = futures_util::future::join_all(waits).await;
    work.cancel();
    screen.clear();
    summaries.sort_by(|a, b| (&a.tenant, &a.warehouse).cmp(&(&b.tenant, &b.warehouse)));
    print(&summaries)?;
    worker.shutdown.begin();
    worker
        .tasks
        .close_and_wait(worker.settings.drain_timeout)
        .await;
    let all_complete = summaries.iter().all(Summary::is_complete);
    Ok(if all_complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Publishes the configuration and makes every warehouse due.
async fn schedule(worker: &Worker) -> Result<Vec<Job<'_>>, StoreError> {
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
            jobs.push(Job {
                feed,
                warehouse,
                before: record.generation,
                usual_rows: record.recent_rows.first().copied(),
            });
        }
    }
    Ok(jobs)
}

/// Waits until a cycle of the warehouse has ended that began after the call.
async fn one_warehouse(
    worker: &Worker,
    job: &Job<'_>,
    begun: Duration,
    screen: &Screen,
) -> Summary {
    let Job {
        feed, warehouse, ..
    } = job;
    let progress = worker.progress_of(feed, warehouse);
    let over = CancellationToken::new();
    let name = format!("{}/{warehouse}", feed.id());
    let waiting = async {
        let ended = ended_cycle(worker, job, &progress).await;
        over.cancel();
        ended
    };
    let (ended, ()) = futures_util::join!(
        waiting,
        screen.show(&name, worker, job.usual_rows, &progress, &over)
    );
    let (state, rows, reason) = match ended {
        Ok(record) => (
            record.standing.state.as_str(),
            record.rows,
            record.reason.unwrap_or_default(),
        ),
        Err(reason) => ("not read", progress.rows(), reason),
    };
    Summary {
        tenant: feed.id().to_string(),
        warehouse: warehouse.to_string(),
        state,
        rows,
        took: worker.clock().monotonic().saturating_sub(begun),
        reason,
    }
}

async fn ended_cycle(
    worker: &Worker,
    job: &Job<'_>,
    progress: &Progress,
) -> Result<WarehouseSnapshot, String> {
    let stop = worker.shutdown.soft();
    let mut last_sign = (worker.clock().monotonic(), 0);
    loop {
        let records = worker
            .store
            .snapshots(job.feed.id(), std::slice::from_ref(job.warehouse))
            .await;
        let now = worker.clock().monotonic();
        match records {
            Ok(mut records) => {
                let record = records.pop().unwrap_or_default();
                if record.sealed > job.before {
                    return Ok(record);
                }
                if progress.rows() > last_sign.1 || record.generation > job.before {
                    last_sign = (now, progress.rows());
                }
            }
            Err(error) if now.saturating_sub(last_sign.0) > REDIS_AWAY => {
                return Err(error.to_string());
            }
            Err(_away) => {}
        }
        if stop.is_cancelled() {
            return Err("stopped".to_owned());
        }
        if now.saturating_sub(last_sign.0) > LONGEST_WAIT {
            return Err("no cycle began; does another worker hold it?".to_owned());
        }
        let _ = tokio::time::timeout(ASK_AGAIN, stop.cancelled()).await;
    }
}

fn print(summaries: &[Summary]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:<16} {:<12} {:<12} {:>10} {:>9}  reason",
        "tenant", "warehouse", "state", "rows", "seconds"
    )?;
    for summary in summaries {
        writeln!(
            out,
            "{:<16} {:<12} {:<12} {:>10} {:>9.1}  {}",
            summary.tenant,
            summary.warehouse,
            summary.state,
            summary.rows,
            summary.took.as_secs_f64(),
            shown(&summary.reason)
        )?;
    }
    Ok(())
}

/// Whole rows: the library's own form shows fourteen decimals.
fn rows_per_second(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // A terminal that takes no text is nothing to fail for.
    let _ = write!(out, "{:.0} rows/s", state.per_sec());
}

/// Bars where people look at the whole output, log lines elsewhere.
struct Screen {
    bars: Option<MultiProgress>,
}

impl Screen {
    fn new() -> Self {
        let is_watched = std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
        let bars = is_watched.then(MultiProgress::new);
        Self { bars }
    }

    fn clear(&self) {
        if let Some(bars) = &self.bars {
            // A terminal that went away is nothing to fail for.
            let _ = bars.clear();
        }
    }

    async fn show(
        &self,
        name: &str,
        worker: &Worker,
        usual_rows: Option<u64>,
        progress: &Progress,
        over: &CancellationToken,
    ) {
        let bar = self.bars.as_ref().map(|bars| {
            let (template, bar) = match usual_rows {
                Some(rows) => (KNOWN_LENGTH, ProgressBar::new(rows)),
                None => (FIRST_TIME, ProgressBar::no_length()),
            };
            let style = ProgressStyle::with_template(template);
            let bar = bars.add(bar);
            bar.set_prefix(name.to_owned());
            if let Ok(style) = style {
                bar.set_style(style.with_key("rate", rows_per_second));
            }
            bar
        });
        let mut every = if bar.is_some() {
            DRAW_EVERY
        } else {
            TELL_FIRST
        };
        let mut before = (worker.clock().monotonic(), 0);
        while tokio::time::timeout(every, over.cancelled()).await.is_err() {
            if let Some(bar) = &bar {
                bar.set_position(progress.rows());
                bar.set_message(format!("{} lines written", progress.lines()));
                continue;
            }
            let now = (worker.clock().monotonic(), progress.rows());
            let millis = now.0.saturating_sub(before.0).as_millis().max(1);
            let rows_per_second =
                u64::try_from(u128::from(now.1 - before.1) * 1_000 / millis).unwrap_or(u64::MAX);
            every = TELL_EVERY;
            tracing::info!(
                warehouse = name,
                rows = now.1,
                usual_rows,
                pages = progress.pages(),
                rows_per_second,
                "reading"
            );
            before = now;
        }
        if let Some(bar) = &bar {
            bar.set_position(progress.rows());
            bar.finish();
        }
    }
}

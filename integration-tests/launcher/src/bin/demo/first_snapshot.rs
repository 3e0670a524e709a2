//! Shows how the first snapshot of every warehouse comes in, as Redis tells it.

use crate::console;
use crate::error::DemoError;
use crate::house::{House, TENANT, View};
use indicatif::{ProgressBar, ProgressStyle};
use launcher::stopwatch::Stopwatch;
use redis::aio::MultiplexedConnection;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Far above what a small machine needs for the largest world.
const COMPLETE_WITHIN: Duration = Duration::from_mins(10);

const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Where nobody watches, a line is written only this often.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// How far the snapshots are.
#[derive(Debug, Default)]
struct Progress {
    rows: u64,
    /// Warehouses with a complete snapshot, and its rows.
    complete: Vec<(String, u64)>,
    /// Warehouses whose cycle ended without one, and why.
    failed: Vec<String>,
}

/// Waits for all warehouses, showing rows and rows/s.
pub(crate) async fn show(house: &mut House, view: &View) -> Result<(), DemoError> {
    console::headline("The first snapshot");
    let stopwatch = Stopwatch::start();
    let mut display = Display::new(view);
    loop {
        house.check_running()?;
        let progress = look(view).await?;
        let took = stopwatch.elapsed();
        display.update(&progress, took);
        if progress.complete.len() == view.warehouses.len() {
            display.finish(&progress, took);
            return Ok(());
        }
        if took > COMPLETE_WITHIN {
            return Err(DemoError::NoSnapshot {
                seconds: took.as_secs(),
                state: format!(
                    "{} of {} warehouses complete; {}",
                    progress.complete.len(),
                    view.warehouses.len(),
                    progress.failed.join(", ")
                ),
            });
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

async fn look(view: &View) -> Result<Progress, DemoError> {
    let mut progress = Progress::default();
    let mut redis = view.redis.clone();
    for warehouse in &view.warehouses {
        let name = &warehouse.id;
        let record = read(view, &mut redis, "snapshot", name).await?;
        if record.contains_key("watermark") {
            let rows = number(&record, "rows");
            progress.rows += rows;
            progress.complete.push((name.clone(), rows));
            continue;
        }
        if let Some(reason) = record.get("reason").filter(|reason| !reason.is_empty()) {
            progress.failed.push(format!("{name}: {reason}"));
        }
        let shard = read(view, &mut redis, "shard", name).await?;
        progress.rows += number(&shard, "rows");
    }
    Ok(progress)
}

async fn read(
    view: &View,
    redis: &mut MultiplexedConnection,
    kind: &str,
    warehouse: &str,
) -> Result<HashMap<String, String>, DemoError> {
    let key = format!("{}{TENANT}:{kind}:{warehouse}", view.key_prefix);
    Ok(redis::cmd("HGETALL").arg(key).query_async(redis).await?)
}

fn number(record: &HashMap<String, String>, field: &str) -> u64 {
    record
        .get(field)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// A bar where somebody watches, lines elsewhere.
struct Display {
    bar: Option<ProgressBar>,
    all_rows: u64,
    warehouses: usize,
    told: HashSet<String>,
    last_line: Duration,
}

impl Display {
    fn new(view: &View) -> Self {
        let all_rows = view.warehouses.iter().map(|warehouse| warehouse.rows).sum();
        let bar = console::is_watched().then(|| {
            let bar = ProgressBar::new(all_rows);
            let style =
                ProgressStyle::with_template("{wide_bar} {human_pos} of {human_len} rows, {msg}");
            // The default look says less, but says it too.
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            bar,
            all_rows,
            warehouses: view.warehouses.len(),
            told: HashSet::new(),
            last_line: Duration::ZERO,
        }
    }

    fn update(&mut self, progress: &Progress, took: Duration) {
        for (warehouse, rows) in &progress.complete {
            if !self.told.insert(warehouse.clone()) {
                continue;
            }
            self.line(&format!(
                "warehouse {warehouse:<4} complete: {} rows",
                console::count(rows)
            ));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(progress.rows);
            let done = format!(
                "{} rows/s, {} of {} warehouses",
                per_second(progress.rows, took),
                progress.complete.len(),
                self.warehouses
            );
            bar.set_message(done);
        } else if took >= self.last_line + BETWEEN_LINES {
            self.last_line = took;
            console::say(&format!(
                "{:>4.1} s  {} of {} rows, {} rows/s, {} of {} warehouses complete",
                took.as_secs_f64(),
                console::count(progress.rows),
                console::count(self.all_rows),
                per_second(progress.rows, took),
                progress.complete.len(),
                self.warehouses
            ));
        }
    }

    fn finish(&self, progress: &Progress, took: Duration) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        console::say(&format!(
            "{} rows in {:.1} s, {} rows/s",
            console::count(progress.rows),
            took.as_secs_f64(),
            per_second(progress.rows, took)
        ));
    }

    /// A line that stays, above the bar if there is one.
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => console::say(text),
        }
    }
}

fn per_second(rows: u64, took: Duration) -> String {
    let milliseconds = took.as_millis().max(1);
    console::count(u128::from(rows) * 1000 / milliseconds)
}

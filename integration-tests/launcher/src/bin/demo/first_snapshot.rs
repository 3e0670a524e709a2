//! Shows how the first snapshot of every warehouse comes in, as Redis tells it.

use crate::Failure;
use crate::console::{count, headline, say};
use crate::programs::{Programs, TENANT, View};
use launcher::stopwatch::Stopwatch;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Far above what a small machine needs for the largest world.
const COMPLETE_WITHIN: Duration = Duration::from_mins(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// Waits for all warehouses, showing rows and rows/s.
pub(crate) async fn show(programs: &mut Programs, view: &View) -> Result<(), Failure> {
    headline("The first snapshot");
    let all_rows: u64 = view.warehouses.iter().map(|warehouse| warehouse.rows).sum();
    let stopwatch = Stopwatch::start();
    let mut complete = HashSet::new();
    let mut last_line = Duration::ZERO;
    loop {
        programs.check_running()?;
        let (mut all_read, mut failed) = (0, Vec::new());
        for warehouse in &view.warehouses {
            let id = &warehouse.id;
            let feed = record(view, "snapshot", id).await?;
            if feed.contains_key("watermark") {
                let rows = number(&feed, "rows");
                all_read += rows;
                if complete.insert(id) {
                    say(&format!("warehouse {id:<4} complete: {} rows", count(rows)));
                }
                continue;
            }
            if let Some(reason) = feed.get("reason").filter(|reason| !reason.is_empty()) {
                failed.push(format!("{id}: {reason}"));
            }
            all_read += number(&record(view, "shard", id).await?, "rows");
        }
        let took = stopwatch.elapsed();
        let per_second = count(u128::from(all_read) * 1_000 / took.as_millis().max(1));
        let (read, seconds) = (count(all_read), took.as_secs_f64());
        if complete.len() == view.warehouses.len() {
            say(&format!(
                "{read} rows in {seconds:.1} s, {per_second} rows/s"
            ));
            return Ok(());
        }
        let of_warehouses = format!(
            "{} of {} warehouses complete",
            complete.len(),
            view.warehouses.len()
        );
        if took > COMPLETE_WITHIN {
            return Err(format!(
                "{of_warehouses} after {seconds:.0} s; {}",
                failed.join(", ")
            )
            .into());
        }
        if took >= last_line + BETWEEN_LINES {
            last_line = took;
            say(&format!(
                "{seconds:>4.1} s  {read} of {} rows, {per_second} rows/s, {of_warehouses}",
                count(all_rows),
            ));
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

type Record = HashMap<String, String>;

async fn record(view: &View, kind: &str, warehouse: &str) -> redis::RedisResult<Record> {
    let key = format!("{}{TENANT}:{kind}:{warehouse}", view.key_prefix);
    let mut redis = view.redis.clone();
    redis::cmd("HGETALL").arg(key).query_async(&mut redis).await
}

fn number(record: &Record, field: &str) -> u64 {
    let text = record.get(field);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

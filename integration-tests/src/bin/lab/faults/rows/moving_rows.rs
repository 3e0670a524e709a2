//! Rows that move, straddle pages, vanish and come back late.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, number};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, StockChange, StockKey, UtcMillis};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::Service;
use integration_tests::redis_fixture::RedisFixture;
use std::collections::BTreeSet;
use std::time::Duration;

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// Items that vanish while a page that shows them is on its way.
const VANISHING: usize = 10;
/// How late that page is: long enough to look, and less than a lease.
const LATE_BY_MS: u64 = 8_000;
/// Complete cycles after which what has vanished is absent.
const MOST_CYCLES: usize = 2;

pub(super) async fn rows_move(mut rig: Rig) -> Result<Outcome, RowError> {
    let is_offset = rig.guard.take().is_some();
    rig.scale.interval = Duration::from_hours(1);
    let mut d365 = rig.world();
    d365.load.base_ms = 100;
    d365.page_size = rig.scale.items / 25;
    let settings = format!("page_size = {}", d365.page_size);
    let redis = RedisFixture::start_process().await?;
    let stage = rig.stage_with(redis, d365, &settings, |config| {
        if is_offset {
            config.paging = Some("next-link".to_owned());
        }
    })?;
    let there_all_the_time: BTreeSet<String> = stage.items("24")?.into_iter().collect();
    let mut worker = stage.worker("worker").await?;
    // Items that sort before all others come and go: every place behind them moves.
    let simulator = stage.d365();
    let mut moved = 0_u64;
    let moving = async {
        loop {
            for round in 0..50 {
                let key = StockKey::of("usmf", &format!("!{:06}", moved % 500), "24");
                let outcome = if round < 40 {
                    simulator.put_stock(&key, &StockChange::on_hand("1"))
                } else {
                    simulator.delete_stock(&key)
                };
                moved += u64::from(outcome.is_ok());
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    };
    tokio::select! {
        complete = stage.cycles_ended(1, Duration::from_mins(5)) => complete?,
        () = moving => {}
    }
    let mut missed = 0_u64;
    for item in &there_all_the_time {
        let line = stage
            .redis(&["HGET", &format!("inv:contoso:stock:{item}"), "24"])
            .await?;
        missed += u64::from(line.is_empty());
    }
    let after_one = missed;
    // The next cycle, over rows that stand still, must heal what was missed, and make nothing absent.
    stage.redis(&["ZADD", "inv:contoso:due", "0", "24"]).await?;
    stage
        .within(Duration::from_mins(5), "the next cycle", async || {
            let feed = stage.feed("24").await.ok()?;
            (feed.get("sealed")? != "1").then_some(())
        })
        .await?;
    let (mut api_service, api) = stage.api().await?;
    let items: Vec<String> = there_all_the_time.iter().cloned().collect();
    let told = stage.told(&api, "24", &items).await?;
    let still_missed = told.iter().filter(|line| line.state != "PRESENT").count();
    let mut outcome = Outcome::default();
    #[expect(clippy::cast_precision_loss, reason = "a share of counts")]
    let share = after_one as f64 / there_all_the_time.len() as f64 * 100.0;
    outcome.at_most("rows missed", share, 0.01, " %");
    outcome.none("still missed after the next cycle", still_missed as u64);
    outcome.happened("rows moved while paging", moved);
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

pub(super) async fn straddling_items(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_hours(1);
    rig.scale.items = rig.scale.items.min(2_000);
    // A page of eleven rows ends within most items that have several.
    let stage = rig
        .stage(rig.world(), "page_size = 11\nparallel_shards = 4")
        .await?;
    let rows = stage.d365().truth("usmf", Some("24"), None)?;
    let several = rows
        .windows(2)
        .filter(|pair| pair[0].item == pair[1].item)
        .count();
    let mut worker = stage.worker("worker").await?;
    stage.snapshots_since(0, Duration::from_mins(5)).await?;
    let (mut api_service, api) = stage.api().await?;
    let told = stage.told(&api, "24", &stage.items("24")?).await?;
    let verdict = stage.judge(&told, 500);
    let mut outcome = Outcome::default();
    outcome.none("half sums", verdict.lies);
    outcome.none("false zeros", verdict.false_absences);
    outcome.happened("rows beside another of their item", several as u64);
    outcome.happened("pages", stage.pages_since(0).len() as u64);
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

/// Takes items out of warehouse 24.
fn vanish(stage: &Stage, items: &[String]) -> Result<i64, RowError> {
    for row in stage.d365().truth("usmf", Some("24"), None)? {
        if items.contains(&row.item) {
            let mut key = StockKey::of("usmf", &row.item, "24");
            key.color = row.color;
            key.configuration = row.configuration;
            key.size = row.size;
            key.style = row.style;
            key.version = row.version;
            stage.d365().delete_stock(&key)?;
        }
    }
    Ok(stage.now())
}

/// Counts complete cycles of warehouse 24 that began after an instant, for as long as it is asked.
#[derive(Debug)]
struct CompleteCycles {
    began_after: i64,
    generations: BTreeSet<String>,
}

impl CompleteCycles {
    fn since(began_after: i64) -> Self {
        Self {
            began_after,
            generations: BTreeSet::new(),
        }
    }

    async fn count(&mut self, stage: &Stage) -> Result<usize, RowError> {
        let feed = stage.feed("24").await?;
        let is_complete = feed.get("sealed_state").is_some_and(|is| is == "complete");
        let began = feed.get("sealed_started").map(String::as_str);
        let began = began.and_then(UtcMillis::parse).map(UtcMillis::unix_millis);
        if is_complete && began.is_some_and(|began| began > self.began_after) {
            self.generations.extend(feed.get("sealed").cloned());
        }
        Ok(self.generations.len())
    }
}

/// Takes items out, and asks until they are told absent: after how many complete cycles that was, and
/// how many milliseconds.
async fn absent_after(
    stage: &Stage,
    api: &ApiClient,
    items: &[String],
) -> Result<(usize, i64), RowError> {
    let gone = vanish(stage, items)?;
    let mut cycles = CompleteCycles::since(gone);
    let count = stage
        .within(Duration::from_mins(2), "absence", async || {
            // Counted first: a cycle that ends before the reply comes is not held against it.
            let count = cycles.count(stage).await.ok()?;
            let told = stage.told(api, "24", items).await.ok()?;
            if told.iter().all(|line| line.state == "ABSENT") {
                return Some(count);
            }
            (count >= MOST_CYCLES).then_some(count + 1)
        })
        .await?;
    Ok((count, stage.now() - gone))
}

/// What was told about items that had vanished when a page from before showed them.
#[derive(Debug, Default)]
struct LatePage {
    resurrected: u64,
    looks: u64,
    /// Lines of the worker that Redis refused as older than what is known.
    refused: f64,
}

/// Items vanish while a page with them is on its way, and D365 says live that they are gone. The
/// worker keeps its lease, so that it does offer the page to Redis.
async fn told_beside_late_page(
    stage: &Stage,
    api: &ApiClient,
    worker: &Service,
    items: &[String],
) -> Result<LatePage, RowError> {
    let refused = || stage.metric(worker, "store_lines_total", "refused_older");
    let refused_before = refused().await?;
    let before = stage.last_request();
    let slow = Action::Delay {
        ms: LATE_BY_MS,
        at: DelayPoint::AfterRead,
    };
    let fault = FaultSpec::on(Kind::Page, slow).warehouse("24").times(1);
    stage.d365().add_fault(fault);
    let slow_page = || {
        let pages = stage.pages_since(before);
        pages.into_iter().find(|page| page.faults > 0)
    };
    // It has a status once its rows have been read.
    stage
        .within(Duration::from_secs(30), "the slow page", async || {
            slow_page().and_then(|page| page.status)
        })
        .await?;
    let cycle = number(&stage.feed("24").await?, "generation");
    vanish(stage, items)?;
    let skus: Vec<&str> = items.iter().map(String::as_str).collect();
    let are_absent = async || {
        let told = stage.told(api, "24", items).await?;
        Ok::<bool, RowError>(told.iter().all(|line| line.state == "ABSENT"))
    };
    stage
        .within(Duration::from_secs(5), "live absence", async || {
            drop(api.exact("24", &skus).await);
            are_absent().await.ok()?.then_some(())
        })
        .await?;
    if slow_page().is_none_or(|page| page.answered.is_some()) {
        return Err("the late page was not late".into());
    }
    let mut seen = LatePage::default();
    // Until its cycle has ended, and with it all that was to be written.
    loop {
        let has_ended = number(&stage.feed("24").await?, "sealed") >= cycle;
        seen.looks += 1;
        seen.resurrected += u64::from(!are_absent().await?);
        if has_ended {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    seen.refused = refused().await? - refused_before;
    Ok(seen)
}

pub(super) async fn late_page(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_secs(4);
    rig.scale.items = rig.scale.items.min(2_000);
    // One page holds the warehouse. What is asked for is not read again in between: absence is to
    // be proved by snapshots alone, and by the live answers of this row.
    let settings = format!("page_size = {}\ndemand_share = 0", rig.scale.items * 2);
    let stage = rig.stage(rig.world(), &settings).await?;
    let mut worker = stage.worker("worker").await?;
    stage.snapshots_since(0, Duration::from_mins(2)).await?;
    let (mut api_service, api) = stage.api().await?;
    let items = stage.items("24")?;
    let (vanishing, others) = items.split_at(VANISHING);
    let late = told_beside_late_page(&stage, &api, &worker, vanishing).await?;
    stage.d365().clear_faults();
    let (cycles, ms) = absent_after(&stage, &api, &others[..1]).await?;
    // Whatever was read since must not bring anything back.
    stage.cycles_ended(1, rig.scale.two_cycles()).await?;
    let told = stage.told(&api, "24", &items[..=VANISHING]).await?;
    let back = told.iter().filter(|line| line.state != "ABSENT").count();
    let mut outcome = Outcome::default();
    let resurrected = late.resurrected + back as u64;
    outcome.none("resurrections", resurrected);
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    let (cycles, most) = (cycles as f64, MOST_CYCLES as f64);
    outcome.at_most("absent after complete cycles", cycles, most, "");
    outcome.happened("looks beside the late page", late.looks);
    outcome.happened("ms until absent by snapshots", u64::try_from(ms)?);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a counter"
    )]
    if rig.guard.is_none() {
        let refused = late.refused as u64;
        outcome.happened("late lines refused", refused);
        let vanished = VANISHING as u64;
        outcome.holds("all late lines were offered", refused >= vanished);
    }
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

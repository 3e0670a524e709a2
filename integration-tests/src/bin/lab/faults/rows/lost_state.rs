//! Redis forgets: everything, some keys, its scripts.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, WAREHOUSES, most_at_once, number};
use d365_simulator::Config;
use integration_tests::api_client::ApiClient;
use integration_tests::oracle::Told;
use integration_tests::stopwatch::Stopwatch;
use std::collections::BTreeSet;
use std::time::Duration;

/// A worker's heartbeat puts a lost schedule back.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Items of a warehouse that are asked for again and again: so many at least, from all over it.
const SAMPLE: usize = 800;
const SKUS_PER_QUESTION: usize = 500;
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// What was told about some items of a warehouse at one moment.
#[derive(Debug, Default)]
struct Look {
    lines: Vec<Told>,
    /// What the replies said of the feed.
    feeds: BTreeSet<String>,
}

impl Look {
    async fn at(
        stage: &Stage,
        api: &ApiClient,
        warehouse: &str,
        items: &[String],
    ) -> Result<Self, RowError> {
        let mut look = Self::default();
        for items in items.chunks(SKUS_PER_QUESTION) {
            let skus: Vec<&str> = items.iter().map(String::as_str).collect();
            let asked = stage.d365().now();
            let reply = api.fast(warehouse, &skus).await?;
            let feed = if reply.status.is_success() {
                let seen = stage.d365().now();
                look.lines.extend(Told::of_reply(&reply.json, asked, seen));
                reply.json["meta"]["state"].as_str().unwrap_or_default()
            } else if reply.error_code() == Some("inventory.cache.cold.error") {
                // The reply for what was never read names its reason.
                "cold"
            } else {
                return Err(format!("{}: {}", reply.status, reply.text).into());
            };
            look.feeds.insert(feed.to_owned());
        }
        Ok(look)
    }

    /// Whether every reply said that there is no complete snapshot.
    fn tells_no_snapshot(&self) -> bool {
        self.feeds
            .iter()
            .all(|feed| feed == "cold" || feed == "warming")
    }

    fn count(&self, state: &str) -> usize {
        self.lines.iter().filter(|line| line.state == state).count()
    }
}

/// Every so-manieth item of a warehouse.
fn spread(items: &[String]) -> Vec<String> {
    let step = (items.len() / SAMPLE).max(1);
    items.iter().step_by(step).cloned().collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "small counts, and seconds for people"
)]
pub(super) async fn redis_restarts_empty(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = rig.scale.interval.max(Duration::from_secs(20));
    let mut d365 = rig.world();
    d365.load.base_ms = 40;
    let settings = format!("page_size = {}", rig.scale.items / 20);
    let mut stage = rig.stage(d365, &settings).await?;
    let mut workers = [stage.worker("one").await?, stage.worker("other").await?];
    let (mut api_service, api) = stage.api().await?;
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let mut samples = Vec::new();
    let mut pages_of_all = 0;
    for warehouse in WAREHOUSES {
        samples.push((warehouse, spread(&stage.items(warehouse)?)));
        pages_of_all += number(&stage.feed(warehouse).await?, "pages");
    }
    let budget = format!("inv:budget:{}", Config::CLIENT_ID);
    let limit_of_calls = ["HGET", budget.as_str(), "limit"];
    let learned: f64 = stage.redis(&limit_of_calls).await?.parse()?;
    let before = stage.last_request();
    stage.redis.restart().await?;
    let back = stage.now();
    // Asked all the time: what is told while nothing is known?
    let mut told = Vec::new();
    let mut cold_told = None;
    let one_cycle = rig.scale.interval.mul_f64(1.2);
    let warm = stage
        .within(one_cycle * 4, "a warm cache", async || {
            let mut is_warm = true;
            for (warehouse, items) in &samples {
                let Ok(look) = Look::at(&stage, &api, warehouse, items).await else {
                    // Redis, or the way there, is still away.
                    return None;
                };
                if look.tells_no_snapshot() {
                    cold_told.get_or_insert_with(|| stage.now());
                }
                is_warm &= look.count("PRESENT") * 100 >= items.len() * 95;
                told.extend(look.lines);
            }
            is_warm.then(|| stage.now())
        })
        .await?;
    stage.snapshots_since(back, one_cycle * 4).await?;
    let complete = stage.now();
    let pages = stage.pages_since(before).len();
    let at_once = most_at_once(&stage.calls_since(before));
    let learned_anew: f64 = stage.redis(&limit_of_calls).await?.parse()?;
    let mut missing = 0;
    for warehouse in WAREHOUSES {
        let items = stage.items(warehouse)?;
        let look = Look::at(&stage, &api, warehouse, &items).await?;
        missing += items.len() - look.count("PRESENT");
        told.extend(look.lines);
    }
    let verdict = stage.judge(&told, 1_000);
    let seconds = |at: i64| (at - back) as f64 / 1_000.0;
    let mut outcome = Outcome::default();
    // Never told is no reply in time.
    let cold = cold_told.map_or(f64::INFINITY, seconds);
    outcome.at_most("cold told after", cold, 2.0, " s");
    let limit = one_cycle.as_secs_f64();
    outcome.at_most("95 % of both warm after", seconds(warm), limit, " s");
    outcome.none("lines missing once complete", missing as u64);
    let most_pages = pages_of_all as f64 * 1.1;
    outcome.at_most("pages until complete", pages as f64, most_pages, "");
    // The budget that was learned is forgotten as well: that must not set the calls free.
    let most_calls = learned.max(learned_anew) * 1.1;
    outcome.at_most("calls at once", at_once as f64, most_calls, "");
    outcome.none("false zeros", verdict.false_absences);
    outcome.none("lies about age", verdict.lies);
    let emptied = stage.feed("24").await?["generation"] == "1";
    outcome.happened(
        "empty restarts (generations begin again)",
        u64::from(emptied),
    );
    outcome.happened("lines judged", verdict.lines);
    outcome.happened(
        "ms until the next complete snapshots",
        u64::try_from(complete - back)?,
    );
    for worker in &mut workers {
        worker.stop().await?;
    }
    api_service.stop().await?;
    Ok(outcome)
}

/// What was told after the feed's record had gone.
#[derive(Debug, Default)]
struct WithoutMarkers {
    /// Looks while there was no proof of anything.
    unproved: u64,
    /// Looks once a snapshot was complete again.
    proved: u64,
    /// Of them: looks that said something else about the feed.
    told_wrongly: u64,
    /// Lines called absent without a proof.
    absent_unproved: u64,
    /// Lines called absent that were there.
    false_zeros: u64,
}

impl WithoutMarkers {
    /// Looks at warehouse 24 until its snapshot is complete again.
    async fn watch(stage: &Stage, api: &ApiClient, limit: Duration) -> Result<Self, RowError> {
        let mut items = spread(&stage.items("24")?);
        let mut seen = Self::default();
        let mut told = Vec::new();
        let watch = Stopwatch::start();
        for number in 0_u32.. {
            if seen.proved > 0 || watch.elapsed() > limit {
                break;
            }
            // Nobody has ever heard of it, so that nothing but a snapshot can prove that it is
            // not there: another one each time, or a look-up might have said so.
            items.push(format!("UNHEARD-{number}"));
            let was_proved = has_snapshot(stage).await?;
            let look = Look::at(stage, api, "24", &items).await?;
            let is_proved = has_snapshot(stage).await?;
            items.pop();
            let absent = look.count("ABSENT") as u64;
            if !is_proved {
                seen.unproved += 1;
                seen.told_wrongly += u64::from(!look.tells_no_snapshot());
                seen.absent_unproved += absent;
            } else if was_proved {
                seen.proved += 1;
                let is_ready = look.feeds.iter().all(|feed| feed == "ready");
                seen.told_wrongly += u64::from(!is_ready || absent == 0);
            }
            told.extend(look.lines);
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        // Of what nobody has heard of there is no history: it is rightly absent.
        seen.false_zeros = stage.judge(&told, 1_000).false_absences;
        Ok(seen)
    }

    fn tell(&self, outcome: &mut Outcome) {
        outcome.none("false zeros without markers", self.false_zeros);
        outcome.none("unknown told as absent", self.absent_unproved);
        outcome.none("cold, warming or ready told wrongly", self.told_wrongly);
        outcome.happened("looks without a proof", self.unproved);
        outcome.happened("looks with a new one", self.proved);
    }
}

/// Whether there is a complete snapshot of warehouse 24.
async fn has_snapshot(stage: &Stage) -> Result<bool, RowError> {
    Ok(stage.feed("24").await?.contains_key("watermark"))
}

pub(super) async fn evicted_keys(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = rig.scale.interval.min(Duration::from_secs(15));
    let mut d365 = rig.world();
    d365.load.base_ms = 60;
    let settings = format!(
        "page_size = {}\nlease = \"5s\"\nshard_time = \"500ms\"",
        rig.scale.items / 20
    );
    let stage = rig.stage(d365, &settings).await?;
    let mut workers = [stage.worker("one").await?, stage.worker("other").await?];
    let (mut api_service, api) = stage.api().await?;
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let mut outcome = Outcome::default();
    let mut deleted = 0;
    for (what, pattern) in [
        ("the schedule", "inv:contoso:due"),
        ("leases", "inv:contoso:shard:*"),
        ("cycles", "inv:contoso:cycle:*"),
        ("markers", "inv:contoso:snapshot:*"),
    ] {
        // In the middle of a cycle.
        for warehouse in WAREHOUSES {
            stage
                .redis(&["ZADD", "inv:contoso:due", "0", warehouse])
                .await?;
        }
        let before = stage.last_request();
        drop(
            stage
                .within(Duration::from_secs(20), "a cycle under way", async || {
                    (stage.pages_since(before).len() > 3).then_some(())
                })
                .await,
        );
        let now = stage.now();
        for key in stage.keys(pattern).await? {
            deleted += stage.redis(&["DEL", &key]).await?.parse::<u64>()?;
        }
        let limit = rig.scale.interval * 2 + HEARTBEAT * 3;
        if what == "markers" {
            let seen = WithoutMarkers::watch(&stage, &api, limit).await?;
            seen.tell(&mut outcome);
        }
        let complete = stage.snapshots_since(now, limit).await.is_ok();
        outcome.holds(&format!("complete again without {what}"), complete);
    }
    let items = stage.items("24")?;
    let verdict = stage.judge(&stage.told(&api, "24", &items).await?, 1_000);
    outcome.none(
        "lies and false zeros at the end",
        verdict.lies + verdict.false_absences,
    );
    outcome.happened("keys evicted", deleted);
    for worker in &mut workers {
        worker.stop().await?;
    }
    api_service.stop().await?;
    Ok(outcome)
}

pub(super) async fn scripts_forgotten(rig: Rig) -> Result<Outcome, RowError> {
    let mut d365 = rig.world();
    d365.load.base_ms = 20;
    let settings = format!("page_size = {}", rig.scale.items / 20);
    let stage = rig.stage(d365, &settings).await?;
    let mut worker = stage.worker("worker").await?;
    let (mut api_service, api) = stage.api().await?;
    if rig.guard.is_none() {
        stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    }
    let items = stage.items("24")?;
    let skus: Vec<&str> = items.iter().take(20).map(String::as_str).collect();
    stage.redis(&["CONFIG", "RESETSTAT"]).await?;
    let (mut flushes, mut asked, mut refused) = (0_u64, 0_u64, 0_u64);
    let over = tokio::time::sleep(rig.scale.fault);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => break,
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                stage.redis(&["SCRIPT", "FLUSH"]).await?;
                flushes += 1;
                let reply = api.exact("24", &skus).await?;
                asked += 1;
                let is_live = reply.json["data"][0]["source"] == "LIVE";
                refused += u64::from(!reply.status.is_success() || !is_live);
            }
        }
    }
    let not_stored = stage
        .metric(
            &api_service,
            "inventory_api_write_through_lines_total",
            "failed",
        )
        .await?;
    let ended = stage.cycles_ended(1, rig.scale.two_cycles()).await;
    let stats = stage.redis(&["INFO", "commandstats"]).await?;
    let calls = |command: &str, field: &str| -> u64 {
        stats
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")))
            .and_then(|line| {
                line.split(',')
                    .find_map(|pair| pair.strip_prefix(field)?.strip_prefix('=')?.parse().ok())
            })
            .unwrap_or_default()
    };
    let failed = calls("evalsha", "failed_calls").max(calls("evalsha", "rejected_calls"));
    let loads = calls("script|load", "calls");
    let mut outcome = Outcome::default();
    outcome.none("live answers refused", refused);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a counter"
    )]
    outcome.none("live lines not stored", not_stored as u64);
    outcome.holds("cycles go on", ended.is_ok());
    #[expect(clippy::cast_precision_loss, reason = "a small count")]
    outcome.at_most(
        "retried calls for one failed",
        if failed == 0 {
            0.0
        } else {
            loads as f64 / failed as f64
        },
        1.0,
        "",
    );
    outcome.happened("script caches lost", flushes);
    outcome.happened("calls that met a forgotten script", failed);
    outcome.happened("live questions", asked);
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

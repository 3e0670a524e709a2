//! Redis forgets: everything, some keys, its scripts.

use super::outcome::{Outcome, after};
use super::scale::{Scale, WAREHOUSES};
use d365_simulator::{Config, Kind};
use integration_tests::api_client::ApiClient;
use integration_tests::eventually::eventually_within;
use integration_tests::oracle::ReplyLine;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::test_bed::{Failure, TestBed, metric, most_at_once, number};
use std::collections::BTreeSet;
use std::time::Duration;

/// A worker's heartbeat puts a lost schedule back.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Items of a warehouse that are asked for again and again: so many at least, from all over it.
const SAMPLE: usize = 800;
const SKUS_PER_QUESTION: usize = 500;
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// What the API said of some items of a warehouse at one moment.
#[derive(Debug, Default)]
struct Look {
    lines: Vec<ReplyLine>,
    /// What the replies said of the feed.
    feeds: BTreeSet<String>,
}

impl Look {
    async fn at(
        bed: &TestBed,
        api: &ApiClient,
        warehouse: &str,
        items: &[String],
    ) -> Result<Self, Failure> {
        let mut look = Self::default();
        for items in items.chunks(SKUS_PER_QUESTION) {
            let skus: Vec<&str> = items.iter().map(String::as_str).collect();
            let asked = bed.d365().now();
            let reply = api.fast(warehouse, &skus).await?;
            let feed = if reply.status.is_success() {
                let lines = ReplyLine::of_reply(&reply.json, asked, bed.d365().now());
                look.lines.extend(lines);
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
    fn says_no_snapshot(&self) -> bool {
        let is_none = |feed: &String| feed == "cold" || feed == "warming";
        self.feeds.iter().all(is_none)
    }

    fn count(&self, state: &str) -> usize {
        self.lines.iter().filter(|line| line.state == state).count()
    }
}

/// Items from all over a warehouse.
fn sample(items: &[String]) -> Vec<String> {
    let step = (items.len() / SAMPLE).max(1);
    items.iter().step_by(step).cloned().collect()
}

pub(super) async fn redis_restarts_empty(scale: Scale) -> Result<Outcome, Failure> {
    let scale = scale.every(scale.interval.max(Duration::from_secs(20)));
    let worker = format!("page_size = {}", scale.items / 20);
    let mut bed = scale.bed(scale.world(40), &worker, |_| {}).await?;
    let mut workers = [bed.worker("one").await?, bed.worker("other").await?];
    let (mut service, api) = bed.api().await?;
    bed.complete_since(0, scale.two_cycles()).await?;
    let mut samples = Vec::new();
    let mut pages_of_all = 0;
    for warehouse in WAREHOUSES {
        samples.push((warehouse, sample(&bed.items(warehouse)?)));
        pages_of_all += number(&bed.feed(warehouse).await?, "pages");
    }
    let budget = format!("inv:budget:{}", Config::CLIENT_ID);
    let learned = number(&bed.hash(&budget).await?, "limit");
    let before = bed.last_request();
    bed.redis.restart().await?;
    let back = bed.now();
    // Asked all the time: what is said while nothing is known?
    let mut lines = Vec::new();
    let mut cold = None;
    let one_cycle = scale.interval.mul_f64(1.2);
    let warm = eventually_within(one_cycle * 4, "a warm cache", async || {
        let mut is_warm = true;
        for (warehouse, items) in &samples {
            // Redis, or the way there, may still be away.
            let look = Look::at(&bed, &api, warehouse, items).await.ok()?;
            if look.says_no_snapshot() {
                cold.get_or_insert_with(|| after(back, bed.now()));
            }
            is_warm &= look.count("PRESENT") * 100 >= items.len() * 95;
            lines.extend(look.lines);
        }
        is_warm.then(|| after(back, bed.now()))
    })
    .await?;
    bed.complete_since(back, one_cycle * 4).await?;
    let pages = bed.requests(Kind::Page, before).len() as u64;
    let at_once = most_at_once(&bed.calls(before)) as u64;
    let learned_anew = number(&bed.hash(&budget).await?, "limit");
    let mut missing = 0;
    for warehouse in WAREHOUSES {
        let items = bed.items(warehouse)?;
        let look = Look::at(&bed, &api, warehouse, &items).await?;
        missing += items.len() - look.count("PRESENT");
        lines.extend(look.lines);
    }
    let verdict = bed.judge(&lines, 1_000);
    let mut outcome = Outcome::default();
    outcome.within("cold shown after", cold, Duration::from_secs(2));
    outcome.within("95 % of both warm after", Some(warm), one_cycle);
    outcome.none("lines missing once complete", missing as u64);
    outcome.count_at_most("pages until complete", pages, pages_of_all * 11 / 10);
    // The budget that was learned is forgotten as well: that must not set the calls free.
    let most_calls = learned.max(learned_anew) * 11 / 10;
    outcome.count_at_most("calls at once", at_once, most_calls);
    outcome.none("false zeros", verdict.false_absences);
    outcome.none("lies about age", verdict.lies);
    let emptied = bed.feed("24").await?["generation"] == "1";
    let what = "empty restarts (generations begin again)";
    outcome.happened(what, u64::from(emptied));
    outcome.happened("lines judged", verdict.lines);
    for worker in &mut workers {
        worker.stop().await?;
    }
    service.stop().await?;
    Ok(outcome)
}

/// What was said after the feed's record had gone.
#[derive(Debug, Default)]
struct WithoutRecord {
    /// Looks while there was no proof of anything.
    unproved: u64,
    /// Looks once a snapshot was complete again.
    proved: u64,
    /// Of them: looks that said something else about the feed.
    wrong_feed: u64,
    /// Lines called absent without a proof.
    absent_unproved: u64,
    /// Lines called absent that were there.
    false_zeros: u64,
}

impl WithoutRecord {
    /// Looks at warehouse 24 until its snapshot is complete again.
    async fn watch(bed: &TestBed, api: &ApiClient, limit: Duration) -> Result<Self, Failure> {
        let has_snapshot =
            async || Ok::<_, Failure>(bed.feed("24").await?.contains_key("watermark"));
        let mut items = sample(&bed.items("24")?);
        let mut seen = Self::default();
        let mut lines = Vec::new();
        let watch = Stopwatch::start();
        for number in 0_u32.. {
            if seen.proved > 0 || watch.elapsed() > limit {
                break;
            }
            // Unknown to everybody, so that nothing but a snapshot can prove that it is not there:
            // another one each time, or a look-up might have said so.
            items.push(format!("UNHEARD-{number}"));
            let was_proved = has_snapshot().await?;
            let look = Look::at(bed, api, "24", &items).await?;
            let is_proved = has_snapshot().await?;
            items.pop();
            let absent = look.count("ABSENT") as u64;
            if !is_proved {
                seen.unproved += 1;
                seen.wrong_feed += u64::from(!look.says_no_snapshot());
                seen.absent_unproved += absent;
            } else if was_proved {
                seen.proved += 1;
                let is_ready = look.feeds.iter().all(|feed| feed == "ready");
                seen.wrong_feed += u64::from(!is_ready || absent == 0);
            }
            lines.extend(look.lines);
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        // Of the unknown one there is no history: it is rightly absent.
        seen.false_zeros = bed.judge(&lines, 1_000).false_absences;
        Ok(seen)
    }
}

pub(super) async fn evicted_keys(scale: Scale) -> Result<Outcome, Failure> {
    let scale = scale.every(scale.interval.min(Duration::from_secs(15)));
    let worker = format!(
        "page_size = {}\nlease = \"5s\"\nshard_time = \"500ms\"",
        scale.items / 20
    );
    let bed = scale.bed(scale.world(60), &worker, |_| {}).await?;
    let mut workers = [bed.worker("one").await?, bed.worker("other").await?];
    let (mut service, api) = bed.api().await?;
    bed.complete_since(0, scale.two_cycles()).await?;
    let mut outcome = Outcome::default();
    let mut deleted = 0;
    for (what, pattern) in [
        ("the schedule", "inv:contoso:due"),
        ("leases", "inv:contoso:shard:*"),
        ("cycles", "inv:contoso:cycle:*"),
        ("feed records", "inv:contoso:snapshot:*"),
    ] {
        for warehouse in WAREHOUSES {
            bed.make_due(warehouse).await?;
        }
        let before = bed.last_request();
        // In the middle of a cycle, if one comes.
        let patience = Duration::from_secs(20);
        let under_way = eventually_within(patience, "a cycle under way", async || {
            (bed.requests(Kind::Page, before).len() > 3).then_some(())
        });
        drop(under_way.await);
        let now = bed.now();
        for key in bed.redis::<Vec<String>>(&["KEYS", pattern]).await? {
            deleted += bed.redis::<u64>(&["DEL", &key]).await?;
        }
        let limit = scale.interval * 2 + HEARTBEAT * 3;
        if what == "feed records" {
            let seen = WithoutRecord::watch(&bed, &api, limit).await?;
            outcome.none("false zeros without feed records", seen.false_zeros);
            outcome.none("unknown items called absent", seen.absent_unproved);
            outcome.none("cold, warming or ready said wrongly", seen.wrong_feed);
            outcome.happened("looks without a proof", seen.unproved);
            outcome.happened("looks with a new one", seen.proved);
        }
        let complete = bed.complete_since(now, limit).await.is_ok();
        outcome.holds(&format!("complete again without {what}"), complete);
    }
    let lines = bed.lines(&api, "24", &bed.items("24")?).await?;
    let verdict = bed.judge(&lines, 1_000);
    let untrue = verdict.lies + verdict.false_absences;
    outcome.none("lies and false zeros at the end", untrue);
    outcome.happened("keys evicted", deleted);
    for worker in &mut workers {
        worker.stop().await?;
    }
    service.stop().await?;
    Ok(outcome)
}

pub(super) async fn scripts_forgotten(scale: Scale) -> Result<Outcome, Failure> {
    let worker = format!("page_size = {}", scale.items / 20);
    let bed = scale.bed(scale.world(20), &worker, |_| {}).await?;
    let mut worker = bed.worker("worker").await?;
    let (mut service, api) = bed.api().await?;
    bed.complete_since(0, scale.two_cycles()).await?;
    let items = bed.items("24")?;
    let skus: Vec<&str> = items.iter().take(20).map(String::as_str).collect();
    let () = bed.redis(&["CONFIG", "RESETSTAT"]).await?;
    let (mut flushes, mut refused) = (0_u64, 0_u64);
    let watch = Stopwatch::start();
    while watch.elapsed() < scale.fault {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let () = bed.redis(&["SCRIPT", "FLUSH"]).await?;
        flushes += 1;
        let reply = api.exact("24", &skus).await?;
        let is_live = reply.json["data"][0]["source"] == "LIVE";
        refused += u64::from(!reply.status.is_success() || !is_live);
    }
    let lines_total = "inventory_api_write_through_lines_total";
    let not_stored = metric(&service, lines_total, "failed").await?;
    let ended = bed.cycles_ended(1, scale.two_cycles()).await;
    let stats: String = bed.redis(&["INFO", "commandstats"]).await?;
    let calls = |command: &str, field: &str| -> u64 {
        let of_command = format!("cmdstat_{command}:");
        let of_field = |pair: &str| pair.strip_prefix(field)?.strip_prefix('=')?.parse().ok();
        let mut lines = stats.lines();
        lines
            .find_map(|line| {
                line.strip_prefix(&of_command)?
                    .split(',')
                    .find_map(of_field)
            })
            .unwrap_or_default()
    };
    let failed = calls("evalsha", "failed_calls").max(calls("evalsha", "rejected_calls"));
    let mut outcome = Outcome::default();
    outcome.none("live answers refused", refused);
    outcome.none("live lines not stored", not_stored);
    outcome.holds("cycles go on", ended.is_ok());
    let loads = calls("script|load", "calls");
    outcome.count_at_most(
        "scripts loaded again, at most one a failed call",
        loads,
        failed,
    );
    outcome.happened("script caches lost", flushes);
    outcome.happened("calls that met a forgotten script", failed);
    worker.stop().await?;
    service.stop().await?;
    Ok(outcome)
}

//! Workers that are killed, one or all.

use super::outcome::{Outcome, after};
use super::scale::{Scale, WAREHOUSES};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::Service;
use integration_tests::eventually::{eventually, eventually_within};
use integration_tests::test_bed::{Failure, TestBed, metric, number, readiness};
use std::time::Duration;

/// The lease of 30 s, and a look every few seconds.
const GOES_ON_WITHIN: Duration = Duration::from_secs(35);

async fn id_of(worker: &Service) -> Result<String, Failure> {
    let client = ApiClient::new(&worker.url())?;
    let status = client.fetch("/inventoryPrefetcher/v1/status").await?;
    let id = status.json["workerId"].as_str().unwrap_or_default();
    Ok(id.to_owned())
}

/// A part this worker holds, with or without a note of its place in it.
async fn part_held_by(bed: &TestBed, id: &str, is_noted: bool) -> Result<String, Failure> {
    let part = eventually("a part in its hands", async || {
        let keys: Vec<String> = bed.redis(&["KEYS", "inv:contoso:shard:*#*"]).await.ok()?;
        for key in keys {
            let record = bed.hash(&key).await.ok()?;
            let is_its = record.get("holder").is_some_and(|holder| holder == id);
            if is_its && record.contains_key("cursor") == is_noted {
                return Some(key);
            }
        }
        None
    });
    Ok(part.await?)
}

/// When this part was with somebody else than its dead holder, or had ended.
async fn taken_over(bed: &TestBed, part: &str, dead: &str) -> Option<i64> {
    let patience = GOES_ON_WITHIN + Duration::from_secs(10);
    let taken = eventually_within(patience, "another holder", async || {
        let record = bed.hash(part).await.ok()?;
        let is_its = record.get("holder").is_some_and(|holder| holder == dead);
        (!is_its).then(|| bed.now())
    });
    taken.await.ok()
}

/// What is stored once the cycle has ended that workers died in.
async fn judge_cycle(bed: &TestBed, outcome: &mut Outcome) -> Result<(), Failure> {
    bed.complete_since(0, Duration::from_mins(5)).await?;
    let (mut service, api) = bed.api().await?;
    let (mut untrue, mut compared) = (0, 0);
    for warehouse in WAREHOUSES {
        let lines = bed.lines(&api, warehouse, &bed.items(warehouse)?).await?;
        let verdict = bed.judge(&lines, 1_000);
        let missing = lines.iter().filter(|line| line.state != "PRESENT").count();
        untrue += verdict.lies + verdict.false_absences + missing as u64;
        compared += verdict.lines;
        let feed = bed.feed(warehouse).await?;
        let truth = bed.d365().truth("usmf", Some(warehouse), None)?.len();
        let is_right = feed["rows"] == truth.to_string() && feed["watermark"] == feed["started"];
        let what = format!("rows and watermark of {warehouse} right");
        outcome.holds(&what, is_right);
    }
    outcome.none("lines lost or wrong", untrue);
    outcome.happened("lines compared", compared);
    service.stop().await?;
    Ok(())
}

pub(super) async fn killed(scale: Scale) -> Result<Outcome, Failure> {
    let scale = scale.every(Duration::from_hours(1));
    // Pages take long enough that both are in the middle of one. A worker has one part at a time, so
    // that each of two has one.
    let worker = format!("page_size = {}\nparallel_shards = 1", scale.items / 60);
    let bed = scale.bed(scale.world(250), &worker, |_| {}).await?;
    let mut reading = bed.worker("killed while reading").await?;
    let reading_id = id_of(&reading).await?;
    let noted = part_held_by(&bed, &reading_id, true).await?;
    // The other part's first page is long on its way: nothing can be noted before.
    let late = Action::Delay {
        ms: 20_000,
        at: DelayPoint::BeforeRead,
    };
    for warehouse in WAREHOUSES {
        if !noted.starts_with(&format!("inv:contoso:shard:{warehouse}#")) {
            let fault = FaultSpec::on(Kind::Page, late.clone());
            bed.d365().add_fault(fault.warehouse(warehouse));
        }
    }
    let mut beginning = bed.worker("killed at the beginning").await?;
    let beginning_id = id_of(&beginning).await?;
    let fresh = part_held_by(&bed, &beginning_id, false).await?;
    let had_notes = bed.hash(&fresh).await?.contains_key("cursor");
    beginning.process().kill()?;
    let rows_noted = number(&bed.hash(&noted).await?, "rows");
    reading.process().kill()?;
    let at = bed.now();
    bed.d365().clear_faults();
    let mut others = [bed.worker("one").await?, bed.worker("other").await?];
    let taken = futures_util::join!(
        taken_over(&bed, &noted, &reading_id),
        taken_over(&bed, &fresh, &beginning_id)
    );
    let mut outcome = Outcome::default();
    for (what, taken) in [
        ("its part goes on after", taken.0),
        ("one without a note after", taken.1),
    ] {
        let taken = taken.map(|taken| after(at, taken));
        outcome.within(what, taken, GOES_ON_WITHIN);
    }
    if taken.0.is_some() && taken.1.is_some() {
        judge_cycle(&bed, &mut outcome).await?;
    }
    let running = [&mut reading, &mut beginning].map(|worker| worker.process().is_running());
    outcome.happened("workers killed", dead(&running));
    outcome.happened("rows one had noted", rows_noted);
    outcome.happened("parts begun without a note", u64::from(!had_notes));
    for other in &mut others {
        other.stop().await?;
    }
    Ok(outcome)
}

fn dead(running: &[bool]) -> u64 {
    running.iter().filter(|is_running| !**is_running).count() as u64
}

pub(super) async fn all_dead(scale: Scale) -> Result<Outcome, Failure> {
    let scale = scale.every(Duration::from_secs(4));
    let bed = scale.bed(scale.world(0), "", |_| {}).await?;
    let mut workers = [bed.worker("one").await?, bed.worker("other").await?];
    let (mut service, api) = bed.api().await?;
    bed.complete_since(0, scale.two_cycles()).await?;
    let items: Vec<String> = bed.items("24")?.into_iter().take(10).collect();
    let skus: Vec<&str> = items.iter().map(String::as_str).collect();
    for worker in &mut workers {
        worker.process().kill()?;
    }
    let died = bed.now();
    let limit = scale.interval * 2 + Duration::from_mins(1);
    let in_replies = eventually_within(limit, "stale replies", async || {
        let reply = api.fast("24", &skus).await.ok()?;
        let mut lines = reply.json["data"].as_array()?.iter();
        lines.all(|line| line["stale"] == true).then(|| bed.now())
    });
    let in_metrics = eventually_within(limit, "metrics", async || {
        let overdue = metric(&service, "inventory_api_feed_overdue", "").await;
        (overdue.ok()? >= 2).then(|| bed.now())
    });
    let in_health = eventually_within(limit, "health", async || {
        let text = readiness(&service).await.ok()?.to_string();
        let is_overdue = text.contains("\"overdue\":true") && !text.contains("\"overdue\":false");
        is_overdue.then(|| bed.now())
    });
    let (replies, metrics, health) = futures_util::join!(in_replies, in_metrics, in_health);
    let mut outcome = Outcome::default();
    for (where_it_shows, at) in [
        ("replies", replies),
        ("metrics", metrics),
        ("health", health),
    ] {
        let time = at.ok().map(|at| after(died, at));
        outcome.within(&format!("shown in {where_it_shows} after"), time, limit);
    }
    let running = workers
        .each_mut()
        .map(|worker| worker.process().is_running());
    outcome.happened("workers killed", dead(&running));
    service.stop().await?;
    Ok(outcome)
}

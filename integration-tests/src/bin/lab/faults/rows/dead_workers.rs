//! Workers that are killed, paused, or all gone.

mod killed_anywhere;

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, WAREHOUSES, number};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::Service;
use std::time::Duration;

async fn id_of(worker: &Service) -> Result<String, RowError> {
    let client = ApiClient::new(&worker.url())?;
    let status = client.fetch("/inventoryPrefetcher/v1/status").await?;
    Ok(status.json["workerId"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// A part this worker holds, with or without a note of its place in it.
async fn part_held_by(stage: &Stage, id: &str, is_noted: bool) -> Result<String, RowError> {
    stage
        .within(Duration::from_mins(1), "a part in its hands", async || {
            for key in stage.keys("inv:contoso:shard:*#*").await.ok()? {
                let record = stage.hash(&key).await.ok()?;
                let is_its = record.get("holder").is_some_and(|holder| holder == id);
                if is_its && record.contains_key("cursor") == is_noted {
                    return Some(key);
                }
            }
            None
        })
        .await
}

/// When each of these parts was with somebody else than these workers, or had ended; waits no longer
/// than it takes to see that it is too late.
async fn taken_over(stage: &Stage, parts: &[String], from: &[String]) -> Vec<Option<i64>> {
    let mut taken = vec![None; parts.len()];
    let looking = stage.within(Duration::from_secs(45), "other holders", async || {
        for (part, taken) in parts.iter().zip(&mut taken) {
            let record = stage.hash(part).await.ok()?;
            let is_theirs = record
                .get("holder")
                .is_some_and(|holder| from.contains(holder));
            if taken.is_none() && !is_theirs {
                *taken = Some(stage.now());
            }
        }
        taken.iter().all(Option::is_some).then_some(())
    });
    // What was not taken over says so by itself.
    drop(looking.await);
    taken
}

/// What is stored once the cycle has ended that workers died in.
async fn whole_all_the_same(
    stage: &Stage,
    since: i64,
    outcome: &mut Outcome,
) -> Result<(), RowError> {
    stage.snapshots_since(since, Duration::from_mins(5)).await?;
    let (mut api_service, api) = stage.api().await?;
    let (mut untrue, mut lines) = (0, 0);
    for warehouse in WAREHOUSES {
        let told = stage
            .told(&api, warehouse, &stage.items(warehouse)?)
            .await?;
        let verdict = stage.judge(&told, 1_000);
        let missing = told.iter().filter(|line| line.state != "PRESENT").count();
        untrue += verdict.lies + verdict.false_absences + missing as u64;
        lines += verdict.lines;
        let feed = stage.feed(warehouse).await?;
        let truth = stage.d365().truth("usmf", Some(warehouse), None)?.len();
        let is_right = feed["rows"] == truth.to_string() && feed["watermark"] == feed["started"];
        outcome.holds(
            &format!("rows and watermark of {warehouse} right"),
            is_right,
        );
    }
    outcome.none("lines lost or wrong", untrue);
    outcome.happened("lines compared", lines);
    api_service.stop().await?;
    Ok(())
}

pub(super) async fn killed(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_hours(1);
    let mut outcome = killed_at_two_points(&rig).await?;
    // Without its guard the row is red by then.
    if rig.scale.is_full && rig.guard.is_none() {
        killed_anywhere::killed_anywhere(&rig, &mut outcome).await?;
    }
    Ok(outcome)
}

async fn killed_at_two_points(rig: &Rig) -> Result<Outcome, RowError> {
    let mut d365 = rig.world();
    // Long enough that both are in the middle of it.
    d365.load.base_ms = 250;
    // A worker has one part at a time, so that each of two has one.
    let settings = format!("page_size = {}\nparallel_shards = 1", rig.scale.items / 60);
    let stage = rig.stage(d365, &settings).await?;
    let mut reading = stage.worker("killed while reading").await?;
    let reading_id = id_of(&reading).await?;
    let noted = part_held_by(&stage, &reading_id, true).await?;
    // The other part's first page is long on its way: nothing can be noted before.
    let late = Action::Delay {
        ms: 20_000,
        at: DelayPoint::BeforeRead,
    };
    for warehouse in WAREHOUSES {
        if !noted.starts_with(&format!("inv:contoso:shard:{warehouse}#")) {
            let fault = FaultSpec::on(Kind::Page, late.clone());
            stage.d365().add_fault(fault.warehouse(warehouse));
        }
    }
    let mut beginning = stage.worker("killed at the beginning").await?;
    let beginning_id = id_of(&beginning).await?;
    let fresh = part_held_by(&stage, &beginning_id, false).await?;
    let had_notes = stage.hash(&fresh).await?.contains_key("cursor");
    beginning.process().kill()?;
    let rows_noted = number(&stage.hash(&noted).await?, "rows");
    reading.process().kill()?;
    let at = stage.now();
    stage.d365().clear_faults();
    let mut others = [stage.worker("one").await?, stage.worker("other").await?];
    let taken = taken_over(&stage, &[noted, fresh], &[reading_id, beginning_id]).await;
    let mut outcome = Outcome::default();
    for (what, taken) in ["its part goes on", "one without a note"]
        .iter()
        .zip(&taken)
    {
        #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
        let seconds = taken.map_or(f64::INFINITY, |taken| (taken - at) as f64 / 1_000.0);
        outcome.at_most(&format!("{what} after"), seconds, 35.0, " s");
    }
    if taken.iter().all(Option::is_some) {
        whole_all_the_same(&stage, 0, &mut outcome).await?;
    }
    let dead = [&mut reading, &mut beginning]
        .into_iter()
        .filter_map(|worker| (!worker.process().is_running()).then_some(()))
        .count();
    outcome.happened("workers killed", dead as u64);
    outcome.happened("rows one had noted", rows_noted);
    outcome.happened("parts begun without a note", u64::from(!had_notes));
    for other in &mut others {
        other.stop().await?;
    }
    Ok(outcome)
}

pub(super) async fn paused(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_secs(5);
    rig.scale.items = rig.scale.items.min(5_000);
    let pause = Duration::from_secs(if rig.scale.is_full { 60 } else { 20 });
    let mut d365 = rig.world();
    d365.sales_per_second = 300.0;
    let settings = format!("page_size = {}\nlease = \"5s\"", rig.scale.items);
    let stage = rig.stage(d365, &settings).await?;
    let mut paused = stage.worker("paused").await?;
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let (mut api_service, api) = stage.api().await?;
    let slow = Action::Delay {
        ms: 3_000,
        at: DelayPoint::AfterRead,
    };
    stage
        .d365()
        .add_fault(FaultSpec::on(Kind::Page, slow).warehouse("24").times(1));
    stage
        .within(Duration::from_secs(30), "the slow page", async || {
            (stage.faults_fired() > 0).then_some(())
        })
        .await?;
    // Frozen while its page is on the way: it will be written a minute late.
    paused.process().freeze(true)?;
    let mut other = stage.worker("other").await?;
    tokio::time::sleep(pause).await;
    stage
        .snapshots_since(stage.now() - 5_000, rig.scale.two_cycles())
        .await?;
    let items = stage.items("24")?;
    stage.d365().set_sales(0.0);
    // Nothing else is written while the late page comes in.
    other.process().freeze(true)?;
    let mut told = stage.told(&api, "24", &items).await?;
    paused.process().freeze(false)?;
    let over = tokio::time::sleep(Duration::from_secs(6));
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => break,
            more = stage.told(&api, "24", &items) => {
                told.extend(more?);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let late = stage
        .metric(&paused, "store_lines_total", "refused_older")
        .await?;
    let verdict = stage.judge(&told, 1_000);
    other.process().freeze(false)?;
    let mut outcome = Outcome::default();
    outcome.none("lines gone back", verdict.regressed);
    outcome.none("lies about age", verdict.lies);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a counter"
    )]
    if rig.guard.is_none() {
        outcome.happened("late lines refused", late as u64);
    }
    outcome.happened("seconds paused", pause.as_secs());
    outcome.happened("lines judged", verdict.lines);
    for worker in [&mut paused, &mut other] {
        worker.stop().await?;
    }
    api_service.stop().await?;
    Ok(outcome)
}

pub(super) async fn all_dead(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_secs(4);
    let stage = rig.stage(rig.world(), "").await?;
    let mut workers = [stage.worker("one").await?, stage.worker("other").await?];
    let (mut api_service, api) = stage.api().await?;
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let items: Vec<String> = stage.items("24")?.into_iter().take(10).collect();
    for worker in &mut workers {
        worker.process().kill()?;
    }
    let dead = stage.now();
    let two_intervals = rig.scale.interval * 2;
    let limit = two_intervals + Duration::from_mins(1);
    let patience = if rig.guard.is_some() {
        two_intervals * 3
    } else {
        limit
    };
    let skus: Vec<&str> = items.iter().map(String::as_str).collect();
    let mut outcome = Outcome::default();
    let mut tell = |what: &str, at: Result<i64, RowError>| {
        #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
        let seconds = at.map_or(f64::INFINITY, |at| (at - dead) as f64 / 1_000.0);
        let target = limit.as_secs_f64();
        outcome.at_most(&format!("told in {what} after"), seconds, target, " s");
    };
    let in_replies = stage.within(patience, "stale replies", async || {
        let reply = api.fast("24", &skus).await.ok()?;
        let lines = reply.json["data"].as_array()?;
        (lines.iter().all(|line| line["stale"] == true)).then(|| stage.now())
    });
    tell("replies", in_replies.await);
    let in_metrics = stage.within(patience, "metrics", async || {
        let overdue = stage
            .metric(&api_service, "inventory_api_feed_overdue", "")
            .await
            .ok()?;
        (overdue >= 2.0).then(|| stage.now())
    });
    tell("metrics", in_metrics.await);
    let in_health = stage.within(patience, "health", async || {
        let detail = stage.readiness(&api_service).await.ok()?;
        let text = detail.to_string();
        (!text.contains("\"overdue\":false") && text.contains("\"overdue\":true"))
            .then(|| stage.now())
    });
    tell("health", in_health.await);
    let running = workers
        .iter_mut()
        .filter_map(|worker| worker.process().is_running().then_some(()))
        .count();
    outcome.happened("workers killed", 2 - running as u64);
    api_service.stop().await?;
    Ok(outcome)
}

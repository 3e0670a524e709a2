//! Redis forgets: everything, some keys, its scripts.

use crate::outcome::{Outcome, RowError};
use crate::stage::{Rig, WAREHOUSES, most_at_once};
use std::time::Duration;

/// A worker's heartbeat puts a lost schedule back.
const HEARTBEAT: Duration = Duration::from_secs(10);

pub(super) async fn redis_restarts_empty(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = rig.scale.interval.max(Duration::from_secs(20));
    let mut d365 = rig.world();
    d365.load.base_ms = 40;
    let settings = format!("page_size = {}", rig.scale.items / 20);
    let mut stage = rig.stage(d365, &settings).await?;
    let mut workers = [stage.worker("one").await?, stage.worker("other").await?];
    let (mut api_service, api) = stage.api().await?;
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let items = stage.items("24")?;
    let some = &items[..items.len().min(400)];
    let before = stage.last_request();
    stage.redis.restart().await?;
    let back = stage.now();
    // Asked all the time: what is told while nothing is known?
    let mut told = Vec::new();
    let mut cold_told = None;
    let one_cycle = rig.scale.interval.mul_f64(1.2);
    let warm = stage
        .within(one_cycle * 4, "a warm cache", async || {
            match stage.told(&api, "24", some).await {
                Ok(lines) => {
                    let known = lines.iter().filter(|line| line.state == "PRESENT").count();
                    told.extend(lines);
                    return (known * 100 >= some.len() * 95).then(|| stage.now());
                }
                // The reply for what was never read names its reason.
                Err(error) if error.to_string().contains("inventory.cache.cold") => {
                    cold_told.get_or_insert_with(|| stage.now());
                }
                Err(_still_away) => {}
            }
            None
        })
        .await?;
    stage.snapshots_since(back, one_cycle * 4).await?;
    let complete = stage.now();
    let verdict = stage.judge(&told, 1_000);
    let mut outcome = Outcome::default();
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    {
        let cold = cold_told.map_or(0.0, |at| (at - back) as f64 / 1_000.0);
        outcome.at_most("cold told after", cold, 2.0, " s");
        let warm_s = (warm - back) as f64 / 1_000.0;
        outcome.at_most("95 % warm after", warm_s, one_cycle.as_secs_f64(), " s");
        let at_once = most_at_once(&stage.pages_since(before)) as f64;
        outcome.at_most("calls at once", at_once, 12.0 * 1.1, "");
    }
    outcome.none("false zeros", verdict.false_absences);
    outcome.none("lies about age", verdict.lies);
    let emptied = stage.feed("24").await?["generation"] == "1";
    outcome.happened(
        "empty restarts (generations begin again)",
        u64::from(emptied),
    );
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
        if what == "markers" {
            let items = stage.items("24")?;
            // Cold is told as such; else there are lines to judge.
            let false_zeros = match stage.told(&api, "24", &items).await {
                Ok(told) => stage.judge(&told, 1_000).false_absences,
                Err(error) if error.to_string().contains("inventory.cache.cold") => 0,
                Err(error) => return Err(error),
            };
            outcome.none("false zeros without markers", false_zeros);
        }
        let limit = rig.scale.interval * 2 + HEARTBEAT * 3;
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

//! Redis' clock, which all stamps come from, jumps.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage};
use integration_tests::api_client::ApiClient;
use integration_tests::redis_fixture::RedisFixture;
use std::time::Duration;

const STEP: i64 = 30;
/// What is asked for live after a step.
const ASKED_LIVE: usize = 20;
/// Longest time from an as-of to the instant its page was read; far less than a step.
const WINDOW_MS: i64 = 2_000;
/// Clocks and the way there.
const TOLERANCE_MS: i64 = 100;

/// What became of the lines after a step.
#[derive(Debug)]
struct AfterStep {
    accepted_after: f64,
    lies: u64,
    /// Stamps ahead of Redis' own clock.
    in_future: u64,
    false_zeros: u64,
    /// By how much stamps were ahead of the true time at most.
    most_ahead_ms: i64,
}

pub(super) async fn by_30_seconds(rig: Rig) -> Result<Outcome, RowError> {
    let (redis, clock) = RedisFixture::start_with_clock().await?;
    clock.set(STEP)?;
    let mut d365 = rig.world();
    // Stock that stood still would be true at any stamp.
    d365.sales_per_second = 600.0;
    let stage = rig.stage_with(redis, d365, "", |_config| {})?;
    let mut worker = stage.worker("worker").await?;
    let (mut api_service, api) = stage.api().await?;
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let items: Vec<String> = stage.items("24")?.into_iter().take(200).collect();
    let ahead = stage.told(&api, "24", &items).await?;
    let most_ahead = ahead
        .iter()
        .filter_map(|line| Some(line.as_of? - line.seen))
        .max()
        .unwrap_or_default();
    // Back to the true time: what is stored is 30 s ahead of it now.
    clock.set(0)?;
    let back = after_step(&rig, &stage, &api, &items, 0).await?;
    // And forward again: what is stored is 30 s older at once.
    clock.set(STEP)?;
    let forward = after_step(&rig, &stage, &api, &items, STEP * 1_000).await?;
    let (mut counted, mut noticed) = (0.0, 0.0);
    for service in [&worker, &api_service] {
        counted += stage
            .metric(service, "store_lines_total", "corrupt")
            .await?;
        noticed += stage.metric(service, "store_clock_steps_total", "").await?;
    }
    let mut outcome = Outcome::default();
    for (which, after) in [("back", &back), ("forward", &forward)] {
        let what = format!("{which}: writes accepted again after");
        outcome.at_most(&what, after.accepted_after, 5.0, " s");
        outcome.none("lies about age after it", after.lies);
        outcome.none("stamps in the future after it", after.in_future);
        outcome.none("false zeros after it", after.false_zeros);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters"
    )]
    {
        outcome.happened("future stamps overwritten and counted", counted as u64);
        outcome.happened("steps noticed by the services", noticed as u64);
    }
    outcome.happened(
        "ms the stamps were ahead before",
        u64::try_from(most_ahead.max(0))?,
    );
    outcome.happened(
        "ms they were ahead again in the end",
        u64::try_from(forward.most_ahead_ms.max(0))?,
    );
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

/// Looks at lines after a step, with Redis' clock so far ahead of the true time.
async fn after_step(
    rig: &Rig,
    stage: &Stage,
    api: &ApiClient,
    items: &[String],
    ahead_ms: i64,
) -> Result<AfterStep, RowError> {
    let stepped = stage.now();
    let live = &items[..items.len().min(ASKED_LIVE)];
    let skus: Vec<&str> = live.iter().map(String::as_str).collect();
    let accepted = stage
        .within(
            Duration::from_secs(40),
            "stored lines of the new time",
            async || {
                let reply = api.exact("24", &skus).await.ok()?;
                let told = stage.told(api, "24", live).await.ok()?;
                let now = stage.now();
                let new = stepped + ahead_ms - TOLERANCE_MS..=now + ahead_ms + TOLERANCE_MS;
                let is_new = told
                    .iter()
                    .all(|line| line.as_of.is_some_and(|as_of| new.contains(&as_of)));
                (is_new && reply.json["meta"]["writeThrough"] == "stored").then_some(now)
            },
        )
        .await;
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    let accepted_after = accepted.map_or(f64::INFINITY, |at| (at - stepped) as f64 / 1_000.0);
    // From the first moment on nothing may be called absent because of marks of another time.
    let mut at_once = stage.told(api, "24", items).await?;
    at_once.retain(|line| line.state == "ABSENT");
    let false_at_once = stage.judge(&at_once, WINDOW_MS).false_absences;
    stage.cycles_ended(2, rig.scale.two_cycles()).await?;
    let mut after = stage.told(api, "24", items).await?;
    let ahead = after
        .iter()
        .filter_map(|line| Some(line.as_of? - line.seen));
    let most_ahead_ms = ahead.clone().max().unwrap_or_default();
    let in_future = ahead.filter(|ms| *ms > ahead_ms + TOLERANCE_MS).count();
    // All of them were stamped since the step: the truth is so far behind their stamps.
    for line in &mut after {
        line.as_of = line.as_of.map(|as_of| as_of - ahead_ms);
    }
    let verdict = stage.judge(&after, WINDOW_MS);
    Ok(AfterStep {
        accepted_after,
        lies: verdict.lies,
        in_future: in_future as u64,
        false_zeros: verdict.false_absences + false_at_once,
        most_ahead_ms,
    })
}

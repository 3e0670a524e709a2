//! Redis' clock, which all stamps come from, jumps.

use super::outcome::{Outcome, after};
use super::scale::Scale;
use integration_tests::api_client::ApiClient;
use integration_tests::eventually::eventually_within;
use integration_tests::oracle::ReplyLine;
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::test_bed::{Failure, TestBed, metric};
use std::time::Duration;

const STEP: i64 = 30;
/// What is asked for live after a step.
const ASKED_LIVE: usize = 20;
/// Longest time from an as-of to the instant its page was read; far less than a step.
const WINDOW_MS: i64 = 2_000;
/// Clocks and the way there.
const TOLERANCE_MS: i64 = 100;

pub(super) async fn by_30_seconds(scale: Scale) -> Result<Outcome, Failure> {
    let (redis, clock) = RedisFixture::start_with_clock().await?;
    clock.set(STEP)?;
    let mut d365 = scale.world(0);
    // Stock that stood still would be true at any stamp.
    d365.sales_per_second = 600.0;
    let bed = scale.bed_on(redis, d365, "", |_| {})?;
    let mut worker = bed.worker("worker").await?;
    let (mut service, api) = bed.api().await?;
    bed.complete_since(0, scale.two_cycles()).await?;
    let items: Vec<String> = bed.items("24")?.into_iter().take(200).collect();
    let ahead = most_ahead(&bed.lines(&api, "24", &items).await?);
    let mut outcome = Outcome::default();
    // Back to the true time: what is stored is 30 s ahead of it now.
    clock.set(0)?;
    after_step(scale, &bed, &api, &items, 0, &mut outcome).await?;
    // And forward again: what is stored is 30 s older at once.
    clock.set(STEP)?;
    let ahead_again = after_step(scale, &bed, &api, &items, STEP * 1_000, &mut outcome).await?;
    let (mut counted, mut noticed) = (0, 0);
    for service in [&worker, &service] {
        counted += metric(service, "store_lines_total", "corrupt").await?;
        noticed += metric(service, "store_clock_steps_total", "").await?;
    }
    outcome.happened("future stamps overwritten and counted", counted);
    outcome.happened("steps noticed by the services", noticed);
    outcome.happened("ms the stamps were ahead before", ahead);
    outcome.happened("ms they were ahead again in the end", ahead_again);
    worker.stop().await?;
    service.stop().await?;
    Ok(outcome)
}

/// By how many ms stamps are ahead of the true time at most.
fn most_ahead(lines: &[ReplyLine]) -> u64 {
    let ahead = lines
        .iter()
        .filter_map(|line| Some(line.as_of? - line.seen));
    ahead
        .max()
        .map_or(0, |ms| u64::try_from(ms).unwrap_or_default())
}

/// Looks at lines after a step, with Redis' clock so far ahead of the true time.
async fn after_step(
    scale: Scale,
    bed: &TestBed,
    api: &ApiClient,
    items: &[String],
    ahead_ms: i64,
    outcome: &mut Outcome,
) -> Result<u64, Failure> {
    let stepped = bed.now();
    let live = &items[..items.len().min(ASKED_LIVE)];
    let skus: Vec<&str> = live.iter().map(String::as_str).collect();
    let patience = Duration::from_secs(40);
    let accepted = eventually_within(patience, "stored lines of the new time", async || {
        let reply = api.exact("24", &skus).await.ok()?;
        let lines = bed.lines(api, "24", live).await.ok()?;
        let now = bed.now();
        let new = stepped + ahead_ms - TOLERANCE_MS..=now + ahead_ms + TOLERANCE_MS;
        let is_new = |line: &ReplyLine| line.as_of.is_some_and(|as_of| new.contains(&as_of));
        let is_stored = reply.json["meta"]["writeThrough"] == "stored";
        (is_stored && lines.iter().all(is_new)).then_some(now)
    })
    .await;
    let accepted = accepted.ok().map(|at| after(stepped, at));
    // From the first moment on nothing may be absent because of marks of another time.
    let mut at_once = bed.lines(api, "24", items).await?;
    at_once.retain(|line| line.state == "ABSENT");
    let false_at_once = bed.judge(&at_once, WINDOW_MS).false_absences;
    bed.cycles_ended(2, scale.two_cycles()).await?;
    let mut lines = bed.lines(api, "24", items).await?;
    let ahead = most_ahead(&lines);
    let in_future = lines
        .iter()
        .filter(|line| {
            line.as_of
                .is_some_and(|as_of| as_of - line.seen > ahead_ms + TOLERANCE_MS)
        })
        .count();
    // All of them were stamped since the step: the truth is so far behind their stamps.
    for line in &mut lines {
        line.as_of = line.as_of.map(|as_of| as_of - ahead_ms);
    }
    let verdict = bed.judge(&lines, WINDOW_MS);
    let which = if ahead_ms == 0 { "back" } else { "forward" };
    let what = format!("{which}: writes accepted again after");
    outcome.within(&what, accepted, Duration::from_secs(5));
    outcome.none("lies about age after it", verdict.lies);
    outcome.none("stamps in the future after it", in_future as u64);
    outcome.none(
        "false zeros after it",
        verdict.false_absences + false_at_once,
    );
    Ok(ahead)
}

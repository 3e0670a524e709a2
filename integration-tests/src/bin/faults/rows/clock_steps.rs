//! Redis' clock, which all stamps come from, jumps.

use crate::outcome::{Outcome, RowError};
use crate::stage::Rig;
use integration_tests::redis_fixture::RedisFixture;
use std::time::Duration;

const STEP: i64 = 30;

pub(super) async fn back_by_30_seconds(rig: Rig) -> Result<Outcome, RowError> {
    let (redis, clock) = RedisFixture::start_with_clock().await?;
    clock.set(STEP)?;
    let stage = rig.stage_with(redis, rig.world(), "", |_config| {})?;
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
    let stepped = stage.now();
    let skus: Vec<&str> = items.iter().take(20).map(String::as_str).collect();
    let accepted = stage
        .within(
            Duration::from_secs(40),
            "a line of the true time",
            async || {
                drop(api.exact("24", &skus).await);
                let told = stage.told(&api, "24", &items[..20]).await.ok()?;
                let now = stage.now();
                told.iter()
                    .all(|line| line.as_of.is_some_and(|as_of| as_of <= now + 100))
                    .then_some(now)
            },
        )
        .await;
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    let seconds = accepted.map_or(f64::INFINITY, |at| (at - stepped) as f64 / 1_000.0);
    // From the first moment on nothing may be called absent because of marks from the future.
    let mut at_once = stage.told(&api, "24", &items).await?;
    at_once.retain(|line| line.state == "ABSENT");
    let false_at_once = stage.judge(&at_once, 500).false_absences;
    stage.cycles_ended(2, rig.scale.two_cycles()).await?;
    let after = stage.told(&api, "24", &items).await?;
    let verdict = stage.judge(&after, 500);
    let in_future = after
        .iter()
        .filter(|line| line.as_of.is_some_and(|as_of| as_of > line.seen + 100))
        .count();
    let mut counted = 0.0;
    for service in [&worker, &api_service] {
        counted += stage
            .metric(service, "store_lines_total", "corrupt")
            .await?;
    }
    let mut outcome = Outcome::default();
    outcome.at_most("writes accepted again after", seconds, 5.0, " s");
    outcome.none("lies about age after the correction", verdict.lies);
    outcome.none("stamps in the future after it", in_future as u64);
    let false_zeros = verdict.false_absences + false_at_once;
    outcome.none("false zeros after it", false_zeros);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a counter"
    )]
    outcome.happened("future stamps overwritten and counted", counted as u64);
    outcome.happened(
        "ms the stamps were ahead before",
        u64::try_from(most_ahead)?,
    );
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

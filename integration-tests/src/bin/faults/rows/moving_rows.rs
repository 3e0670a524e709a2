//! Rows that move, straddle pages, vanish and come back late.

use crate::outcome::{Outcome, RowError};
use crate::stage::{Rig, WAREHOUSES};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, StockChange, StockKey};
use integration_tests::redis_fixture::RedisFixture;
use std::collections::BTreeSet;
use std::time::Duration;

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

pub(super) async fn late_page(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_secs(4);
    rig.scale.items = rig.scale.items.min(2_000);
    let settings = format!(
        "page_size = {}\nlease = \"5s\"\nparallel_shards = 2",
        rig.scale.items
    );
    let stage = rig.stage(rig.world(), &settings).await?;
    let mut late = stage.worker("late").await?;
    stage.snapshots_since(0, Duration::from_mins(2)).await?;
    let (mut api_service, api) = stage.api().await?;
    let item = stage.items("24")?[7].clone();
    // A page is read, and stays on its way until the item is gone and known to be gone.
    let slow = Action::Delay {
        ms: 30_000,
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
    tokio::time::sleep(Duration::from_millis(200)).await;
    for row in stage.d365().truth("usmf", Some("24"), None)? {
        if row.item == item {
            let mut key = StockKey::of("usmf", &item, "24");
            key.color = row.color;
            key.configuration = row.configuration;
            key.size = row.size;
            key.style = row.style;
            key.version = row.version;
            stage.d365().delete_stock(&key)?;
        }
    }
    let gone = stage.now();
    // Its lease passes on to another worker, which goes on without it.
    late.process().freeze(true)?;
    let mut other = stage.worker("other").await?;
    let absent = stage
        .within(Duration::from_mins(1), "absence", async || {
            let told = stage
                .told(&api, "24", std::slice::from_ref(&item))
                .await
                .ok()?;
            (told.first()?.state == "ABSENT").then(|| stage.now())
        })
        .await?;
    let mut complete = 0;
    for warehouse in WAREHOUSES {
        complete += u64::from(stage.feed(warehouse).await?["state"] == "complete");
    }
    // The slow page arrives at last.
    let answered = stage
        .within(Duration::from_mins(1), "the page to be sent", async || {
            let pages = stage.pages_since(0);
            let slow = pages.iter().find(|page| page.faults > 0)?;
            slow.answered.map(|_| ())
        })
        .await;
    other.process().freeze(true)?;
    late.process().freeze(false)?;
    let mut resurrected = 0_u64;
    let mut looked = 0_u64;
    let over = tokio::time::sleep(Duration::from_secs(5));
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => break,
            told = stage.told(&api, "24", std::slice::from_ref(&item)) => {
                looked += 1;
                resurrected += u64::from(told?.first().is_none_or(|line| line.state != "ABSENT"));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    other.process().freeze(false)?;
    let mut outcome = Outcome::default();
    outcome.none("resurrections", resurrected);
    outcome.happened("ms until absent", u64::try_from(absent - gone)?);
    outcome.happened("late pages", u64::from(answered.is_ok()));
    outcome.happened("looks after it", looked);
    outcome.happened("warehouses complete", complete);
    for worker in [&mut late, &mut other] {
        worker.stop().await?;
    }
    api_service.stop().await?;
    Ok(outcome)
}

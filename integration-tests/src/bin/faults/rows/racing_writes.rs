//! Older data that is written later than newer data.

use crate::outcome::{Outcome, RowError};
use crate::stage::{Rig, Stage, WAREHOUSES};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind};
use integration_tests::api_client::ApiClient;
use integration_tests::open_loop::{Browse, Browsed};
use std::time::Duration;

fn late(ms: u64) -> Action {
    Action::Delay {
        ms,
        at: DelayPoint::AfterRead,
    }
}

/// Browse beside order-time questions for the same items, for so long.
async fn load(
    rig: &Rig,
    stage: &Stage,
    api: &ApiClient,
    time: Duration,
) -> Result<Browsed, RowError> {
    let mut items = stage.items("24")?;
    // Few enough that each is asked live and read by pages again and again.
    items.truncate(600);
    let (per_second, skus) = rig.scale.browse;
    let browse = Browse {
        per_second,
        skus,
        warehouses: WAREHOUSES.map(str::to_owned).to_vec(),
        items: items.clone(),
        seed: rig.seed,
        keeps_lines: true,
    };
    let d365 = stage.d365();
    let orders = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let mut place = 0;
        loop {
            ticks.tick().await;
            place = (place + 20) % items.len();
            let skus: Vec<&str> = items[place..].iter().take(20).map(String::as_str).collect();
            // A late answer is nothing here: it is browse that is judged.
            drop(api.exact("24", &skus).await);
        }
    };
    let over = tokio::time::sleep(time);
    tokio::select! {
        browsed = browse.run(api, &d365, over) => Ok(browsed),
        () = orders => Err("orders ended".into()),
    }
}

pub(super) async fn slow_pages(rig: Rig) -> Result<Outcome, RowError> {
    let page_ms = if rig.scale.is_full { 9_000 } else { 1_500 };
    let mut d365 = rig.world();
    d365.sales_per_second = 600.0;
    let settings = format!("page_size = {}", rig.scale.items / 10);
    let stage = rig.stage(d365, &settings).await?;
    let mut worker = stage.worker("worker").await?;
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let (mut api_service, api) = stage.api().await?;
    let mut slow = FaultSpec::on(Kind::Page, late(page_ms));
    slow.every = Some(3);
    stage.d365().add_fault(slow);
    let browsed = load(&rig, &stage, &api, rig.scale.fault * 2).await?;
    stage.d365().set_sales(0.0);
    let window_ms = i64::try_from(page_ms)? + 500;
    let mut verdict = stage.judge(&browsed.told, 500);
    if verdict.lies > 0 {
        // A page that waits before it is read is as honest as one that waits behind it.
        let wide = stage.judge(&browsed.told, window_ms);
        if rig.guard.is_none() {
            verdict = wide;
        }
    }
    let refused = stage
        .metric(&worker, "store_lines_total", "refused")
        .await?;
    let written = stage.metric(&worker, "store_lines_total", "").await?
        + stage.metric(&api_service, "store_lines_total", "").await?;
    let mut outcome = Outcome::default();
    #[expect(clippy::cast_precision_loss, reason = "shares of counts")]
    let share = verdict.regressed as f64 / verdict.lines.max(1) as f64 * 100.0;
    outcome.at_most("lines gone back", share, 0.1, " %");
    outcome.none("lies about age", verdict.lies);
    outcome.happened("slow pages", stage.faults_fired());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters"
    )]
    {
        outcome.happened("lines written", written as u64);
        if rig.guard.is_none() {
            outcome.happened("late lines refused", refused as u64);
        }
    }
    outcome.happened("lines judged", verdict.lines);
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

pub(super) async fn two_holders(rig: Rig) -> Result<Outcome, RowError> {
    let mut d365 = rig.world();
    d365.sales_per_second = 600.0;
    d365.load.base_ms = 20;
    let settings = format!("page_size = {}\nlease = \"5s\"", rig.scale.items / 20);
    let stage = rig.stage(d365, &settings).await?;
    let mut workers = [stage.worker("one").await?, stage.worker("other").await?];
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let (mut api_service, api) = stage.api().await?;
    let mut slow = FaultSpec::on(Kind::Page, late(700));
    slow.every = Some(4);
    stage.d365().add_fault(slow);
    let before = stage.last_request();
    let mut stolen = 0_u64;
    // Each part that is held is due again at once, as after a failover that forgot the lease.
    let stealing = async {
        let mut seen = std::collections::HashSet::new();
        loop {
            for key in stage
                .keys("inv:contoso:shard:*#*")
                .await
                .unwrap_or_default()
            {
                let part = key.trim_start_matches("inv:contoso:shard:").to_owned();
                if seen.insert(part.clone()) {
                    let moved = stage
                        .redis(&["ZADD", "inv:contoso:due", "XX", "CH", "0", &part])
                        .await;
                    stolen += u64::from(moved.is_ok_and(|moved| moved == "1"));
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let browsed = tokio::select! {
        browsed = load(&rig, &stage, &api, rig.scale.fault * 2) => browsed?,
        () = stealing => return Err("stealing ended".into()),
    };
    stage.d365().set_sales(0.0);
    stage.d365().clear_faults();
    let pages = stage.pages_since(before);
    let rows: usize = pages.iter().map(|page| page.rows).sum();
    let truth: usize = stage.items("11")?.len() + stage.items("24")?.len();
    let cycles = f64::from(u32::try_from(cycles_of(&stage).await?)?);
    stage
        .snapshots_since(stage.now(), rig.scale.two_cycles())
        .await?;
    let verdict = stage.judge(&browsed.told, 2_000);
    let mut outcome = Outcome::default();
    #[expect(clippy::cast_precision_loss, reason = "shares of counts")]
    {
        let share = verdict.regressed as f64 / verdict.lines.max(1) as f64 * 100.0;
        outcome.at_most("lines gone back", share, 0.1, " %");
        let per_cycle = rows as f64 / (truth as f64 * cycles.max(1.0));
        outcome.at_most("rows read, of those of the cycles", per_cycle, 2.0, " x");
    }
    outcome.none("lies about age", verdict.lies);
    outcome.happened("parts taken from their holder", stolen);
    outcome.happened("slow pages", pages.len() as u64 / 4);
    for worker in &mut workers {
        worker.stop().await?;
    }
    api_service.stop().await?;
    Ok(outcome)
}

/// Cycles that have begun, on average over the warehouses.
async fn cycles_of(stage: &Stage) -> Result<u64, RowError> {
    let mut cycles = 0;
    for warehouse in WAREHOUSES {
        let feed = stage.feed(warehouse).await?;
        // The first was before the fault.
        cycles += feed["generation"].parse::<u64>()?.saturating_sub(1);
    }
    Ok(cycles / WAREHOUSES.len() as u64)
}

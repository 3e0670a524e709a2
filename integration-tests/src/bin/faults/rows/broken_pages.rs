//! Pages that fail, and snapshots that are whole and wrong.

use crate::outcome::{Outcome, RowError};
use crate::stage::{Rig, Stage, WAREHOUSES};
use d365_simulator::{Action, CutPoint, FaultSpec, Kind};
use integration_tests::api_client::ApiClient;
use std::time::Duration;

/// Runs cycles whose pages go wrong from the third one on.
async fn cycles_under(stage: &Stage, action: Action, cycles: u64) -> Result<u64, RowError> {
    let mut fired = 0;
    for _ in 0..cycles {
        let before = stage.last_request();
        let ended = stage.cycles_ended(1, Duration::from_mins(3));
        let spoiling = async {
            loop {
                for warehouse in WAREHOUSES {
                    // A failing warehouse waits longer each time; the row does not.
                    let due = ["ZADD", "inv:contoso:due", "LT", "0", warehouse];
                    drop(stage.redis(&due).await);
                }
                if stage.d365().faults().is_empty() && stage.pages_since(before).len() >= 2 {
                    stage
                        .d365()
                        .add_fault(FaultSpec::on(Kind::Page, action.clone()));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            ended = ended => ended?,
            () = spoiling => {}
        }
        fired += stage.faults_fired();
        stage.d365().clear_faults();
    }
    Ok(fired)
}

async fn all_told(
    stage: &Stage,
    api: &ApiClient,
) -> Result<Vec<integration_tests::oracle::Told>, RowError> {
    let mut told = Vec::new();
    for warehouse in WAREHOUSES {
        told.extend(stage.told(api, warehouse, &stage.items(warehouse)?).await?);
    }
    Ok(told)
}

pub(super) async fn failing_pages(mut rig: Rig) -> Result<Outcome, RowError> {
    // Cycles begin when the row says so.
    rig.scale.interval = Duration::from_hours(1);
    let settings = format!("page_size = {}\nparallel_shards = 4", rig.scale.items / 10);
    let mut d365 = rig.world();
    d365.load.base_ms = 60;
    let stage = rig.stage(d365, &settings).await?;
    let mut worker = stage.worker("worker").await?;
    let (mut api_service, api) = stage.api().await?;
    stage.snapshots_since(0, Duration::from_mins(3)).await?;
    let html = |kind: &str| Action::Html {
        content_type: kind.to_owned(),
    };
    let cut = Action::Cut {
        after: CutPoint::Rows(20),
    };
    let mut outcome = Outcome::default();
    let (mut false_zeros, mut lies, mut fired, mut kept) = (0, 0, 0, true);
    let mut states = Vec::new();
    let mut actions = vec![Action::ServerError, cut, html("application/json")];
    if rig.scale.is_full {
        actions.extend([Action::BadJson, html("text/html")]);
    }
    for action in actions {
        let began = stage.now();
        fired += cycles_under(&stage, action, 2).await?;
        let told = all_told(&stage, &api).await?;
        let verdict = stage.judge(&told, 2_000);
        false_zeros += verdict.false_absences;
        lies += verdict.lies;
        kept &= told
            .iter()
            .any(|line| line.as_of.is_some_and(|as_of| as_of >= began));
        for warehouse in WAREHOUSES {
            states.push(stage.feed(warehouse).await?["state"].clone());
        }
    }
    outcome.none("false zeros", false_zeros);
    outcome.none("lies about age", lies);
    outcome.holds(
        "cycles partial",
        states.iter().all(|state| state == "partial"),
    );
    outcome.holds("the other pages kept", kept);
    outcome.happened("pages failed", fired);
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

pub(super) async fn wrong_snapshots(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_hours(1);
    let settings = format!("page_size = {}\nparallel_shards = 4", rig.scale.items / 4);
    let mut d365 = rig.world();
    d365.load.base_ms = 60;
    let stage = rig.stage(d365, &settings).await?;
    let mut worker = stage.worker("worker").await?;
    let (mut api_service, api) = stage.api().await?;
    stage.snapshots_since(0, Duration::from_mins(3)).await?;
    let company = Action::WrongCompany {
        company: "dat".to_owned(),
    };
    let mut outcome = Outcome::default();
    let (mut false_zeros, mut lies, mut fired) = (0, 0, 0);
    let mut alarms = true;
    for action in [Action::Empty, Action::Halve, company] {
        fired += cycles_under(&stage, action, 2).await?;
        let told = all_told(&stage, &api).await?;
        let verdict = stage.judge(&told, 2_000);
        false_zeros += verdict.false_absences;
        lies += verdict.lies;
        for warehouse in WAREHOUSES {
            let feed = stage.feed(warehouse).await?;
            alarms &= feed["state"] != "complete" && feed.contains_key("reason");
        }
    }
    let counted = stage
        .metric(&worker, "prefetch_cycles_total", "quarantined")
        .await?;
    outcome.none("false zeros", false_zeros);
    outcome.none("lies about age", lies);
    outcome.holds("told in the record after one cycle", alarms);
    outcome.holds("counted as quarantined", counted >= 3.0);
    outcome.happened("wrong pages", fired);
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

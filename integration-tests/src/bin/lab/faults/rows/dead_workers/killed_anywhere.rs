//! Many workers, each killed at an instant of its own: while a page is awaited, while it is sent,
//! while its lines are written or its place is noted.

use super::{id_of, taken_over, whole_all_the_same};
use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, WAREHOUSES, number};
use d365_simulator::{Action, AppRegistration, Config, FaultSpec, Kind, LoadModel};
use futures_util::future::try_join_all;
use integration_tests::binaries::{Launch, Program, Service};
use integration_tests::chance::Chance;
use integration_tests::connector_config::{ConfigFile, ConnectorConfig};
use integration_tests::redis_fixture::RedisFixture;
use std::time::Duration;

const VICTIMS: usize = 8;
/// Milliseconds until a page is begun to be sent while workers are killed; every other one is then
/// sent for longer than that.
const PAGE_MS: i64 = 900;
const TRICKLE: Action = Action::Trickle {
    bytes: 2_048,
    pause_ms: 40,
};
/// Between two looks at D365's log: lines of a page are written within some tens of milliseconds.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);
/// A part is read for some twelve pages, so this is within it.
const LATEST_DEATH_MS: u64 = 9_000;

/// A worker that was killed while it held a part.
struct Death {
    worker: String,
    app: String,
    part: String,
    at: i64,
    /// Rows it had noted; none if there was no note.
    noted: Option<u64>,
}

/// What a victim was about, by D365's own log.
#[derive(Debug, Default)]
struct Deaths {
    awaiting: usize,
    receiving: usize,
    storing: usize,
}

/// What a worker is killed upon.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Any,
    WhileAPageIsSent,
    AfterAnAnswer,
    AfterANote,
}

/// Adds what came of it to the outcome.
pub(super) async fn killed_anywhere(rig: &Rig, outcome: &mut Outcome) -> Result<(), RowError> {
    let mut d365 = rig.world();
    d365.load.base_ms = 100;
    let apps = (0..VICTIMS).map(|n| AppRegistration::with_secret(app_of(n), Config::CLIENT_SECRET));
    d365.apps.extend(apps);
    // Pages so short that a warehouse has about eight parts from its second cycle on.
    let settings = format!(
        "page_size = {}\nparallel_shards = 1\nshard_time = \"1500ms\"\ndemand_share = 0",
        rig.scale.items / 100
    );
    let mut config = None;
    let redis = RedisFixture::start_process().await?;
    let stage = rig.stage_with(redis, d365, &settings, |file| config = Some(file.clone()))?;
    let config = config.ok_or("no configuration")?;
    let mut first = stage.worker("first").await?;
    stage.snapshots_since(0, Duration::from_mins(5)).await?;
    first.stop().await?;
    stage.d365().set_load(LoadModel {
        base_ms: PAGE_MS.unsigned_abs(),
        ..LoadModel::default()
    });
    stage.d365().add_fault(FaultSpec {
        every: Some(2),
        ..FaultSpec::on(Kind::Page, TRICKLE)
    });
    let since = stage.now();
    for warehouse in WAREHOUSES {
        stage
            .redis(&["ZADD", "inv:contoso:due", "0", warehouse])
            .await?;
    }
    let mut chance = Chance::of(rig.seed);
    let moments = [
        Moment::Any,
        Moment::WhileAPageIsSent,
        Moment::AfterAnAnswer,
        Moment::AfterANote,
    ];
    let mut dying = Vec::new();
    for victim in 0..VICTIMS {
        // An app registration of its own tells its calls from those of the others.
        let mut own = config.clone();
        own.prefetch_app = Some((app_of(victim), Config::CLIENT_SECRET.to_owned()));
        let file = own.write()?;
        let worker = started(&format!("victim {victim}"), &file).await?;
        let moment = moments[victim % moments.len()];
        let chance = Chance::of(chance.below(u64::MAX));
        dying.push(kill(&stage, worker, app_of(victim), moment, chance));
    }
    let deaths: Vec<Death> = try_join_all(dying).await?;
    let states = Deaths::of(&stage, &deaths);
    let mut others = [
        survivor("one", &config).await?,
        survivor("other", &config).await?,
    ];
    let parts: Vec<String> = deaths.iter().map(|death| death.part.clone()).collect();
    let dead: Vec<String> = deaths.iter().map(|death| death.worker.clone()).collect();
    let taken = taken_over(&stage, &parts, &dead).await;
    stage.d365().clear_faults();
    stage.d365().set_load(LoadModel::default());
    let slowest = deaths
        .iter()
        .zip(&taken)
        .map(|(death, taken)| taken.map_or(f64::INFINITY, |taken| seconds(taken - death.at)))
        .fold(0.0, f64::max);
    outcome.at_most(
        &format!(
            "{} workers killed anywhere: the slowest of their parts goes on after",
            deaths.len()
        ),
        slowest,
        35.0,
        " s",
    );
    if taken.iter().all(Option::is_some) {
        whole_all_the_same(&stage, since, outcome).await?;
    }
    outcome.happened(&states.told(&deaths), deaths.len() as u64);
    for other in &mut others {
        other.stop().await?;
    }
    Ok(())
}

fn app_of(victim: usize) -> String {
    format!("eeeeeeee-0000-0000-0000-00000000000{victim}")
}

async fn started(name: &str, file: &ConfigFile) -> Result<Service, RowError> {
    Ok(Launch::new(Program::PrefetchWorker, file.path())?
        .named(name)
        .start()
        .await?)
}

/// A worker with hands enough for half of what the dead have left: how soon their parts fall due is
/// measured, not how many can be read at once.
async fn survivor(name: &str, config: &ConnectorConfig) -> Result<Service, RowError> {
    let mut own = config.clone();
    own.more = own
        .more
        .replace("parallel_shards = 1", "parallel_shards = 8");
    started(name, &own.write()?).await
}

/// The part a worker holds.
async fn part_of(stage: &Stage, worker: &str) -> Option<String> {
    for key in stage.keys("inv:contoso:shard:*#*").await.ok()? {
        let record = stage.hash(&key).await.ok()?;
        if record.get("holder").is_some_and(|holder| holder == worker) {
            return Some(key);
        }
    }
    None
}

async fn kill(
    stage: &Stage,
    mut victim: Service,
    app: String,
    moment: Moment,
    mut chance: Chance,
) -> Result<Death, RowError> {
    let minute = Duration::from_mins(1);
    let worker = id_of(&victim).await?;
    let held = stage
        .within(minute, "a part in its hands", async || {
            part_of(stage, &worker).await
        })
        .await?;
    tokio::time::sleep(Duration::from_millis(chance.below(LATEST_DEATH_MS))).await;
    wait_for(stage, &app, &held, moment).await?;
    tokio::time::sleep(Duration::from_millis(chance.below(20))).await;
    // Between two parts nothing would be left behind.
    let part = stage
        .within(minute, "a part in its hands", async || {
            part_of(stage, &worker).await
        })
        .await?;
    victim.process().kill()?;
    let at = stage.now();
    let record = stage.hash(&part).await?;
    let noted = record
        .contains_key("cursor")
        .then(|| number(&record, "rows"));
    Ok(Death {
        worker,
        app,
        part,
        at,
        noted,
    })
}

/// Waits until the moment has come for the worker of this app, which holds this part.
async fn wait_for(stage: &Stage, app: &str, part: &str, moment: Moment) -> Result<(), RowError> {
    let own_pages = || {
        let mut pages = stage.pages_since(0);
        pages.retain(|page| page.app.as_deref() == Some(app));
        pages
    };
    let answered = || {
        own_pages()
            .iter()
            .filter(|page| page.answered.is_some())
            .count()
    };
    let is_being_sent = || {
        own_pages().last().is_some_and(|page| {
            page.answered.is_none() && stage.now() - page.started.unix_millis() > PAGE_MS + 100
        })
    };
    let noted = async || number(&stage.hash(part).await.unwrap_or_default(), "rows");
    let (answered_before, noted_before) = (answered(), noted().await);
    let coming = async {
        while !match moment {
            Moment::Any => true,
            Moment::WhileAPageIsSent => is_being_sent(),
            Moment::AfterAnAnswer => answered() > answered_before,
            Moment::AfterANote => noted().await != noted_before,
        } {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    };
    Ok(tokio::time::timeout(Duration::from_mins(1), coming).await?)
}

impl Deaths {
    fn of(stage: &Stage, deaths: &[Death]) -> Self {
        let mut states = Self::default();
        let pages = stage.pages_since(0);
        for death in deaths {
            let last = pages.iter().rev().find(|page| {
                page.app.as_ref() == Some(&death.app) && page.started.unix_millis() <= death.at
            });
            let Some(last) = last else {
                states.storing += 1;
                continue;
            };
            let begun = last.started.unix_millis();
            let is_answered = last
                .answered
                .is_some_and(|answered| answered.unix_millis() < death.at);
            match (is_answered, death.at - begun < PAGE_MS) {
                (true, _) => states.storing += 1,
                (false, true) => states.awaiting += 1,
                (false, false) => states.receiving += 1,
            }
        }
        states
    }

    fn told(&self, deaths: &[Death]) -> String {
        let noted: Vec<u64> = deaths.iter().filter_map(|death| death.noted).collect();
        format!(
            "killed anywhere ({} with a page awaited, {} with a page being sent, {} in between; {} had a note, of {} rows in all)",
            self.awaiting,
            self.receiving,
            self.storing,
            noted.len(),
            noted.iter().sum::<u64>()
        )
    }
}

fn seconds(ms: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    let seconds = ms as f64 / 1_000.0;
    seconds
}

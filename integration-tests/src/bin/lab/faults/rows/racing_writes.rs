//! Older data that is written later than newer data.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, WAREHOUSES};
use d365_simulator::{
    Action, AppRegistration, DelayPoint, FaultSpec, Kind, RequestRecord, UtcMillis,
};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::{Program, Service};
use integration_tests::open_loop::{Browse, Browsed};
use integration_tests::oracle::Verdict;
use integration_tests::stopwatch::Stopwatch;
use std::collections::HashMap;
use std::time::Duration;

/// How long D365 takes for a live question.
const LIVE_MS: u64 = 100;
/// Lines to be written at full size.
const MANY_LINES: u64 = 1_000_000;
/// Spells of load after which it is enough, however many were written: a row's time is limited.
const MOST_SPELLS: u32 = 3;
/// The second worker's own registration: D365's requests tell the two apart by it.
const OTHER_APP: &str = "77777777-bbbb-cccc-dddd-eeeeeeeeeeee";
const OTHER_SECRET: &str = "other~secret";
/// Times two workers are to be seen at one part before parts are taken once only.
const SEEN_ENOUGH: u64 = 3;
const BETWEEN_THEFTS: Duration = Duration::from_secs(1);

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

/// Lines offered to Redis by these services so far, with this verdict or with any.
async fn lines(stage: &Stage, services: &[&Service], verdict: &str) -> Result<u64, RowError> {
    let mut sum = 0.0;
    for service in services {
        sum += stage.metric(service, "store_lines_total", verdict).await?;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a sum of counters"
    )]
    let lines = sum as u64;
    Ok(lines)
}

/// Adds what another spell showed.
fn note(verdict: &mut Verdict, spell: &Verdict) {
    verdict.lines += spell.lines;
    verdict.lies += spell.lies;
    verdict.regressed += spell.regressed;
    verdict.false_absences += spell.false_absences;
}

pub(super) async fn slow_pages(rig: Rig) -> Result<Outcome, RowError> {
    let page_ms = if rig.scale.is_full { 9_000 } else { 1_500 };
    let mut d365 = rig.world();
    d365.sales_per_second = 600.0;
    d365.load.base_ms = LIVE_MS;
    let settings = format!("page_size = {}", rig.scale.items / 10);
    let stage = rig.stage(d365, &settings).await?;
    let mut worker = stage.worker("worker").await?;
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let (mut api_service, api) = stage.api().await?;
    let mut slow = FaultSpec::on(Kind::Page, late(page_ms));
    slow.every = Some(3);
    stage.d365().add_fault(slow);
    // A page that waits before it is read is as honest as one that waits behind it.
    let window_ms = i64::try_from(page_ms)? + 500;
    // The row's own length; a control only has to be red.
    let is_counted = rig.scale.is_full && rig.guard.is_none();
    let mut verdict = Verdict::default();
    let mut written = 0;
    // Spell by spell: what was told is kept until it is judged.
    for _ in 0..MOST_SPELLS {
        let browsed = load(&rig, &stage, &api, rig.scale.fault * 2).await?;
        note(&mut verdict, &stage.judge(&browsed.told, window_ms));
        written = lines(&stage, &[&worker, &api_service], "").await?;
        if !is_counted || written >= MANY_LINES {
            break;
        }
    }
    stage.d365().set_sales(0.0);
    let refused = lines(&stage, &[&worker], "refused").await?;
    let mut outcome = Outcome::default();
    #[expect(clippy::cast_precision_loss, reason = "shares of counts")]
    let share = verdict.regressed as f64 / verdict.lines.max(1) as f64 * 100.0;
    outcome.at_most("lines gone back", share, 0.1, " %");
    outcome.none("lies about age", verdict.lies);
    if is_counted {
        outcome.holds("a million lines written", written >= MANY_LINES);
    }
    outcome.happened("slow pages", stage.faults_fired());
    outcome.happened("lines written", written);
    if rig.guard.is_none() {
        outcome.happened("late lines refused", refused);
    }
    outcome.happened("lines judged", verdict.lines);
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

/// What limits a page's part: its filter without where the page begins.
fn part_of(page: &RequestRecord) -> Option<String> {
    let d365 = reqwest::Url::parse("http://d365").ok()?;
    let address = d365.join(&page.address).ok()?;
    let (_, filter) = address.query_pairs().find(|(name, _)| name == "$filter")?;
    let limits: Vec<&str> = filter
        .split(" and ")
        .filter(|term| !term.starts_with("ItemNumber gt "))
        .collect();
    Some(limits.join(" and "))
}

/// Pages of one part that both workers had under way at the same time, as D365 saw it.
fn held_twice(pages: &[RequestRecord]) -> u64 {
    let mut parts: HashMap<String, Vec<&RequestRecord>> = HashMap::new();
    for page in pages {
        if let Some(part) = part_of(page) {
            parts.entry(part).or_default().push(page);
        }
    }
    let end = |page: &RequestRecord| page.answered.map_or(i64::MAX, UtcMillis::unix_millis);
    let mut overlaps = 0;
    for pages in parts.values() {
        for (place, &page) in pages.iter().enumerate() {
            // Requests are in the order of their starts.
            let meanwhile = pages[place + 1..]
                .iter()
                .filter(|other| other.app != page.app && other.started.unix_millis() < end(page));
            overlaps += meanwhile.count() as u64;
        }
    }
    overlaps
}

/// Makes each part that is held due again at once, as after a failover that forgot the lease; and once
/// more as long as two workers have hardly been seen at one.
async fn steal(stage: &Stage, before: u64, stolen: &mut u64) {
    let mut taken: HashMap<String, Stopwatch> = HashMap::new();
    loop {
        let keys = stage.keys("inv:contoso:shard:*#*").await;
        for key in keys.unwrap_or_default() {
            let part = key.trim_start_matches("inv:contoso:shard:").to_owned();
            let is_due = match taken.get(&part) {
                None => true,
                Some(last) => {
                    last.elapsed() >= BETWEEN_THEFTS
                        && held_twice(&stage.pages_since(before)) < SEEN_ENOUGH
                }
            };
            if is_due {
                let moved = stage
                    .redis(&["ZADD", "inv:contoso:due", "XX", "CH", "0", &part])
                    .await;
                *stolen += u64::from(moved.is_ok_and(|moved| moved == "1"));
                taken.insert(part, Stopwatch::start());
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) async fn two_holders(rig: Rig) -> Result<Outcome, RowError> {
    let mut d365 = rig.world();
    d365.sales_per_second = 600.0;
    d365.load.base_ms = 20;
    d365.apps
        .push(AppRegistration::with_secret(OTHER_APP, OTHER_SECRET));
    let settings = format!("page_size = {}\nlease = \"5s\"", rig.scale.items / 20);
    let stage = rig.stage(d365, &settings).await?;
    let of_other = |name: &str| format!("CONNECTOR__TENANTS__CONTOSO__ENTRA__PREFETCH__{name}");
    let other = stage
        .launch(Program::PrefetchWorker)?
        .named("other")
        .with_env(&of_other("CLIENT_ID"), OTHER_APP)
        .with_env(&of_other("CLIENT_SECRET"), OTHER_SECRET)
        .start()
        .await?;
    let mut workers = [stage.worker("one").await?, other];
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let (mut api_service, api) = stage.api().await?;
    let mut slow = FaultSpec::on(Kind::Page, late(700));
    slow.every = Some(4);
    stage.d365().add_fault(slow);
    let before = stage.last_request();
    let mut stolen = 0_u64;
    let browsed = tokio::select! {
        browsed = load(&rig, &stage, &api, rig.scale.fault * 2) => browsed?,
        () = steal(&stage, before, &mut stolen) => return Err("stealing ended".into()),
    };
    stage.d365().set_sales(0.0);
    let slow_pages = stage.faults_fired();
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
    outcome.none("false absences", verdict.false_absences);
    outcome.happened("parts taken from their holder", stolen);
    outcome.happened("pages of a part both workers were at", held_twice(&pages));
    outcome.happened("slow pages", slow_pages);
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

//! Pages that fail, and snapshots that are whole and wrong.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, WAREHOUSES, number};
use d365_simulator::{Action, CutPoint, FaultSpec, Kind};
use integration_tests::oracle::Told;
use std::collections::BTreeSet;
use std::time::Duration;

/// Longest time from an as-of to the instant its page was read.
const WINDOW_MS: i64 = 2_000;
/// How far Redis' clock and the simulator's may be apart.
const CLOCKS_APART_MS: i64 = 20;

/// How the pages of a cycle go wrong.
#[derive(Debug)]
struct Spoil {
    action: Action,
    warehouses: &'static [&'static str],
    /// Pages of each of these warehouses that are still good.
    good_pages: usize,
}

/// A cycle of both warehouses that has ended.
#[derive(Debug, Clone, Copy)]
struct Spoilt {
    began: i64,
    /// The last request before it.
    since: u64,
    /// Pages that went wrong.
    fired: u64,
}

impl Spoil {
    /// Runs one cycle of each warehouse. Its faults stay in force, so that a cycle that begins by
    /// itself is no better.
    async fn one_cycle(&self, stage: &Stage) -> Result<Spoilt, RowError> {
        let patience = Duration::from_mins(3);
        let mut before = Vec::new();
        for warehouse in WAREHOUSES {
            let at_rest = async || {
                let feed = stage.feed(warehouse).await.ok()?;
                let sealed = number(&feed, "sealed");
                (sealed == number(&feed, "generation")).then_some(sealed)
            };
            before.push(stage.within(patience, "a pause", at_rest).await?);
        }
        stage.d365().clear_faults();
        let (began, since) = (stage.now(), stage.last_request());
        let mut spoiling = BTreeSet::new();
        stage
            .within(patience, "the end of a cycle", async || {
                for warehouse in self.warehouses {
                    let is_time = good_pages(stage, since, warehouse) >= self.good_pages;
                    if is_time && spoiling.insert(*warehouse) {
                        let fault = FaultSpec::on(Kind::Page, self.action.clone());
                        stage.d365().add_fault(fault.warehouse(warehouse));
                    }
                }
                let mut has_ended = true;
                for (warehouse, before) in WAREHOUSES.into_iter().zip(&before) {
                    let feed = stage.feed(warehouse).await.ok()?;
                    if number(&feed, "generation") == *before {
                        // A failing warehouse waits longer each time; the row does not.
                        let due = ["ZADD", "inv:contoso:due", "LT", "0", warehouse];
                        drop(stage.redis(&due).await);
                    }
                    has_ended &= number(&feed, "sealed") > *before;
                }
                has_ended.then_some(())
            })
            .await?;
        Ok(Spoilt {
            began,
            since,
            fired: stage.faults_fired(),
        })
    }
}

/// Pages of a warehouse that were sent as they are.
fn good_pages(stage: &Stage, since: u64, warehouse: &str) -> usize {
    let mut pages = stage.pages_since(since);
    pages.retain(|page| {
        let is_good = page.faults == 0 && page.answered.is_some();
        is_good && page.warehouse.as_deref() == Some(warehouse)
    });
    pages.len()
}

/// The lines in front of the first page that went wrong: how many, and how many of them were not
/// renewed.
fn kept(stage: &Stage, cycle: Spoilt, told: &[Told]) -> Result<(u64, u64), RowError> {
    let warehouse = told.first().map_or("", |line| line.warehouse.as_str());
    let pages = stage.pages_since(cycle.since);
    let wrong = pages
        .iter()
        .find(|page| page.faults > 0 && page.warehouse.as_deref() == Some(warehouse))
        .ok_or("no page went wrong")?;
    // Where it was asked to begin: what is in front of it was read from good pages.
    let address = reqwest::Url::parse(&format!("http://d365{}", wrong.address))?;
    let (_, filter) = address
        .query_pairs()
        .find(|(name, _)| name == "$filter")
        .ok_or("a page without a filter")?;
    let (_, after) = filter
        .split_once("ItemNumber gt '")
        .ok_or("the first page went wrong")?;
    let border = literal(after);
    let place = told
        .iter()
        .position(|line| line.sku == border)
        .ok_or("a page began behind an item that is not there")?;
    let in_front = &told[..=place];
    let oldest = cycle.began - CLOCKS_APART_MS;
    let old = in_front
        .iter()
        .filter(|line| line.as_of.is_none_or(|as_of| as_of < oldest))
        .count();
    Ok((in_front.len() as u64, old as u64))
}

/// The text up to the end of a literal, its quotes undoubled.
fn literal(text: &str) -> String {
    let mut value = String::new();
    let mut rest = text;
    while let Some((piece, after)) = rest.split_once('\'') {
        value.push_str(piece);
        let Some(more) = after.strip_prefix('\'') else {
            break;
        };
        value.push('\'');
        rest = more;
    }
    value
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
    let (mut false_zeros, mut lies, mut fired) = (0, 0, 0);
    let (mut are_partial, mut in_front, mut not_renewed) = (true, 0, 0);
    let mut actions = vec![
        Action::ServerError,
        cut,
        Action::BadJson,
        html("application/json"),
    ];
    if rig.scale.is_full {
        actions.push(html("text/html"));
    }
    for action in actions {
        let spoil = Spoil {
            action,
            warehouses: &WAREHOUSES,
            good_pages: 2,
        };
        for _ in 0..2 {
            let cycle = spoil.one_cycle(&stage).await?;
            fired += cycle.fired;
            for warehouse in WAREHOUSES {
                are_partial &= stage.feed(warehouse).await?["state"] == "partial";
                let items = stage.items(warehouse)?;
                let told = stage.told(&api, warehouse, &items).await?;
                let (ahead, old) = kept(&stage, cycle, &told)?;
                in_front += ahead;
                not_renewed += old;
                let verdict = stage.judge(&told, WINDOW_MS);
                false_zeros += verdict.false_absences;
                lies += verdict.lies;
            }
        }
    }
    let mut outcome = Outcome::default();
    outcome.none("false zeros", false_zeros);
    outcome.none("lies about age", lies);
    outcome.holds("cycles partial", are_partial);
    outcome.none("lines of the pages before not renewed", not_renewed);
    outcome.happened("pages failed", fired);
    outcome.happened("lines of the pages before", in_front);
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

pub(super) async fn wrong_snapshots(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_hours(1);
    // Where a page holds a whole warehouse, half of it is half of the snapshot.
    let page_size = (rig.scale.items * 2).min(10_000);
    let settings = format!("page_size = {page_size}\nparallel_shards = 4");
    let mut d365 = rig.world();
    d365.load.base_ms = 60;
    let stage = rig.stage(d365, &settings).await?;
    let mut worker = stage.worker("worker").await?;
    let (mut api_service, api) = stage.api().await?;
    stage.snapshots_since(0, Duration::from_mins(3)).await?;
    let company = Action::WrongCompany {
        company: "dat".to_owned(),
    };
    let wrong: [(Action, &'static [&'static str]); 4] = [
        (Action::Empty, &WAREHOUSES),
        (Action::Halve, &WAREHOUSES),
        (company, &WAREHOUSES),
        (Action::Empty, &["24"]),
    ];
    let (mut false_zeros, mut lies, mut fired) = (0, 0, 0);
    let (mut is_told, mut others_complete, mut wrong_cycles) = (true, true, 0);
    for (action, warehouses) in wrong {
        let spoil = Spoil {
            action,
            warehouses,
            good_pages: 0,
        };
        // Told after the first; the second is what would prove an absence.
        for _ in 0..2 {
            let cycle = spoil.one_cycle(&stage).await?;
            fired += cycle.fired;
            wrong_cycles += warehouses.len();
            for warehouse in WAREHOUSES {
                let feed = stage.feed(warehouse).await?;
                if warehouses.contains(&warehouse) {
                    is_told &= feed["state"] != "complete" && feed.contains_key("reason");
                } else {
                    others_complete &= feed["state"] == "complete";
                }
            }
        }
        for warehouse in WAREHOUSES {
            let items = stage.items(warehouse)?;
            let told = stage.told(&api, warehouse, &items).await?;
            let verdict = stage.judge(&told, WINDOW_MS);
            false_zeros += verdict.false_absences;
            lies += verdict.lies;
        }
    }
    let counted = stage
        .metric(&worker, "prefetch_cycles_total", "quarantined")
        .await?;
    stage.d365().clear_faults();
    let mended = stage.now();
    for warehouse in WAREHOUSES {
        let due = ["ZADD", "inv:contoso:due", "LT", "0", warehouse];
        stage.redis(&due).await?;
    }
    let mended = stage.snapshots_since(mended, Duration::from_mins(2)).await;
    let mut outcome = Outcome::default();
    outcome.none("false zeros", false_zeros);
    outcome.none("lies about age", lies);
    outcome.holds("told in the record after one cycle", is_told);
    outcome.holds("the other warehouse complete", others_complete);
    let wrong_cycles = u32::try_from(wrong_cycles)?;
    outcome.holds(
        "each counted as quarantined",
        counted >= f64::from(wrong_cycles),
    );
    outcome.holds("complete again", mended.is_ok());
    outcome.happened("wrong pages", fired);
    worker.stop().await?;
    api_service.stop().await?;
    Ok(outcome)
}

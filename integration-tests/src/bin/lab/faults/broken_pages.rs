//! Pages that fail, and snapshots that are whole and wrong.

use super::outcome::Outcome;
use super::scale::{Scale, WAREHOUSES};
use d365_simulator::{Action, CutPoint, FaultSpec, Kind};
use integration_tests::api_client::ApiClient;
use integration_tests::eventually::eventually;
use integration_tests::test_bed::{Failure, TestBed};
use std::time::Duration;

/// Longest time from an as-of to the instant its page was read.
const WINDOW_MS: i64 = 2_000;
/// How far Redis' clock and the simulator's may be apart.
const CLOCKS_APART_MS: i64 = 20;
/// Pages of each warehouse that are good before one fails.
const GOOD_PAGES: usize = 2;

/// What goes wrong in a cycle of both warehouses, and in which of them.
struct Spoil {
    fault: FaultSpec,
    warehouses: &'static [&'static str],
    good_pages: usize,
}

/// What cycles that went wrong have led to.
#[derive(Debug, Default)]
struct Seen {
    false_zeros: u64,
    lies: u64,
    fired: u64,
    wrong_states: Vec<String>,
    /// Lines of good first pages, and those of them that were not renewed.
    of_first_pages: u64,
    not_renewed: u64,
}

impl Spoil {
    /// Runs `once` twice: the second incomplete cycle is what could prove an absence.
    async fn apply(
        &self,
        bed: &TestBed,
        api: &ApiClient,
        state: &str,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        for _ in 0..2 {
            bed.d365().clear_faults();
            let (began, since) = (bed.now(), bed.last_request());
            let cycle = bed.start_tool(&["once"])?;
            for warehouse in self.warehouses {
                let good = async || {
                    let good = pages_of(bed, since, warehouse);
                    (good.len() >= self.good_pages).then_some(())
                };
                eventually("the good pages", good).await?;
                let fault = self.fault.clone();
                bed.d365().add_fault(fault.warehouse(warehouse));
            }
            let ended = cycle.wait_with_output().await?;
            seen.fired += bed.faults_fired();
            for warehouse in WAREHOUSES {
                let feed = bed.feed(warehouse).await?;
                let is_spoilt = self.warehouses.contains(&warehouse);
                let expected = if is_spoilt { state } else { "complete" };
                if feed["state"] != expected || is_spoilt && ended.status.success() {
                    let action = &self.fault.action;
                    seen.wrong_states.push(format!("{action:?}: {feed:?}"));
                }
                let items = bed.items(warehouse)?;
                let lines = bed.lines(api, warehouse, &items).await?;
                let verdict = bed.judge(&lines, WINDOW_MS);
                seen.false_zeros += verdict.false_absences;
                seen.lies += verdict.lies;
                // Later pages begin with the rows of an item that the page before has cut.
                let first_page = pages_of(bed, since, warehouse).first().copied();
                let mut good = bed.d365().truth("usmf", Some(warehouse), None)?;
                good.truncate(first_page.unwrap_or_default());
                // The last item of a page waits for the next page.
                let Some(last) = good.pop() else { continue };
                for line in lines.iter().take_while(|line| line.sku != last.item) {
                    seen.of_first_pages += 1;
                    let renewed = line.as_of.is_some_and(|at| at >= began - CLOCKS_APART_MS);
                    seen.not_renewed += u64::from(!renewed);
                }
            }
        }
        Ok(())
    }
}

/// Rows of each page of a warehouse that was sent as it is.
fn pages_of(bed: &TestBed, since: u64, warehouse: &str) -> Vec<usize> {
    let pages = bed.requests(Kind::Page, since).into_iter();
    pages
        .filter(|page| page.faults == 0 && page.answered.is_some())
        .filter(|page| page.warehouse.as_deref() == Some(warehouse))
        .map(|page| page.rows)
        .collect()
}

async fn apply_all(
    scale: Scale,
    page_size: usize,
    spoils: Vec<(Spoil, &str)>,
) -> Result<Outcome, Failure> {
    let scale = scale.every(Duration::from_hours(1));
    let worker = format!("page_size = {page_size}\nparallel_shards = 4");
    let bed = scale.bed(scale.world(60), &worker, |_| {}).await?;
    bed.snapshot().await?;
    let (mut service, api) = bed.api().await?;
    let mut seen = Seen::default();
    for (spoil, state) in spoils {
        spoil.apply(&bed, &api, state, &mut seen).await?;
    }
    bed.d365().clear_faults();
    let mended = bed.snapshot().await;
    let mut outcome = Outcome::default();
    outcome.none("false zeros", seen.false_zeros);
    outcome.none("lies about age", seen.lies);
    let wrong = seen.wrong_states.join(", ");
    outcome.holds(
        &format!("each feed says what it is {wrong}"),
        wrong.is_empty(),
    );
    outcome.none("lines of first pages not renewed", seen.not_renewed);
    outcome.holds("complete again", mended.is_ok());
    outcome.happened("pages spoilt", seen.fired);
    outcome.happened("lines of first pages", seen.of_first_pages);
    service.stop().await?;
    Ok(outcome)
}

fn html(kind: &str) -> Action {
    Action::Html {
        content_type: kind.to_owned(),
    }
}

pub(super) async fn failing_pages(scale: Scale) -> Result<Outcome, Failure> {
    let cut = Action::Cut {
        after: CutPoint::Rows(20),
    };
    let actions = [
        Action::ServerError,
        cut,
        Action::BadJson,
        html("application/json"),
        html("text/html"),
        Action::Forbidden,
    ];
    let spoils = actions.map(|action| {
        let spoil = Spoil {
            fault: FaultSpec::on(Kind::Page, action),
            warehouses: &WAREHOUSES,
            good_pages: GOOD_PAGES,
        };
        (spoil, "partial")
    });
    apply_all(scale, scale.items / 10, spoils.into()).await
}

pub(super) async fn wrong_snapshots(scale: Scale) -> Result<Outcome, Failure> {
    let company = Action::WrongCompany {
        company: "dat".to_owned(),
    };
    let warehouse = Action::WrongWarehouse {
        warehouse: "42".to_owned(),
        every: 7,
    };
    let wrong: [(Action, &'static [&'static str]); 5] = [
        (Action::Empty, &WAREHOUSES),
        (Action::Halve, &WAREHOUSES),
        (company, &WAREHOUSES),
        (warehouse, &WAREHOUSES),
        (Action::Empty, &["24"]),
    ];
    let spoils = wrong.map(|(action, warehouses)| {
        let spoil = Spoil {
            fault: FaultSpec::on(Kind::Page, action),
            warehouses,
            good_pages: 0,
        };
        (spoil, "quarantined")
    });
    // Where a page holds a whole warehouse, half of it is half of the snapshot.
    apply_all(scale, (scale.items * 2).min(10_000), spoils.into()).await
}

//! Random histories of orders, each of one SKU, against the whole house, and a judge of every reply.
//!
//! Two replicas of the API, a Redis, a worker and the simulator; a history draws from its seed what
//! happens to its SKU: orders, repetitions, changes, reservations, bookings, confirmations, live and
//! browse questions, snapshots, stock that comes and goes; some of it at the same time at both
//! replicas. Many histories are under way at once.
//!
//! The judge knows what every call was told and what D365 had when. Between two calls there is one
//! right answer; only beside a call under way there are two. It fails a reply that subtracts an order
//! twice or not at all, that hides a shortage, or that holds what is over.
//!
//! - `event` what can happen, `history` and `acts` one history as it happens.
//! - `ledger` what may be held, `erp` what D365 had, `judge` the rules: all three pure.
//! - `calls`, `browsing`, `snapshots` how the house is asked; `house` what is asked.
//! - `closing` the end of all holds, `report` what came of it.

mod acts;
mod browsing;
mod calls;
mod closing;
mod erp;
mod event;
mod history;
mod house;
mod judge;
mod ledger;
mod report;
mod scene;
mod snapshots;
mod tally;
mod told;

pub use house::{HouseError, Plan};
pub use report::{Report, Violation};

use crate::stopwatch::Stopwatch;
use browsing::browsing;
use futures_util::{TryStreamExt, stream};
use history::{History, Stop};
use house::House;
use scene::Scene;
use snapshots::Snapshots;
use std::cell::RefCell;
use std::time::Duration;
use tally::Tally;

/// Rows of a snapshot after which the house rests for a second: histories are the load, not snapshots.
const ROWS_A_SECOND: u64 = 12_000;

/// Runs histories and gives back what came of them.
///
/// # Errors
/// If the house cannot be built, or does not answer as it should: then nothing was shown.
pub async fn run(plan: &Plan) -> Result<Report, HouseError> {
    let house = House::build(plan).await?;
    snapshots::take(&house, 1).await?;
    let watch = Stopwatch::start();
    let (tally, snapshots) = (Tally::default(), Snapshots::default());
    let (browsing, questions) = browsing();
    let scene = Scene::new(&house, (plan.seed, plan.hold), browsing, &snapshots, &tally);
    let violations = RefCell::new(Vec::new());
    // Histories the house did not let happen: the others go on.
    let broken = RefCell::new(Vec::new());
    let rest = Duration::from_millis(plan.histories * 1_000 / ROWS_A_SECOND);
    let histories = stream::iter((0..plan.histories).map(Ok::<_, HouseError>));
    let happening = histories.try_for_each_concurrent(plan.at_once, |number| {
        let (scene, violations, broken) = (&scene, &violations, &broken);
        Box::pin(async move {
            let mut history = History::new(scene, number);
            match history.happen().await {
                Ok(()) => Ok(()),
                Err(Stop::Untrue(what)) => {
                    let violation = Violation::of(&history, what);
                    violations.borrow_mut().push(violation);
                    Ok(())
                }
                Err(Stop::House(error)) => {
                    let violation = Violation::of(&history, format!("BROKEN, {error}"));
                    broken.borrow_mut().push(violation);
                    Ok(())
                }
            }
        })
    });
    tokio::select! {
        done = happening => done?,
        ended = questions.ask(&house.replicas, &tally) => {
            ended?;
            return Err("nobody asks browse questions any more".into());
        }
        ended = snapshots.make(&house, rest, &tally) => ended?,
    }
    let happened = watch.elapsed();
    let mut violations = violations.into_inner();
    let broken: Vec<Violation> = broken.into_inner();
    // The end of all holds is another question than what was told of them meanwhile.
    let closing = if violations.is_empty() && broken.is_empty() {
        Some(closing::close(plan, &house, &tally).await?)
    } else {
        None
    };
    if let Some(closing) = &closing {
        violations.extend(closing.violations.iter().cloned());
    }
    let reasons = scene.reasons.take();
    Ok(Report {
        plan: plan.clone(),
        redis: house.redis().to_string(),
        happened,
        took: watch.elapsed(),
        events: tally.events(),
        counts: tally.counts(),
        reasons,
        released: closing.map(|closing| closing.released),
        violations,
        broken,
    })
}

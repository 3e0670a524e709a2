//! What becomes of live questions when D365's tokens cannot be had, or are not taken any more.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, most_at_once};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, RequestRecord};
use futures_util::future::join_all;
use integration_tests::api_client::ApiClient;
use integration_tests::stopwatch::Stopwatch;
use std::time::Duration;

/// Callers who find no token at all, at once.
const FIRST_CALLERS: usize = 50;
/// A token this old is replaced when D365 refuses it.
const OLD_ENOUGH: Duration = Duration::from_secs(32);
/// Life of the token during whose life the endpoint goes down. Renewed after four fifths of it, more
/// than a minute after it was got: a token that lives shorter needs more than two calls in some minute,
/// the one that gets it and two that fail to renew it.
const SHORT_LIFE: i64 = 76;
/// The connector takes five seconds off, and an answer needs a moment.
const SURELY_GOOD: Duration = Duration::from_secs(68);
/// From the token's end until its endpoint is back.
const WITHOUT_TOKEN: Duration = Duration::from_secs(3);
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(200);
/// Two failures lie in a minute at most, so that long after the first one there is a third try.
const BACK_WITHIN: Duration = Duration::from_secs(65);

async fn is_live(api: &ApiClient, sku: &str) -> bool {
    let reply = api.exact("24", &[sku]).await;
    reply.is_ok_and(|reply| reply.json["data"][0]["source"] == "LIVE")
}

fn token_calls(stage: &Stage) -> Vec<RequestRecord> {
    let mut requests = stage.d365().requests(0);
    requests.retain(|request| request.kind == Kind::Token);
    requests
}

/// The most token calls that began within one minute, whatever came of them.
fn most_in_a_minute(calls: &[RequestRecord]) -> usize {
    let began: Vec<i64> = calls
        .iter()
        .map(|call| call.started.unix_millis())
        .collect();
    began
        .iter()
        .map(|first| {
            let in_minute = |at: &&i64| (0..60_000).contains(&(**at - first));
            began.iter().filter(in_minute).count()
        })
        .max()
        .unwrap_or_default()
}

pub(super) async fn revoked_slow_down(rig: Rig) -> Result<Outcome, RowError> {
    let stage = rig.stage(rig.world(), "").await?;
    let (mut service, api) = stage.api().await?;
    let items = stage.items("24")?;
    let sku = items.first().ok_or("the world is empty")?.as_str();
    let mut outcome = Outcome::default();
    let fault = |action| FaultSpec::on(Kind::Token, action);

    // Slow: many callers at once, and no token yet.
    let slow = Action::Delay {
        ms: 1_000,
        at: DelayPoint::default(),
    };
    stage.d365().add_fault(fault(slow).times(1));
    let first = join_all((0..FIRST_CALLERS).map(|_| is_live(&api, sku))).await;
    let refused = first.iter().filter(|live| !**live).count();
    outcome.none("of 50 first callers refused", refused as u64);
    outcome.at_most(
        "token calls for them",
        count(token_calls(&stage).len()),
        1.0,
        "",
    );

    // Revoked: D365 refuses the token, the next one lives shortly.
    tokio::time::sleep(OLD_ENOUGH).await;
    let short = Action::ShortToken {
        seconds: SHORT_LIFE,
    };
    stage.d365().add_fault(fault(short).times(1));
    stage
        .d365()
        .add_fault(FaultSpec::on(Kind::Lookup, Action::Unauthorized).times(1));
    outcome.holds("a revoked token is replaced", is_live(&api, sku).await);
    let replaced = Stopwatch::start();
    outcome.at_most(
        "token calls by then",
        count(token_calls(&stage).len()),
        2.0,
        "",
    );
    outcome.happened("refusals, slow and short tokens", stage.faults_fired());
    stage.d365().clear_faults();

    // Down: the old token serves until it ends.
    stage.d365().add_fault(fault(Action::ServerError));
    let (mut early, mut served) = (0_u64, 0_u64);
    while replaced.elapsed() < SURELY_GOOD {
        let live = is_live(&api, sku).await;
        early += u64::from(!live);
        served += u64::from(live);
        tokio::time::sleep(BETWEEN_QUESTIONS).await;
    }
    let life = Duration::from_secs(SHORT_LIFE.unsigned_abs());
    while replaced.elapsed() < life + WITHOUT_TOKEN {
        is_live(&api, sku).await;
        tokio::time::sleep(BETWEEN_QUESTIONS).await;
    }
    let failures = stage.faults_fired();
    stage.d365().clear_faults();
    let back = Stopwatch::start();
    let live_again = stage
        .within(BACK_WITHIN, "live answers", async || {
            is_live(&api, sku).await.then_some(())
        })
        .await;
    let back = live_again.map_or(f64::INFINITY, |()| back.elapsed().as_secs_f64());
    let calls = token_calls(&stage);
    outcome.none("live questions refused while the old token was good", early);
    let at_once = usize::try_from(most_at_once(&calls))?;
    outcome.at_most("token calls at once", count(at_once), 1.0, "");
    outcome.at_most(
        "token calls in any minute, good or failed",
        count(most_in_a_minute(&calls)),
        2.0,
        "",
    );
    outcome.at_most("live again after", back, BACK_WITHIN.as_secs_f64(), " s");
    outcome.happened("failed token calls", failures);
    outcome.happened("live answers without the endpoint", served);
    service.stop().await?;
    Ok(outcome)
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

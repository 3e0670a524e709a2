//! Live questions while D365's tokens cannot be had, or are not taken any more.

use super::outcome::Outcome;
use super::scale::Scale;
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, RequestRecord};
use futures_util::future::join_all;
use integration_tests::api_client::ApiClient;
use integration_tests::eventually::eventually_within;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::test_bed::{Failure, most_at_once, spans};
use std::time::Duration;

/// Callers who find no token at all, at once.
const FIRST_CALLERS: usize = 50;
/// A token this old is replaced when D365 refuses it.
const OLD_ENOUGH: Duration = Duration::from_secs(32);
/// Life of the token during whose life the endpoint goes down. Renewed after four fifths of it, more
/// than a minute after it was got: a token that lives shorter needs more than two calls in some minute,
/// the one that gets it and two that fail to renew it.
const SHORT_LIFE_SECONDS: i64 = 76;
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

/// The most calls that began within one minute, whatever came of them.
fn most_in_a_minute(calls: &[RequestRecord]) -> usize {
    let began = || calls.iter().map(|call| call.started.unix_millis());
    let in_minute_from = |first: i64| began().filter(move |at| (0..60_000).contains(&(at - first)));
    let counts = began().map(|first| in_minute_from(first).count());
    counts.max().unwrap_or_default()
}

pub(super) async fn revoked_slow_down(scale: Scale) -> Result<Outcome, Failure> {
    let bed = scale.bed(scale.world(0), "", |_| {}).await?;
    let (mut service, api) = bed.api().await?;
    let items = bed.items("24")?;
    let sku = items.first().ok_or("the world is empty")?.as_str();
    let token_calls = || bed.requests(Kind::Token, 0);
    let add = |kind, action, times| {
        let fault = FaultSpec::on(kind, action);
        bed.d365().add_fault(fault.times(times));
    };
    let mut outcome = Outcome::default();

    // Slow: many callers at once, and no token yet.
    let slow = Action::Delay {
        ms: 1_000,
        at: DelayPoint::default(),
    };
    add(Kind::Token, slow, 1);
    let first = join_all((0..FIRST_CALLERS).map(|_| is_live(&api, sku))).await;
    let refused = first.iter().filter(|live| !**live).count();
    outcome.none("of 50 first callers refused", refused as u64);
    outcome.count_at_most("token calls for them", token_calls().len() as u64, 1);

    // Revoked: D365 refuses the token, the next one lives shortly.
    tokio::time::sleep(OLD_ENOUGH).await;
    let short = Action::ShortToken {
        seconds: SHORT_LIFE_SECONDS,
    };
    add(Kind::Token, short, 1);
    add(Kind::Lookup, Action::Unauthorized, 1);
    outcome.holds("a revoked token is replaced", is_live(&api, sku).await);
    let replaced = Stopwatch::start();
    outcome.count_at_most("token calls by then", token_calls().len() as u64, 2);
    outcome.happened("refusals, slow and short tokens", bed.faults_fired());
    bed.d365().clear_faults();

    // Down: the old token serves until it ends.
    add(Kind::Token, Action::ServerError, u64::MAX);
    let (mut early, mut served) = (0_u64, 0_u64);
    let lifetime = Duration::from_secs(SHORT_LIFE_SECONDS.unsigned_abs());
    while replaced.elapsed() < lifetime + WITHOUT_TOKEN {
        let is_good = replaced.elapsed() < SURELY_GOOD;
        let live = is_live(&api, sku).await;
        early += u64::from(is_good && !live);
        served += u64::from(is_good && live);
        tokio::time::sleep(BETWEEN_QUESTIONS).await;
    }
    let failures = bed.faults_fired();
    bed.d365().clear_faults();
    let back = Stopwatch::start();
    let live_again = eventually_within(BACK_WITHIN, "live answers", async || {
        is_live(&api, sku).await.then_some(())
    })
    .await;
    let back = live_again.ok().map(|()| back.elapsed());
    let calls = token_calls();
    outcome.none("live questions refused while the old token was good", early);
    outcome.count_at_most("token calls at once", most_at_once(&calls) as u64, 1);
    let most = most_in_a_minute(&calls) as u64;
    outcome.count_at_most("token calls in any minute, good or failed", most, 2);
    outcome.within("live again after", back, BACK_WITHIN);
    let what = format!("failed token calls, all at {} ms", spans(&calls));
    outcome.happened(&what, failures);
    outcome.happened("live answers without the endpoint", served);
    service.stop().await?;
    Ok(outcome)
}

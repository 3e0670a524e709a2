//! D365 says "not now", or comes and goes.

use super::outcome::{Outcome, after};
use super::scale::Scale;
use d365_simulator::{
    Action, AppRegistration, Config, FaultSpec, Kind, RequestRecord, RetryAfter, ThrottleBody,
    UtcMillis,
};
use integration_tests::api_client::ApiClient;
use integration_tests::eventually::eventually_within;
use integration_tests::tcp_proxy::Weather;
use integration_tests::test_bed::{Failure, TestBed, most_at_once, proxy_before};
use std::sync::atomic::Ordering;
use std::time::Duration;

const LIVE_APP: &str = "99999999-bbbb-cccc-dddd-eeeeeeeeeeee";
const LIVE_SECRET: &str = "live~secret";
/// Clocks and the way there: what a call may be early by.
const TOLERANCE_MS: i64 = 100;

/// How D365 refuses.
#[derive(Debug, Clone, Copy)]
struct Refusing {
    retry_after: RetryAfter,
    /// What the first refusal asks for; without a header what the worker waits by itself.
    first_ms: i64,
    /// Refusals in a row; each asks for twice as much as the one before.
    times: u64,
}

const REFUSING: [Refusing; 4] = [
    Refusing {
        retry_after: RetryAfter::Seconds(3),
        first_ms: 3_000,
        times: 1,
    },
    Refusing {
        retry_after: RetryAfter::DateIn(4),
        first_ms: 4_000,
        times: 1,
    },
    Refusing {
        retry_after: RetryAfter::None,
        first_ms: 30_000,
        times: 1,
    },
    Refusing {
        retry_after: RetryAfter::Growing(2),
        first_ms: 2_000,
        times: 3,
    },
];

/// A time D365 wants no calls in.
#[derive(Debug, Clone, Copy)]
struct Closed {
    from: i64,
    until: i64,
}

impl Closed {
    /// Whether a call may not have begun then. What was on its way when the refusal came could not
    /// know of it.
    fn forbids(self, started: i64) -> bool {
        started > self.from + TOLERANCE_MS && started < self.until - TOLERANCE_MS
    }

    /// When the first call after the refusal began.
    fn next_call(self, calls: &[RequestRecord]) -> Option<i64> {
        let mut started = calls.iter().map(|call| call.started.unix_millis());
        started.find(|started| *started > self.from + TOLERANCE_MS)
    }
}

impl Refusing {
    /// The times that calls were refused for. Calls that were under way together and were both
    /// refused make one, as long as the longer.
    fn closed(self, calls: &[RequestRecord]) -> Vec<Closed> {
        let mut all: Vec<Closed> = Vec::new();
        let mut wait_ms = self.first_ms;
        for call in calls.iter().filter(|call| call.status == Some(429)) {
            let Some(from) = call.answered.map(UtcMillis::unix_millis) else {
                break;
            };
            let until = from + wait_ms;
            wait_ms *= 2;
            match all.last_mut() {
                Some(last) if call.started.unix_millis() <= last.from + TOLERANCE_MS => {
                    last.until = last.until.max(until);
                }
                _ => all.push(Closed { from, until }),
            }
        }
        all
    }

    /// Refuses, and asks live meanwhile until prefetching is back.
    async fn apply(
        self,
        bed: &TestBed,
        api: &ApiClient,
        skus: &[&str],
        seen: &mut Waits,
    ) -> Result<(), Failure> {
        let before = bed.last_request();
        let throttle = Action::Throttle {
            retry_after: self.retry_after,
            body: ThrottleBody::WebApi,
        };
        let fault = FaultSpec::on(Kind::Page, throttle).app(Config::CLIENT_ID);
        bed.d365().add_fault(fault.times(self.times));
        let patience = Duration::from_mins(2);
        let calls = eventually_within(patience, "prefetching to be back", async || {
            // Live look-ups have a registration of their own and go on meanwhile.
            let reply = api.exact("24", skus).await.ok()?;
            seen.live += 1;
            seen.live_refused += u64::from(reply.json["data"][0]["source"] != "LIVE");
            let mut calls = bed.calls(before);
            calls.retain(|call| call.app.as_deref() == Some(Config::CLIENT_ID));
            let is_refused =
                |call: &&RequestRecord| call.status == Some(429) && call.answered.is_some();
            let refused = calls.iter().filter(is_refused).count() as u64;
            let last = self.closed(&calls).last().copied()?;
            let is_back = refused == self.times && last.next_call(&calls).is_some();
            is_back.then_some(calls)
        })
        .await?;
        let mut longest_ms = 0;
        for closed in self.closed(&calls) {
            let started = calls.iter().map(|call| call.started.unix_millis());
            seen.early += started.filter(|at| closed.forbids(*at)).count() as u64;
            let wait_ms = closed.until - closed.from;
            let back = after(closed.from, closed.next_call(&calls).unwrap_or(i64::MAX));
            let wait = after(closed.from, closed.until);
            seen.worst_return = seen.worst_return.max(back.div_duration_f64(wait));
            seen.grown += u64::from(longest_ms > 0 && wait_ms > longest_ms);
            longest_ms = longest_ms.max(wait_ms);
        }
        seen.refusals += self.times;
        bed.d365().clear_faults();
        Ok(())
    }
}

/// What came of all refusals.
#[derive(Debug, Default)]
struct Waits {
    early: u64,
    worst_return: f64,
    refusals: u64,
    /// Waits that were longer than the one before them.
    grown: u64,
    live: u64,
    live_refused: u64,
}

pub(super) async fn asked_to_wait(scale: Scale) -> Result<Outcome, Failure> {
    let scale = scale.every(Duration::from_secs(2));
    let mut d365 = scale.world(30);
    d365.apps
        .push(AppRegistration::with_secret(LIVE_APP, LIVE_SECRET));
    let worker = format!("page_size = {}", scale.items / 20);
    let bed = scale
        .bed(d365, &worker, |config| {
            config.live_app = Some((LIVE_APP.to_owned(), LIVE_SECRET.to_owned()));
        })
        .await?;
    let mut workers = Vec::new();
    for name in ["one", "two", "three"] {
        workers.push(bed.worker(name).await?);
    }
    let (mut service, api) = bed.api().await?;
    bed.complete_since(0, scale.two_cycles()).await?;
    let items = bed.items("24")?;
    let skus: Vec<&str> = items.iter().take(10).map(String::as_str).collect();
    let mut seen = Waits::default();
    for refusing in REFUSING {
        refusing.apply(&bed, &api, &skus, &mut seen).await?;
        bed.complete_since(bed.now(), scale.two_cycles()).await?;
    }
    let mut outcome = Outcome::default();
    outcome.none("calls before the wait is over, of 3 replicas", seen.early);
    let what = "live questions without a live answer meanwhile";
    outcome.none(what, seen.live_refused);
    let unit = " x the wait";
    outcome.at_most("prefetching back after", seen.worst_return, 2.0, unit);
    outcome.happened("refusals", seen.refusals);
    outcome.happened("waits longer than the one before", seen.grown);
    outcome.happened("live questions", seen.live);
    for worker in &mut workers {
        worker.stop().await?;
    }
    service.stop().await?;
    Ok(outcome)
}

pub(super) async fn flapping(scale: Scale) -> Result<Outcome, Failure> {
    let half = Duration::from_secs(10);
    let rounds = if scale.is_full { 30 } else { 6 };
    // No divisor of the flapping's period: parts become due at any moment of it.
    let scale = scale.every(Duration::from_secs(7));
    let mut d365 = scale.world(40);
    let (proxy, url) = proxy_before(&mut d365).await?;
    let worker = format!("page_size = {}", scale.items / 20);
    let bed = scale
        .bed(d365, &worker, |config| config.d365_url = url)
        .await?;
    let mut workers = [bed.worker("one").await?, bed.worker("other").await?];
    bed.complete_since(0, scale.two_cycles()).await?;
    let before = bed.last_request();
    bed.complete_since(bed.now(), scale.two_cycles()).await?;
    let connections = || proxy.counters().connections.load(Ordering::Relaxed);
    let mut most_tries = 0;
    for _ in 0..rounds {
        proxy.set(Weather::Cut);
        let tries_before = connections();
        tokio::time::sleep(half).await;
        most_tries = most_tries.max(connections() - tries_before);
        proxy.set(Weather::Fair);
        tokio::time::sleep(half).await;
    }
    let ended = bed.now();
    let back = bed.complete_since(ended, Duration::from_mins(5)).await;
    let back = back.ok().map(|()| after(ended, bed.now()));
    let mut outcome = Outcome::default();
    // Twelve calls at once, each tried again after half a second or more.
    outcome.count_at_most("tries in ten seconds without D365", most_tries, 240);
    let at_once = most_at_once(&bed.requests(Kind::Page, before)) as u64;
    outcome.count_at_most("calls at once", at_once, 12);
    outcome.within("snapshots again after", back, Duration::from_mins(1));
    let cut = proxy.counters().cut.load(Ordering::Relaxed);
    outcome.happened("connections cut", cut);
    for worker in &mut workers {
        worker.stop().await?;
    }
    Ok(outcome)
}

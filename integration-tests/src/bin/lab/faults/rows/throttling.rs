//! D365 says "not now", or comes and goes.

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, most_at_once};
use d365_simulator::{
    Action, AppRegistration, Config, FaultSpec, Kind, RequestRecord, RetryAfter, ThrottleBody,
    UtcMillis,
};
use integration_tests::api_client::ApiClient;
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::tcp_proxy::{TcpProxy, Weather};
use std::sync::atomic::Ordering;
use std::time::Duration;

const LIVE_APP: &str = "99999999-bbbb-cccc-dddd-eeeeeeeeeeee";
const LIVE_SECRET: &str = "live~secret";
/// Clocks and the way there: what a call may be early by.
const TOLERANCE_MS: i64 = 100;

/// What the worker waits if it is told nothing: `d365/throttle/retry_after.rs`.
const TOLD_NOTHING_MS: i64 = 30_000;

/// How D365 refuses.
#[derive(Debug, Clone, Copy)]
struct Refusing {
    retry_after: RetryAfter,
    /// What the first refusal asks for.
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
        first_ms: TOLD_NOTHING_MS,
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
        calls
            .iter()
            .map(|call| call.started.unix_millis())
            .find(|started| *started > self.from + TOLERANCE_MS)
    }
}

impl Refusing {
    /// Calls of prefetching since a request, whatever they ask for.
    fn calls_since(stage: &Stage, seq: u64) -> Vec<RequestRecord> {
        let mut calls = stage.calls_since(seq);
        calls.retain(|call| call.app.as_deref() == Some(Config::CLIENT_ID));
        calls
    }

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
    async fn try_on(
        self,
        stage: &Stage,
        api: &ApiClient,
        skus: &[&str],
        seen: &mut Waits,
    ) -> Result<(), RowError> {
        let before = stage.last_request();
        let throttle = Action::Throttle {
            retry_after: self.retry_after,
            body: ThrottleBody::WebApi,
        };
        let fault = FaultSpec::on(Kind::Page, throttle).app(Config::CLIENT_ID);
        stage.d365().add_fault(fault.times(self.times));
        let patience = Duration::from_mins(2);
        let calls = stage
            .within(patience, "prefetching to be back", async || {
                // Live look-ups have a registration of their own and go on meanwhile.
                let reply = api.exact("24", skus).await.ok()?;
                seen.live += 1;
                seen.live_refused += u64::from(reply.json["data"][0]["source"] != "LIVE");
                let calls = Self::calls_since(stage, before);
                let refused = calls.iter().filter(|call| is_refused(call)).count();
                let last = self.closed(&calls).last().copied()?;
                let is_back = refused as u64 == self.times && last.next_call(&calls).is_some();
                is_back.then_some(calls)
            })
            .await?;
        let mut longest_ms = 0;
        for closed in self.closed(&calls) {
            let started = calls.iter().map(|call| call.started.unix_millis());
            seen.early += started.filter(|at| closed.forbids(*at)).count() as u64;
            let wait_ms = closed.until - closed.from;
            let took_ms = closed.next_call(&calls).unwrap_or(i64::MAX) - closed.from;
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a minute")]
            let of_wait = took_ms as f64 / wait_ms as f64;
            seen.worst_return = seen.worst_return.max(of_wait);
            seen.grown += u64::from(longest_ms > 0 && wait_ms > longest_ms);
            longest_ms = longest_ms.max(wait_ms);
        }
        seen.refusals += self.times;
        stage.d365().clear_faults();
        Ok(())
    }
}

fn is_refused(call: &RequestRecord) -> bool {
    call.status == Some(429) && call.answered.is_some()
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

pub(super) async fn told_to_wait(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_secs(2);
    let mut d365 = rig.world();
    d365.load.base_ms = 30;
    d365.apps
        .push(AppRegistration::with_secret(LIVE_APP, LIVE_SECRET));
    let redis = RedisFixture::start_process().await?;
    let settings = format!("page_size = {}", rig.scale.items / 20);
    let stage = rig.stage_with(redis, d365, &settings, |config| {
        config.live_app = Some((LIVE_APP.to_owned(), LIVE_SECRET.to_owned()));
    })?;
    let mut workers = Vec::new();
    for name in ["one", "two", "three"] {
        workers.push(stage.worker(name).await?);
    }
    let (mut api_service, api) = stage.api().await?;
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let items = stage.items("24")?;
    let skus: Vec<&str> = items.iter().take(10).map(String::as_str).collect();
    let mut seen = Waits::default();
    for refusing in REFUSING {
        refusing.try_on(&stage, &api, &skus, &mut seen).await?;
        stage
            .snapshots_since(stage.now(), rig.scale.two_cycles())
            .await?;
    }
    let mut outcome = Outcome::default();
    outcome.none("calls before the wait is over, of 3 replicas", seen.early);
    outcome.none(
        "live questions without a live answer meanwhile",
        seen.live_refused,
    );
    outcome.at_most(
        "prefetching back after",
        seen.worst_return,
        2.0,
        " x the wait",
    );
    outcome.happened("refusals", seen.refusals);
    outcome.happened("waits longer than the one before", seen.grown);
    outcome.happened("live questions", seen.live);
    for worker in &mut workers {
        worker.stop().await?;
    }
    api_service.stop().await?;
    Ok(outcome)
}

pub(super) async fn flapping(mut rig: Rig) -> Result<Outcome, RowError> {
    let half = Duration::from_secs(10);
    // Ten minutes as it is; two without the guard, which is long enough to see.
    let rounds = if rig.guard.is_some() { 6 } else { 30 };
    // No divisor of the flapping's period: parts become due at any moment of it.
    rig.scale.interval = Duration::from_secs(7);
    let mut d365 = rig.world();
    d365.load.base_ms = 40;
    let redis = RedisFixture::start_process().await?;
    let settings = format!("page_size = {}", rig.scale.items / 20);
    let port = integration_tests::free_port::free_port()?;
    d365.listen = ([127, 0, 0, 1], port).into();
    let proxy = TcpProxy::before(d365.listen).await?;
    let proxy_url = format!("http://{}", proxy.address());
    d365.audiences.push(proxy_url.clone());
    let stage = rig.stage_with(redis, d365, &settings, |config| {
        config.d365_url.clone_from(&proxy_url);
    })?;
    let mut workers = [stage.worker("one").await?, stage.worker("other").await?];
    stage.snapshots_since(0, rig.scale.two_cycles()).await?;
    let before = stage.last_request();
    let calm_began = stage.now();
    stage
        .snapshots_since(calm_began, rig.scale.two_cycles())
        .await?;
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
    let ended = stage.now();
    let back = stage
        .snapshots_since(ended, Duration::from_mins(5))
        .await
        .map(|()| stage.now());
    let mut outcome = Outcome::default();
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    {
        // Twelve calls at once, each tried again after half a second or more.
        outcome.at_most(
            "tries in ten seconds without D365",
            most_tries as f64,
            240.0,
            "",
        );
        let at_once = most_at_once(&stage.pages_since(before)) as f64;
        outcome.at_most("calls at once", at_once, 12.0, "");
        let seconds = back.map_or(f64::INFINITY, |at| (at - ended) as f64 / 1_000.0);
        outcome.at_most("snapshots again after", seconds, 60.0, " s");
    }
    outcome.happened(
        "connections cut",
        proxy.counters().cut.load(Ordering::Relaxed),
    );
    for worker in &mut workers {
        worker.stop().await?;
    }
    Ok(outcome)
}

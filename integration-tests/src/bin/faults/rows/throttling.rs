//! D365 says "not now", or comes and goes.

use crate::outcome::{Outcome, RowError};
use crate::stage::{Rig, most_at_once};
use d365_simulator::{Action, AppRegistration, Config, FaultSpec, Kind, RetryAfter, ThrottleBody};
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::tcp_proxy::{TcpProxy, Weather};
use std::sync::atomic::Ordering;
use std::time::Duration;

const LIVE_APP: &str = "99999999-bbbb-cccc-dddd-eeeeeeeeeeee";
const LIVE_SECRET: &str = "live~secret";
/// Clocks and the way there: what a call may be early by.
const TOLERANCE_MS: i64 = 100;

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
    let mut outcome = Outcome::default();
    let (mut early, mut worst_return, mut refusals, mut live, mut live_refused) =
        (0_u64, 0.0_f64, 0_u64, 0_u64, 0_u64);
    // What was told, and the least of it: dates have whole seconds, the answer's own as well.
    let waits: [(RetryAfter, i64, i64); 4] = [
        (RetryAfter::Seconds(3), 3_000, 3_000),
        (RetryAfter::DateIn(4), 4_000, 3_000),
        (RetryAfter::None, 0, 0),
        (RetryAfter::Growing(2), 2_000, 2_000),
    ];
    for (retry_after, told_ms, least_ms) in waits {
        let before = stage.last_request();
        let throttle = Action::Throttle {
            retry_after,
            body: ThrottleBody::WebApi,
        };
        let fault = FaultSpec::on(Kind::Page, throttle).app(Config::CLIENT_ID);
        stage.d365().add_fault(fault.times(1));
        let refused = stage
            .within(Duration::from_secs(30), "a refusal", async || {
                let pages = stage.pages_since(before);
                let refused = pages.into_iter().find(|page| page.status == Some(429))?;
                refused.answered
            })
            .await?;
        refusals += 1;
        // Live look-ups have a registration of their own and go on meanwhile.
        let back = stage.within(
            Duration::from_mins(1),
            "prefetching to be back",
            async || {
                let reply = api.exact("24", &skus).await.ok()?;
                live += 1;
                live_refused += u64::from(reply.json["data"][0]["source"] != "LIVE");
                let pages = stage.pages_since(before);
                pages
                    .iter()
                    .filter(|page| page.started > refused)
                    // What was on its way when the refusal came could not know of it.
                    .find(|page| page.started.unix_millis() - refused.unix_millis() > TOLERANCE_MS)
                    .map(|page| page.started)
            },
        );
        let back = back.await?;
        let waited = back.unix_millis() - refused.unix_millis();
        if told_ms > 0 {
            early += u64::from(waited < least_ms - TOLERANCE_MS);
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a minute")]
            let of_wait = waited as f64 / told_ms as f64;
            worst_return = worst_return.max(of_wait);
        } else {
            // Nothing was said: a second at least.
            early += u64::from(waited < 1_000);
        }
        stage.d365().clear_faults();
        stage
            .snapshots_since(stage.now(), rig.scale.two_cycles())
            .await?;
    }
    outcome.none("calls before the wait is over, of 3 replicas", early);
    outcome.none(
        "live questions without a live answer meanwhile",
        live_refused,
    );
    outcome.at_most("prefetching back after", worst_return, 2.0, " x the wait");
    outcome.happened("refusals", refusals);
    outcome.happened("live questions", live);
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

//! Callers that send too much, too slowly, without end, or nothing, while others browse.

mod attacks;
mod held;

use crate::outcome::{Outcome, RowError};
use crate::stage::{Rig, Stage, WAREHOUSES};
use attacks::{ENDLESS_FROM, IDLE_FROM, IDLE_PER_ADDRESS, SECOND_HEADS_FROM, Tally, UNREAD_FROM};
use held::Held;
use integration_tests::api_client::ApiClient;
use integration_tests::open_loop::{Browse, Browsed};
use integration_tests::redis_fixture::RedisFixture;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// Below this a p99 says more about the machine than about the service.
const SHORTEST_P99: Duration = Duration::from_millis(50);
/// Eighteen seconds for a connection without a request, so that its end is seen here; long enough to
/// have all idle ones open at once.
const SHORT: &str = "[api.limits]\nkeep_alive = \"10s\"\nheader_timeout = \"8s\"\n";
const RAISED: &str = "[api.limits]\nbody_bytes = \"64MiB\"\njson_depth = 1000000\n\
                      in_flight = 100000\nbody_timeout = \"10m\"\nheader_timeout = \"10m\"\n\
                      keep_alive = \"10m\"\nrequests_per_second_per_caller = 0\n\
                      connections_per_address = 0\n";
/// From the last attack's begin until every hostile connection must be gone: those eighteen seconds,
/// and some for a machine that has other things to do.
const GONE_WITHIN: Duration = Duration::from_secs(25);
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Idle connections that must be open at once, in percent.
const AT_ONCE_PERCENT: u64 = 90;

/// Kinds of callers whose connections the service must rid itself of, and where they come from.
const KINDS: [(&str, &[u8]); 4] = [
    ("idle connections", &IDLE_FROM),
    ("unfinished second heads", &[SECOND_HEADS_FROM]),
    ("refused bodies that go on", &[ENDLESS_FROM]),
    ("replies nobody reads", &[UNREAD_FROM]),
];

/// The most that was seen at once.
#[derive(Debug, Default)]
struct Peak {
    resident: f64,
    held: [u64; KINDS.len()],
    /// Connections with a reply that waits for its reader.
    unread: u64,
}

/// Resident memory of a process, in MB.
fn resident(process: u32) -> Result<f64, RowError> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kilobytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next())
        .ok_or("no VmRSS")?
        .parse()?;
    Ok(kilobytes / 1_024.0)
}

async fn browse(
    stage: &Stage,
    api: &ApiClient,
    until: impl Future<Output = ()>,
) -> Result<Browsed, RowError> {
    let browse = Browse {
        per_second: 60,
        skus: 20,
        warehouses: WAREHOUSES.map(str::to_owned).to_vec(),
        items: stage.items("24")?,
        seed: 1,
        keeps_lines: false,
    };
    Ok(browse.run(api, &stage.d365(), until).await)
}

/// All attacks at once; what the service still holds when its time for that is over.
async fn attack(process: u32, api: SocketAddr, tally: &Tally) -> Result<Held, RowError> {
    let mut idle = Vec::new();
    let all_begun = Notify::new();
    let patient = async {
        // Held here to the end: who waits for a close does not close.
        let (_unread, ()) = tokio::try_join!(attacks::unread(api), attacks::idle(api, &mut idle))?;
        all_begun.notify_one();
        loop {
            let held = Held::by(process, api).await?;
            if KINDS.iter().all(|(_, from)| held.from(from) == 0) {
                return Ok::<(), RowError>(());
            }
            sleep(BETWEEN_LOOKS).await;
        }
    };
    let until_gone = async {
        let mut all = std::pin::pin!(async {
            tokio::try_join!(
                patient,
                attacks::slow(api, true, tally),
                attacks::slow(api, false, tally),
                attacks::second_heads(api),
                attacks::endless(api, tally),
            )
        });
        let time_is_up = async {
            all_begun.notified().await;
            sleep(GONE_WITHIN).await;
        };
        tokio::select! {
            ended = all.as_mut() => ended.map(|_| ())?,
            () = time_is_up => {}
        }
        // Before the callers hang up themselves.
        Held::by(process, api).await
    };
    let (held, ()) = tokio::try_join!(until_gone, attacks::greedy(api, tally))?;
    Ok(held)
}

/// Looks until it is dropped.
async fn watch(process: u32, api: SocketAddr, peak: &mut Peak) {
    loop {
        peak.resident = peak.resident.max(resident(process).unwrap_or_default());
        if let Ok(held) = Held::by(process, api).await {
            for (most, (_, from)) in peak.held.iter_mut().zip(KINDS) {
                *most = held.from(from).max(*most);
            }
            peak.unread = held.unread_from(&[UNREAD_FROM]).max(peak.unread);
        }
        sleep(BETWEEN_LOOKS / 4).await;
    }
}

pub(super) async fn greedy(mut rig: Rig) -> Result<Outcome, RowError> {
    let limits = if rig.guard.take().is_some() {
        RAISED
    } else {
        SHORT
    };
    rig.scale.items = 400;
    rig.scale.interval = Duration::from_hours(1);
    let redis = RedisFixture::start_process().await?;
    let stage = rig.stage_with(redis, rig.world(), "", |config| {
        config.more.push_str(limits);
    })?;
    stage.once().await?;
    let (mut service, api) = stage.api().await?;
    let address: SocketAddr = service.url().trim_start_matches("http://").parse()?;
    let process = service.process().id();
    let calm = browse(&stage, &api, sleep(Duration::from_secs(8))).await?;
    let before = resident(process)?;

    let (tally, mut peak) = (Tally::default(), Peak::default());
    let mut left = None;
    let attacking = async {
        tokio::select! {
            held = attack(process, address, &tally) => left = Some(held),
            () = watch(process, address, &mut peak) => {}
        }
    };
    let attacked = browse(&stage, &api, attacking).await?;
    let left = left.ok_or("the attack did not end")??;

    let mut outcome = Outcome::default();
    outcome.at_most("RSS +", peak.resident - before, 32.0, " MB");
    let target = (calm.quantile(0.99) * 2).max(SHORTEST_P99);
    outcome.at_most(
        "others' p99",
        attacked.quantile(0.99).as_secs_f64() * 1e3,
        target.as_secs_f64() * 1e3,
        " ms",
    );
    outcome.none("others' questions failed", attacked.failed);
    for (kind, from) in KINDS {
        outcome.none(&format!("{kind} still held"), left.from(from));
    }
    for (most, (kind, from)) in peak.held.into_iter().zip(KINDS) {
        outcome.happened(&format!("{kind} held at once"), most);
        let closed = most.saturating_sub(left.from(from));
        outcome.happened("of them closed by the service", closed);
    }
    let all_idle = (IDLE_FROM.len() * IDLE_PER_ADDRESS) as u64;
    outcome.holds(
        &format!("{AT_ONCE_PERCENT} % of {all_idle} idle ones held at once"),
        peak.held[0] * 100 >= all_idle * AT_ONCE_PERCENT,
    );
    let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    outcome.happened("replies waited for their reader", peak.unread);
    outcome.happened(
        "endless bodies refused for their size",
        counted(&tally.endless_too_large),
    );
    outcome.happened(
        "endless bodies refused for their path",
        counted(&tally.endless_elsewhere),
    );
    outcome.happened("bodies refused with 413", counted(&tally.refused));
    outcome.happened("slow connections ended", counted(&tally.slow_ended));
    outcome.happened("questions of others meanwhile", attacked.questions());
    service.stop().await?;
    Ok(outcome)
}

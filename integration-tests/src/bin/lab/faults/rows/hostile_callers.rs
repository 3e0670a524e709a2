//! Callers that send too much, too slowly, without end, or nothing, while others browse.

mod attacks;
mod held;

use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, WAREHOUSES};
use attacks::{ENDLESS_FROM, IDLE_FROM, SECOND_HEADS_FROM, Tally, UNREAD_FROM};
use futures_util::future::try_join_all;
use held::Held;
use integration_tests::api_client::ApiClient;
use integration_tests::open_loop::{Browse, Browsed};
use integration_tests::redis_fixture::RedisFixture;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::sleep;

/// What a p99 may be with nothing going wrong: twice of less says more about the machine than about
/// the service.
const CALM_P99: Duration = Duration::from_millis(25);
/// Eighteen seconds for a connection without a request, so that its end is seen here.
const SHORT: &str = "[api.limits]\nkeep_alive = \"10s\"\nheader_timeout = \"8s\"\n";
const RAISED: &str = "[api.limits]\nbody_bytes = \"64MiB\"\njson_depth = 1000000\n\
                      in_flight = 100000\nbody_timeout = \"10m\"\nheader_timeout = \"10m\"\n\
                      keep_alive = \"10m\"\nrequests_per_second_per_caller = 0\n\
                      connections_per_address = 0\nquiet_connections = 0\n";
/// From the last attack's begin in a wave until its hostile connections must be gone: those eighteen
/// seconds, and some for a machine that has other things to do.
const GONE_WITHIN: Duration = Duration::from_secs(25);
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Of who is modest: much longer than any hostile connection stays.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(3);
/// Quiet connections the service may hold at once: 400 as it is delivered, and a third of a second's, at a
/// thousand a second, that came since it looked or may still ask.
const QUIET_AT_ONCE: f64 = 750.0;

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
pub(super) fn resident(process: u32) -> Result<f64, RowError> {
    memory(process, "VmRSS:")
}

/// A number of the system's status of a process, in MB.
pub(super) fn memory(process: u32, field: &str) -> Result<f64, RowError> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kilobytes: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.trim().split(' ').next())
        .ok_or("the status lacks the field")?
        .parse()?;
    Ok(kilobytes / 1_024.0)
}

async fn browse(
    rig: &Rig,
    stage: &Stage,
    api: &ApiClient,
    until: impl Future<Output = ()>,
) -> Result<Browsed, RowError> {
    let browse = Browse {
        per_second: rig.scale.browse.0,
        skus: rig.scale.browse.1,
        warehouses: WAREHOUSES.map(str::to_owned).to_vec(),
        items: stage.items("24")?,
        seed: 1,
        keeps_lines: false,
    };
    Ok(browse.run(api, &stage.d365(), until).await)
}

/// What the service still holds when it has had its time to let go, in two waves: who sends too much,
/// too slowly or nothing, or does not read; then, beyond that, who is refused or answered and goes on.
async fn attack(process: u32, api: SocketAddr, tally: &Tally) -> Result<Held, RowError> {
    let (mut idle, mut unread) = (Vec::new(), Vec::new());
    let all_open = Notify::new();
    let patient = async {
        // Held to the end of both waves: who waits for a close does not close.
        let asked = async {
            unread = attacks::unread(api).await?;
            Ok(())
        };
        tokio::try_join!(asked, attacks::idle(api, &mut idle, tally))?;
        all_open.notify_one();
        loop {
            let held = Held::by(process, api).await?;
            if held.from(&IDLE_FROM) == 0 && held.from(&[UNREAD_FROM]) == 0 {
                return Ok(());
            }
            sleep(BETWEEN_LOOKS).await;
        }
    };
    let first = async {
        tokio::try_join!(
            patient,
            attacks::slow(api, true, tally),
            attacks::slow(api, false, tally),
            attacks::greedy(api, tally),
        )
    };
    let time_is_up = async {
        all_open.notified().await;
        sleep(GONE_WITHIN).await;
    };
    tokio::select! {
        ended = first => ended.map(|_| ())?,
        () = time_is_up => {}
    }
    let second =
        async { tokio::try_join!(attacks::second_heads(api), attacks::endless(api, tally)) };
    let mut second = std::pin::pin!(second);
    tokio::select! {
        ended = second.as_mut() => ended.map(|_| ())?,
        () = sleep(GONE_WITHIN) => {}
    }
    // Before the callers hang up themselves.
    Held::by(process, api).await
}

/// Asks on one connection, now and then, until it is dropped: who holds few and uses them keeps them.
async fn modest(api: SocketAddr, tally: &Tally) -> Result<(), RowError> {
    let mut connection = attacks::modest(api).await?;
    loop {
        let answered = attacks::ask(&mut connection).await;
        let counter = if answered.is_ok() {
            &tally.modest_answered
        } else {
            connection = attacks::modest(api).await?;
            &tally.modest_lost
        };
        counter.fetch_add(1, Ordering::Relaxed);
        sleep(BETWEEN_QUESTIONS).await;
    }
}

/// Looks until it is dropped.
async fn watch(process: u32, api: SocketAddr, peak: &mut Peak) {
    for look in 0_u32.. {
        peak.resident = peak.resident.max(resident(process).unwrap_or_default());
        // The table is long, and reading it takes time that the service would have.
        if !look.is_multiple_of(8) {
            sleep(BETWEEN_LOOKS / 8).await;
            continue;
        }
        if let Ok(held) = Held::by(process, api).await {
            for (most, (_, from)) in peak.held.iter_mut().zip(KINDS) {
                *most = held.from(from).max(*most);
            }
            peak.unread = held.unread_from(&[UNREAD_FROM]).max(peak.unread);
        }
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
    let calm = browse(&rig, &stage, &api, sleep(Duration::from_secs(8))).await?;
    // What the largest questions take is not the attack's doing.
    let skus: Vec<String> = (0..1_000).map(|number| format!("U{number}")).collect();
    let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
    let full_questions = (0..attacks::UNREAD).map(|_| api.fast("24", &skus));
    try_join_all(full_questions).await?;
    let before = resident(process)?;

    let (tally, mut peak) = (Tally::default(), Peak::default());
    let mut left = None;
    let attacking = async {
        tokio::select! {
            held = attack(process, address, &tally) => left = Some(held),
            () = watch(process, address, &mut peak) => {}
            lost = modest(address, &tally) => left = Some(lost.map(|()| Held::default())),
        }
    };
    let attacked = Box::pin(browse(&rig, &stage, &api, attacking)).await?;
    let left = left.ok_or("the attack did not end")??;
    let crowded = stage
        .metric(&service, "http_connections_closed_total", "crowded")
        .await?;

    let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut outcome = Outcome::default();
    outcome.at_most("RSS +", peak.resident - before, 32.0, " MB");
    let calm_p99 = calm.quantile(0.99);
    let target = (calm_p99 * 2).max(CALM_P99);
    outcome.at_most(
        &format!("others' p99, calm {:.2} ms:", calm_p99.as_secs_f64() * 1e3),
        attacked.quantile(0.99).as_secs_f64() * 1e3,
        target.as_secs_f64() * 1e3,
        " ms",
    );
    outcome.none("others' questions failed", attacked.failed);
    outcome.none(
        "a modest caller's connections lost",
        counted(&tally.modest_lost),
    );
    outcome.none(
        "slow connections not ended",
        attacks::SLOW_ONES - counted(&tally.slow_ended),
    );
    for (kind, from) in KINDS {
        outcome.none(&format!("{kind} still held"), left.from(from));
    }
    for (most, (kind, from)) in peak.held.into_iter().zip(KINDS) {
        outcome.happened(&format!("{kind} held at once"), most);
        let closed = most.saturating_sub(left.from(from));
        outcome.happened("of them closed by the service", closed);
    }
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    outcome.at_most(
        "idle connections at once",
        peak.held[0] as f64,
        QUIET_AT_ONCE,
        "",
    );
    outcome.happened("idle connections opened", counted(&tally.idle_opened));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a counter"
    )]
    outcome.happened("of them gave way to younger ones", crowded as u64);
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
    outcome.happened(
        "questions of a modest caller",
        counted(&tally.modest_answered),
    );
    outcome.happened("questions of others meanwhile", attacked.questions());
    service.stop().await?;
    Ok(outcome)
}

//! D365 is away, or as good as: what browsing and orders get meanwhile.

use super::hostile_callers::resident;
use super::shopping::{CHANNELS, Calm, ORDERS_EVERY, Orders, Shopped, ordering};
use crate::faults::outcome::{Outcome, RowError};
use crate::faults::stage::{Rig, Stage, WAREHOUSES};
use d365_simulator::{Action, CutPoint, DelayPoint, FaultSpec, Kind};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::Service;
use integration_tests::open_loop::Browse;
use integration_tests::redis_fixture::RedisFixture;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::tcp_proxy::{TcpProxy, Weather};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a caller with time waits.
const PATIENT_MS: u32 = 1_500;
/// What one with less time waits.
const HURRIED_MS: u32 = 800;
/// Calls that may be under way to one environment: `api.live.concurrency` unless it is set.
const POOL: f64 = 16.0;
/// Failures in a row after which D365 is left alone.
const OPENS_AFTER: u64 = 5;
/// After so long without an answer D365 surely is left alone.
const SURELY_LEFT_ALONE: Duration = Duration::from_secs(6);
const BETWEEN_PROBES: Duration = Duration::from_secs(10);
/// Calm windows before a fault, and as many after it.
const CALM_WINDOWS: usize = 2;
/// Longer than idle threads and the simulator's idle connections live.
const LETTING_GO: Duration = Duration::from_secs(12);
const BETWEEN_LOOKS_AT_REST: Duration = Duration::from_millis(500);
/// Pause between two looks at the open connections: an attempt lasts much longer.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// What a process holds. A task that hangs on a call holds its socket; the memory of the others is
/// all that shows of them.
#[derive(Clone, Copy)]
struct Holding {
    threads: u64,
    descriptors: u64,
    resident_mb: f64,
    to_d365: u64,
}

impl Holding {
    fn least(self, other: Self) -> Self {
        Self {
            threads: self.threads.min(other.threads),
            descriptors: self.descriptors.min(other.descriptors),
            resident_mb: self.resident_mb.min(other.resident_mb),
            to_d365: self.to_d365.min(other.to_d365),
        }
    }

    /// Compares with what was held before: a few more files and threads are the libraries' own, and
    /// an allocator keeps some of what it had.
    fn against(self, before: Self, outcome: &mut Outcome) {
        let more = |now: u64, before: u64| count(now.saturating_sub(before));
        let sockets = more(self.to_d365, before.to_d365);
        outcome.at_most("sockets to D365 left over", sockets, 0.0, "");
        let descriptors = more(self.descriptors, before.descriptors);
        outcome.at_most("open files left over", descriptors, 4.0, "");
        let threads = more(self.threads, before.threads);
        outcome.at_most("threads left over", threads, 2.0, "");
        let resident = self.resident_mb - before.resident_mb;
        outcome.at_most("RSS +", resident, 16.0, " MB");
    }
}

/// A house whose D365 is reached through a proxy.
struct House {
    stage: Stage,
    proxy: TcpProxy,
    api: ApiClient,
    service: Service,
    process: u32,
    items: Vec<String>,
    deadline_ms: u32,
}

impl House {
    async fn build(rig: &Rig, deadline_ms: u32) -> Result<Self, RowError> {
        let mut d365 = rig.world();
        d365.load.base_ms = 40;
        let redis = RedisFixture::start_process().await?;
        let port = integration_tests::free_port::free_port()?;
        d365.listen = ([127, 0, 0, 1], port).into();
        let proxy = TcpProxy::before(d365.listen).await?;
        let proxy_url = format!("http://{}", proxy.address());
        d365.audiences.push(proxy_url.clone());
        let stage = rig.stage_with(redis, d365, "", |config| {
            config.d365_url.clone_from(&proxy_url);
            config.more.push_str(CHANNELS);
        })?;
        let mut worker = stage.worker("one").await?;
        let (mut service, api) = stage.api().await?;
        stage.snapshots_since(0, rig.scale.two_cycles()).await?;
        let items = stage.items(WAREHOUSES[0])?;
        // A worker would go on trying the dead D365; what the API does is looked at here.
        worker.stop().await?;
        // The token is there before the fault is.
        api.exact(WAREHOUSES[0], &[items[0].as_str()]).await?;
        Ok(Self {
            process: service.process().id(),
            stage,
            proxy,
            api,
            service,
            items,
            deadline_ms,
        })
    }

    /// Browsing and ordering side by side for this long, by callers who hang up at the end: what stays
    /// open then is not theirs.
    async fn shop(&self, rig: &Rig, time: Duration) -> Result<Shopped, RowError> {
        let browse = Browse {
            per_second: rig.scale.browse.0,
            skus: rig.scale.browse.1,
            warehouses: WAREHOUSES.map(str::to_owned).to_vec(),
            items: self.items.clone(),
            seed: rig.seed,
            keeps_lines: false,
        };
        let api = ApiClient::new(&self.service.url())?;
        let d365 = self.stage.d365();
        let over = || tokio::time::sleep(time);
        let shopping = async {
            futures_util::join!(
                browse.run(&api, &d365, over()),
                Orders::place(&api, &self.items, self.deadline_ms, over())
            )
        };
        let mut shopping = std::pin::pin!(shopping);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut most_open = 0;
        let (browsed, orders) = loop {
            tokio::select! {
                shopped = &mut shopping => break shopped,
                _tick = looks.tick() => most_open = most_open.max(self.open()),
            }
        };
        Ok(Shopped {
            browsed,
            orders,
            most_open,
        })
    }

    /// Connections to D365 that are open.
    fn open(&self) -> u64 {
        self.proxy.counters().open.load(Ordering::Relaxed)
    }

    /// Waits until an answer is D365's own.
    async fn live_again(&self) -> Result<Duration, RowError> {
        let watch = Stopwatch::start();
        let sku = self.items[0].as_str();
        self.stage
            .within(Duration::from_secs(30), "a live answer", async || {
                let reply = self.api.exact(WAREHOUSES[0], &[sku]).await.ok()?;
                (reply.json["data"][0]["source"] == "LIVE").then_some(())
            })
            .await?;
        Ok(watch.elapsed())
    }

    /// What the service holds when it has had time to let go: the least of many looks.
    async fn at_rest(&self) -> Result<Holding, RowError> {
        let mut least = self.holding()?;
        let watch = Stopwatch::start();
        while watch.elapsed() < LETTING_GO {
            tokio::time::sleep(BETWEEN_LOOKS_AT_REST).await;
            least = least.least(self.holding()?);
        }
        Ok(least)
    }

    fn holding(&self) -> Result<Holding, RowError> {
        let entries = |what: &str| -> Result<u64, RowError> {
            let listed = std::fs::read_dir(format!("/proc/{}/{what}", self.process))?;
            Ok(listed.count() as u64)
        };
        Ok(Holding {
            threads: entries("task")?,
            descriptors: entries("fd")?,
            resident_mb: resident(self.process)?,
            to_d365: self.open(),
        })
    }

    async fn end(mut self) -> Result<(), RowError> {
        self.service.stop().await?;
        Ok(())
    }
}

fn count(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

/// Tries until D365 is left alone: those that fail, those that are under way by then, and those made
/// once more because they may have gone over a dead connection, until the first was silent for a
/// quarter of its time.
fn tries_at_first(deadline_ms: u32) -> u64 {
    let deadline = Duration::from_millis(deadline_ms.into());
    OPENS_AFTER + orders_in(deadline) + orders_in(deadline / 4)
}

/// Orders that come in so long, begun ones counted.
fn orders_in(time: Duration) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a handful"
    )]
    let orders = time.div_duration_f64(ORDERS_EVERY).ceil() as u64;
    orders
}

/// Tries in so long when D365 is left alone.
fn probes_in(time: Duration) -> u64 {
    time.as_secs() / BETWEEN_PROBES.as_secs() + 1
}

pub(super) async fn black_hole(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_mins(30);
    let (window, fault_time) = if rig.scale.is_full {
        (Duration::from_secs(30), Duration::from_mins(5))
    } else {
        (Duration::from_secs(8), Duration::from_secs(35))
    };
    let house = House::build(&rig, PATIENT_MS).await?;
    let mut calm = Calm::default();
    let mut calm_live = 0;
    for _ in 0..CALM_WINDOWS {
        let shopped = house.shop(&rig, window).await?;
        calm.add(&shopped.browsed);
        calm_live += shopped.orders.called_live;
    }
    let counters = house.proxy.counters();
    // An order's question is a piece the proxy takes, on a new connection or on an old one.
    let lost = || counters.lost_questions.load(Ordering::Relaxed);
    house.proxy.set(Weather::BlackHole);
    let first = house.shop(&rig, SURELY_LEFT_ALONE).await?;
    let tries_first = lost();
    let later = house.shop(&rig, fault_time).await?;
    let tries_later = lost() - tries_first;
    let swallowed = counters.swallowed.load(Ordering::Relaxed);
    house.proxy.set(Weather::Fair);
    let back = house.live_again().await?;
    for _ in 0..CALM_WINDOWS {
        calm.add(&house.shop(&rig, window).await?.browsed);
    }
    let dark = later.and(&first);
    let mut outcome = Outcome::default();
    calm.against("in the dark", &dark.browsed, &mut outcome);
    ordering(&mut outcome, "in the dark", &dark.orders, house.deadline_ms);
    let allowed = tries_at_first(house.deadline_ms);
    outcome.at_most(
        "live tries at first",
        count(tries_first),
        count(allowed),
        "",
    );
    let allowed = probes_in(fault_time);
    outcome.at_most(
        "live tries after that",
        count(tries_later),
        count(allowed),
        "",
    );
    outcome.at_most("sockets to D365", count(dark.most_open), POOL, "");
    outcome.at_most("live again after", back.as_secs_f64(), 12.0, " s");
    outcome.happened("orders lost on their way to D365", lost());
    outcome.happened("bytes swallowed", swallowed);
    outcome.happened("calm orders answered live", calm_live);
    house.end().await?;
    Ok(outcome)
}

/// Who spoils the answers.
enum Spoiler {
    Simulator(Action),
    Proxy(Weather),
}

/// The ways D365 is as good as away.
fn spoilers() -> [(&'static str, Spoiler); 4] {
    let trickle = Action::Trickle {
        bytes: 1,
        pause_ms: 200,
    };
    let late = Action::Delay {
        ms: 30_000,
        at: DelayPoint::BeforeRead,
    };
    let cut = Action::Cut {
        after: CutPoint::Bytes(20),
    };
    [
        ("trickled", Spoiler::Simulator(trickle)),
        ("late", Spoiler::Simulator(late)),
        ("cut off", Spoiler::Simulator(cut)),
        ("half-closed", Spoiler::Proxy(Weather::HalfClose)),
    ]
}

/// One spell of spoilt answers, and what shows that they were.
async fn spell_of(
    house: &House,
    rig: &Rig,
    spell: Duration,
    spoiler: Spoiler,
) -> Result<(Shopped, u64, u64), RowError> {
    let d365 = house.stage.d365();
    let half_closed = || {
        let counters = house.proxy.counters();
        counters.half_closed.load(Ordering::Relaxed)
    };
    let (before, asked_before) = (half_closed(), house.stage.last_request());
    match spoiler {
        Spoiler::Simulator(action) => {
            d365.add_fault(FaultSpec::on(Kind::Lookup, action));
        }
        Spoiler::Proxy(weather) => house.proxy.set(weather),
    }
    let shopped = house.shop(rig, spell).await?;
    let spoilt = house.stage.faults_fired() + half_closed() - before;
    let mut asked = d365.requests(asked_before);
    asked.retain(|request| request.kind == Kind::Lookup);
    d365.clear_faults();
    house.proxy.set(Weather::Fair);
    Ok((shopped, spoilt, asked.len() as u64))
}

pub(super) async fn trickle(mut rig: Rig) -> Result<Outcome, RowError> {
    rig.scale.interval = Duration::from_mins(30);
    let house = House::build(&rig, HURRIED_MS).await?;
    // As long in calm as in a fault, and in turn: a p99 of fewer questions is another number.
    let spell = if rig.scale.is_full {
        Duration::from_mins(1)
    } else {
        Duration::from_secs(12)
    };
    let mut calm = Calm::default();
    calm.add(&house.shop(&rig, spell).await?.browsed);
    let before = house.at_rest().await?;
    let mut outcome = Outcome::default();
    let mut spells = Vec::new();
    let tries_allowed = tries_at_first(HURRIED_MS) + probes_in(spell);
    for (what, spoiler) in spoilers() {
        let (during, spoilt, tries) = spell_of(&house, &rig, spell, spoiler).await?;
        ordering(&mut outcome, what, &during.orders, house.deadline_ms);
        outcome.at_most("live tries", count(tries), count(tries_allowed), "");
        outcome.at_most("sockets to D365", count(during.most_open), POOL, "");
        outcome.happened(&format!("answers {what}"), spoilt);
        spells.push((what, during.browsed));
        house.live_again().await?;
        calm.add(&house.shop(&rig, spell).await?.browsed);
    }
    for (what, during) in &spells {
        calm.against(what, during, &mut outcome);
    }
    house.at_rest().await?.against(before, &mut outcome);
    house.end().await?;
    Ok(outcome)
}

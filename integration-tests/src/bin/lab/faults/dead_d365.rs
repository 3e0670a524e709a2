//! D365 is away, or as good as: what browsing and orders get meanwhile.

use super::outcome::Outcome;
use super::scale::{Scale, WAREHOUSES};
use super::shop::{CHANNELS, Calm, ORDERS_EVERY, Orders, Shop};
use d365_simulator::{Action, CutPoint, DelayPoint, FaultSpec, Kind};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::Service;
use integration_tests::eventually::eventually;
use integration_tests::open_loop::Browsed;
use integration_tests::stopwatch::Stopwatch;
use integration_tests::tcp_proxy::{TcpProxy, Weather};
use integration_tests::test_bed::{Failure, TestBed, proxy_before};
use integration_tests::usage::resident_mb;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long patient and impatient orders wait.
const PATIENT: Duration = Duration::from_millis(1_500);
const IMPATIENT: Duration = Duration::from_millis(800);
/// Calls that may be under way to one environment: `api.live.concurrency` unless it is set.
const POOL: u64 = 16;
/// Failures in a row after which D365 is left alone.
const OPENS_AFTER: u64 = 5;
/// After so long without an answer D365 surely is left alone.
const SURELY_LEFT_ALONE: Duration = Duration::from_secs(6);
const BETWEEN_PROBES: Duration = Duration::from_secs(10);
/// Longer than idle threads and the simulator's idle connections live.
const LETTING_GO: Duration = Duration::from_secs(12);
const BETWEEN_LOOKS_AT_REST: Duration = Duration::from_millis(500);
/// Pause between two looks at the open connections: an attempt lasts much longer.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a process holds. A task that hangs on a call holds its socket; the memory of the others is all
/// that shows of them.
#[derive(Clone, Copy)]
struct Held {
    threads: u64,
    files: u64,
    resident_mb: f64,
    to_d365: u64,
}

impl Held {
    fn least(self, other: Self) -> Self {
        Self {
            threads: self.threads.min(other.threads),
            files: self.files.min(other.files),
            resident_mb: self.resident_mb.min(other.resident_mb),
            to_d365: self.to_d365.min(other.to_d365),
        }
    }

    /// Compares with what was held before: a few more files and threads are the libraries' own, and an
    /// allocator keeps some of what it had.
    fn judge(self, before: Self, outcome: &mut Outcome) {
        let sockets = self.to_d365.saturating_sub(before.to_d365);
        outcome.none("sockets to D365 left over", sockets);
        let files = self.files.saturating_sub(before.files);
        outcome.count_at_most("open files left over", files, 4);
        let threads = self.threads.saturating_sub(before.threads);
        outcome.count_at_most("threads left over", threads, 2);
        let resident = self.resident_mb - before.resident_mb;
        outcome.at_most("RSS +", resident, 16.0, " MB");
    }
}

/// How browsing and ordering went, and the most connections to D365 meanwhile.
struct Stretch {
    browsed: Browsed,
    orders: Orders,
    most_open: u64,
}

/// An API with a warm cache whose D365 is reached through a proxy.
struct Proxied {
    bed: TestBed,
    proxy: TcpProxy,
    api: ApiClient,
    service: Service,
    shop: Shop,
}

impl Proxied {
    async fn start(scale: Scale, deadline: Duration) -> Result<Self, Failure> {
        let scale = scale.every(Duration::from_mins(30));
        let mut d365 = scale.world(40);
        let (proxy, url) = proxy_before(&mut d365).await?;
        let bed = scale
            .bed(d365, "", |config| {
                config.d365_url = url;
                config.more.push_str(CHANNELS);
            })
            .await?;
        let mut worker = bed.worker("one").await?;
        let (service, api) = bed.api().await?;
        bed.complete_since(0, scale.two_cycles()).await?;
        // A worker would go on trying the dead D365; what the API does is looked at here.
        worker.stop().await?;
        let shop = Shop::new(scale, bed.items(WAREHOUSES[0])?, deadline);
        let proxied = Self {
            bed,
            proxy,
            api,
            service,
            shop,
        };
        // The token is there before the fault is.
        proxied.live_again().await?;
        Ok(proxied)
    }

    /// Browses and orders, by callers who hang up at the end: what stays open then is not theirs.
    async fn shop(&self, time: Duration) -> Result<Stretch, Failure> {
        let api = ApiClient::new(&self.service.url())?;
        let mut shopping = std::pin::pin!(self.shop.run(&api, time));
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let mut most_open = 0;
        loop {
            tokio::select! {
                (browsed, orders) = &mut shopping => {
                    return Ok(Stretch { browsed, orders, most_open });
                }
                _tick = looks.tick() => most_open = most_open.max(self.open()),
            }
        }
    }

    /// Connections to D365 that are open.
    fn open(&self) -> u64 {
        self.proxy.counters().open.load(Ordering::Relaxed)
    }

    /// Waits until an answer is D365's own.
    async fn live_again(&self) -> Result<Duration, Failure> {
        let watch = Stopwatch::start();
        let sku = self.shop.browse.items[0].as_str();
        eventually("a live answer", async || {
            let reply = self.api.exact(WAREHOUSES[0], &[sku]).await.ok()?;
            (reply.json["data"][0]["source"] == "LIVE").then_some(())
        })
        .await?;
        Ok(watch.elapsed())
    }

    /// What the service holds when it has had time to let go: the least of many looks.
    async fn at_rest(&self) -> Result<Held, Failure> {
        let mut least = self.held()?;
        let watch = Stopwatch::start();
        while watch.elapsed() < LETTING_GO {
            tokio::time::sleep(BETWEEN_LOOKS_AT_REST).await;
            least = least.least(self.held()?);
        }
        Ok(least)
    }

    fn held(&self) -> Result<Held, Failure> {
        let process = self.service.id();
        let entries = |what: &str| -> std::io::Result<u64> {
            Ok(std::fs::read_dir(format!("/proc/{process}/{what}"))?.count() as u64)
        };
        Ok(Held {
            threads: entries("task")?,
            files: entries("fd")?,
            resident_mb: resident_mb(process)?,
            to_d365: self.open(),
        })
    }
}

/// Tries until D365 is left alone: those that fail, those under way by then, and those made once more
/// because they may have gone over a dead connection, until the first was silent for a quarter of its time.
fn tries_at_first(deadline: Duration) -> u64 {
    let orders_in = |time: Duration| time.as_millis().div_ceil(ORDERS_EVERY.as_millis());
    let orders = orders_in(deadline) + orders_in(deadline / 4);
    OPENS_AFTER + u64::try_from(orders).unwrap_or(u64::MAX)
}

/// Tries in so long when D365 is left alone.
fn probes_in(time: Duration) -> u64 {
    time.as_secs() / BETWEEN_PROBES.as_secs() + 1
}

pub(super) async fn black_hole(scale: Scale) -> Result<Outcome, Failure> {
    let (window, dark) = if scale.is_full {
        (Duration::from_secs(30), Duration::from_mins(5))
    } else {
        (Duration::from_secs(8), Duration::from_secs(35))
    };
    let mut proxied = Proxied::start(scale, PATIENT).await?;
    let mut calm = Calm::default();
    let mut calm_live = 0;
    for _ in 0..2 {
        let stretch = proxied.shop(window).await?;
        calm.add(&stretch.browsed);
        calm_live += stretch.orders.live;
    }
    // An order's question is a piece the proxy takes, on a new connection or on an old one.
    let lost = || {
        proxied
            .proxy
            .counters()
            .lost_questions
            .load(Ordering::Relaxed)
    };
    proxied.proxy.set(Weather::BlackHole);
    let mut in_the_dark = proxied.shop(SURELY_LEFT_ALONE).await?;
    let tries_first = lost();
    let later = proxied.shop(dark).await?;
    let tries_later = lost() - tries_first;
    let swallowed = proxied.proxy.counters().swallowed.load(Ordering::Relaxed);
    proxied.proxy.set(Weather::Fair);
    let back = proxied.live_again().await?;
    for _ in 0..2 {
        calm.add(&proxied.shop(window).await?.browsed);
    }
    in_the_dark.browsed.add(later.browsed);
    in_the_dark.orders.add(later.orders);
    let most_open = in_the_dark.most_open.max(later.most_open);
    let mut outcome = Outcome::default();
    calm.judge(&mut outcome, "in the dark", &in_the_dark.browsed);
    in_the_dark
        .orders
        .judge(&mut outcome, "in the dark", PATIENT);
    outcome.count_at_most("live tries at first", tries_first, tries_at_first(PATIENT));
    outcome.count_at_most("live tries after that", tries_later, probes_in(dark));
    outcome.count_at_most("sockets to D365", most_open, POOL);
    outcome.within("live again after", Some(back), Duration::from_secs(12));
    outcome.happened("orders lost on their way to D365", lost());
    outcome.happened("bytes swallowed", swallowed);
    outcome.happened("calm orders answered live", calm_live);
    proxied.service.stop().await?;
    Ok(outcome)
}

/// What spoils the answers.
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

pub(super) async fn trickle(scale: Scale) -> Result<Outcome, Failure> {
    let mut proxied = Proxied::start(scale, IMPATIENT).await?;
    // As long in calm as in a fault: a p99 of fewer questions is another number.
    let time = Duration::from_secs(if scale.is_full { 60 } else { 12 });
    let mut calm = Calm::default();
    calm.add(&proxied.shop(time).await?.browsed);
    let before = proxied.at_rest().await?;
    let mut outcome = Outcome::default();
    let mut spoilt_ones = Vec::new();
    for (what, spoiler) in spoilers() {
        let half_closed = || proxied.proxy.counters().half_closed.load(Ordering::Relaxed);
        let (closed_before, asked_before) = (half_closed(), proxied.bed.last_request());
        match spoiler {
            Spoiler::Simulator(action) => {
                let fault = FaultSpec::on(Kind::Lookup, action);
                proxied.bed.d365().add_fault(fault);
            }
            Spoiler::Proxy(weather) => proxied.proxy.set(weather),
        }
        let stretch = proxied.shop(time).await?;
        let spoilt = proxied.bed.faults_fired() + half_closed() - closed_before;
        let tries = proxied.bed.requests(Kind::Lookup, asked_before).len() as u64;
        proxied.bed.d365().clear_faults();
        proxied.proxy.set(Weather::Fair);
        stretch.orders.judge(&mut outcome, what, IMPATIENT);
        let allowed = tries_at_first(IMPATIENT) + probes_in(time);
        outcome.count_at_most("live tries", tries, allowed);
        outcome.count_at_most("sockets to D365", stretch.most_open, POOL);
        outcome.happened(&format!("answers {what}"), spoilt);
        spoilt_ones.push((what, stretch.browsed));
        proxied.live_again().await?;
        calm.add(&proxied.shop(time).await?.browsed);
    }
    for (what, browsed) in &spoilt_ones {
        calm.judge(&mut outcome, what, browsed);
    }
    proxied.at_rest().await?.judge(before, &mut outcome);
    proxied.service.stop().await?;
    Ok(outcome)
}

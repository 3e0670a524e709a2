//! A worker, a Redis and a D365 for one test.

use d365_simulator::{Action, Config, DelayPoint, FaultSpec, Handle, Kind, WorldConfig};
use prefetch_worker::{CycleOutcome, Poller, Step, Worker};
use shared::process::shutdown::Shutdown;
use shared::redis_store::{CycleEnd, Sealed, ShardRecord, StoreError};
use shared::settings::{Layers, Settings, WorkerSettings};
use shared::stock::{TenantId, WarehouseId};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use test_redis::TestRedis;

pub(crate) struct Bench {
    pub(crate) redis: TestRedis,
    pub(crate) d365: Handle,
    pub(crate) worker: Worker,
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("contoso").unwrap()
}

pub(crate) fn warehouse() -> WarehouseId {
    WarehouseId::parse("24").unwrap()
}

pub(crate) fn settings(redis: &TestRedis, d365: &Handle, of_tenant: &str) -> Settings {
    let url = d365.url();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.toml");
    let file = format!(
        "[redis]\nurl = \"{}\"\n[worker]\nlease = \"5s\"\n[[tenants]]\nid = \"contoso\"\n\
         environment_url = \"{url}\"\nlegal_entity = \"usmf\"\nwarehouses = [\"24\"]\n\
         {of_tenant}\n[tenants.entra]\ntenant_id = \"{}\"\nauthority = \"{url}\"\nclient_id = \"{}\"\n\
         client_secret = \"{}\"\n",
        redis.url(),
        Config::ENTRA_TENANT,
        Config::CLIENT_ID,
        Config::CLIENT_SECRET
    );
    std::fs::write(&path, file).unwrap();
    Layers::default().file(Some(&path)).load().unwrap()
}

/// With these settings of the tenant.
pub(crate) async fn bench(of_tenant: &str) -> Bench {
    let redis = TestRedis::start().unwrap();
    let world = WorldConfig {
        items: 100,
        ..WorldConfig::default()
    };
    let d365 = d365_simulator::start(Config {
        world: Some(world),
        ..Config::default()
    })
    .unwrap();
    let settings = settings(&redis, &d365, of_tenant);
    let worker = Worker::build(&settings, Shutdown::new()).unwrap();
    worker.clock().sample().await.unwrap();
    let bench = Bench {
        redis,
        d365,
        worker,
    };
    bench.schedule().await;
    bench
}

impl Bench {
    pub(crate) async fn schedule(&self) {
        self.scheduled().await.unwrap();
    }

    /// After Redis came back: each of the store's two connections, which take turns, waits up to a second
    /// before it is made again.
    pub(crate) async fn schedule_again(&self) {
        let scheduled = async {
            while self.scheduled().await.is_err() || self.scheduled().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let limit = Duration::from_secs(10);
        tokio::time::timeout(limit, scheduled).await.unwrap();
    }

    async fn scheduled(&self) -> Result<usize, StoreError> {
        let shards = ["24".to_owned()];
        self.worker.store.ensure_scheduled(&tenant(), &shards).await
    }

    pub(crate) fn change_settings(&mut self, change: impl FnOnce(&mut WorkerSettings)) {
        let mut settings = (*self.worker.settings).clone();
        change(&mut settings);
        self.worker.settings = Arc::new(settings);
    }

    pub(crate) fn poller(&self) -> Poller {
        Poller::new(self.worker.clone(), 0)
    }

    /// Makes the warehouse due and reads it whole.
    pub(crate) async fn read_again(&self, poller: &mut Poller) -> CycleEnd {
        self.worker.store.make_due(&tenant(), "24").await.unwrap();
        complete(cycle(poller).await)
    }

    pub(crate) fn fault(&self, fault: FaultSpec) {
        self.d365.simulator().add_fault(fault);
    }

    /// Opens the cycle and starts reading its part, whose first page takes this long, and returns when the page is under way.
    pub(crate) async fn slow_step(&self, page: Duration) -> tokio::task::JoinHandle<Step> {
        let ms = u64::try_from(page.as_millis()).unwrap();
        let at = DelayPoint::AfterRead;
        self.fault(FaultSpec::on(Kind::Page, Action::Delay { ms, at }).times(1));
        let mut poller = self.poller();
        #[expect(
            clippy::disallowed_methods,
            reason = "the test waits for this task itself"
        )]
        let step = tokio::spawn(async move {
            loop {
                let step = poller.step().await;
                if !matches!(step, Step::Done(CycleOutcome::Opened { .. })) {
                    return step;
                }
            }
        });
        let asked = async {
            while self.asked(Kind::Page) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let asked = tokio::time::timeout(Duration::from_secs(10), asked);
        asked.await.unwrap();
        step
    }

    /// How many requests of a kind there were.
    pub(crate) fn asked(&self, kind: Kind) -> usize {
        let requests = self.d365.simulator().requests(0).into_iter();
        requests.filter(|request| request.kind == kind).count()
    }

    /// The addresses of all pages asked for.
    pub(crate) fn pages(&self) -> Vec<String> {
        let requests = self.d365.simulator().requests(0).into_iter();
        let pages = requests.filter(|request| request.kind == Kind::Page);
        let decoded = pages.map(|request| {
            let address = request.address.replace('+', " ");
            let decoded = percent_encoding::percent_decode_str(&address);
            decoded.decode_utf8_lossy().into_owned()
        });
        decoded.collect()
    }

    /// How many rows the warehouse really has.
    pub(crate) fn truth(&self) -> u64 {
        let rows = self.d365.simulator().truth("usmf", Some("24"), None);
        rows.unwrap().len() as u64
    }

    pub(crate) async fn record(&self, shard: &str) -> ShardRecord {
        let store = &self.worker.store;
        store.shard_record(&tenant(), shard).await.unwrap()
    }

    pub(crate) fn redis_cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.redis.port().to_string()])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// The end of a cycle that was sealed.
pub(crate) fn sealed(step: Step) -> CycleEnd {
    match step {
        Step::Done(CycleOutcome::Sealed(end)) => end,
        other => panic!("{other:?}"),
    }
}

/// The end of a cycle that was complete.
pub(crate) fn complete(step: Step) -> CycleEnd {
    let end = sealed(step);
    assert!(matches!(end.sealed, Sealed::Complete { .. }), "{end:?}");
    end
}

/// Why a cycle was partial.
pub(crate) fn partial(step: Step) -> String {
    match sealed(step).sealed {
        Sealed::Partial { reason } => reason,
        other => panic!("{other:?}"),
    }
}

/// Steps until something else comes than the begin of a cycle or the end of a part.
pub(crate) async fn cycle(poller: &mut Poller) -> Step {
    loop {
        let step = poller.step().await;
        if !matches!(
            step,
            Step::Done(CycleOutcome::Opened { .. } | CycleOutcome::PartRead { .. })
        ) {
            return step;
        }
    }
}

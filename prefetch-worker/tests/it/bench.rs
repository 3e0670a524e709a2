//! A worker, a Redis and a D365 for one test.

use d365_simulator::{Action, Config, DelayPoint, FaultSpec, Handle, Kind, WorldConfig};
use prefetch_worker::{CycleOutcome, Poller, Step, Worker};
use shared::process::shutdown::Shutdown;
use shared::redis_store::Sealed;
use shared::redis_store::test_server::TestRedis;
use shared::settings::{Layers, Settings};
use shared::stock::TenantId;
use std::process::Command;
use std::time::Duration;

pub(crate) struct Bench {
    pub(crate) redis: TestRedis,
    pub(crate) d365: Handle,
    pub(crate) worker: Worker,
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("contoso").unwrap()
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

pub(crate) async fn bench() -> Bench {
    bench_with("").await
}

/// With these settings of the tenant.
pub(crate) async fn bench_with(of_tenant: &str) -> Bench {
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
    let worker = Worker::build(&settings(&redis, &d365, of_tenant), Shutdown::new()).unwrap();
    worker.clock().sample().await.unwrap();
    worker
        .store
        .ensure_scheduled(&tenant(), &["24".to_owned()])
        .await
        .unwrap();
    Bench {
        redis,
        d365,
        worker,
    }
}

impl Bench {
    /// Opens the cycle and starts reading its part, whose first page takes this long, and returns when the page is under way.
    pub(crate) async fn slow_step(&self, page: Duration) -> tokio::task::JoinHandle<Step> {
        let ms = u64::try_from(page.as_millis()).unwrap();
        let slow = Action::Delay {
            ms,
            at: DelayPoint::AfterRead,
        };
        self.d365
            .simulator()
            .add_fault(FaultSpec::on(Kind::Page, slow).times(1));
        let mut poller = Poller::new(self.worker.clone(), 0);
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
        let simulator = self.d365.simulator();
        let asked = async {
            while !simulator
                .requests(0)
                .iter()
                .any(|request| request.kind == Kind::Page)
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), asked)
            .await
            .unwrap();
        step
    }

    /// How many requests of a kind there were.
    pub(crate) fn asked(&self, kind: Kind) -> usize {
        let requests = self.d365.simulator().requests(0).into_iter();
        requests.filter(|request| request.kind == kind).count()
    }

    /// The filters of all pages asked for.
    pub(crate) fn pages(&self) -> Vec<String> {
        self.d365
            .simulator()
            .requests(0)
            .into_iter()
            .filter(|request| request.kind == Kind::Page)
            .map(|request| {
                let address = request.address.replace('+', " ");
                percent_encoding::percent_decode_str(&address)
                    .decode_utf8_lossy()
                    .into_owned()
            })
            .collect()
    }

    /// How many rows the warehouse really has.
    pub(crate) fn truth(&self) -> u64 {
        let rows = self.d365.simulator().truth("usmf", Some("24"), None);
        rows.unwrap().len() as u64
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

pub(crate) fn is_complete(step: &Step) -> bool {
    matches!(step, Step::Done(CycleOutcome::Sealed(end)) if matches!(end.sealed, Sealed::Complete { .. }))
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

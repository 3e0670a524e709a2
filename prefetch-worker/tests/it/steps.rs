use d365_simulator::{Action, Config, DelayPoint, FaultSpec, Handle, Kind, WorldConfig};
use prefetch_worker::{CycleOutcome, Poller, Step, Worker};
use shared::process::shutdown::Shutdown;
use shared::redis_store::test_server::TestRedis;
use shared::redis_store::{Claimed, Sealed};
use shared::settings::{Layers, Settings};
use shared::stock::{TenantId, WarehouseId};
use std::process::Command;
use std::time::Duration;

struct Bench {
    redis: TestRedis,
    d365: Handle,
    worker: Worker,
}

fn tenant() -> TenantId {
    TenantId::parse("contoso").unwrap()
}

fn settings(redis: &TestRedis, d365: &Handle) -> Settings {
    let url = d365.url();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.toml");
    let file = format!(
        "[redis]\nurl = \"{}\"\n[worker]\nlease = \"5s\"\n[[tenants]]\nid = \"contoso\"\n\
         environment_url = \"{url}\"\nlegal_entity = \"usmf\"\nwarehouses = [\"24\"]\n\
         [tenants.entra]\ntenant_id = \"{}\"\nauthority = \"{url}\"\nclient_id = \"{}\"\n\
         client_secret = \"{}\"\n",
        redis.url(),
        Config::ENTRA_TENANT,
        Config::CLIENT_ID,
        Config::CLIENT_SECRET
    );
    std::fs::write(&path, file).unwrap();
    Layers::default().file(Some(&path)).load().unwrap()
}

async fn bench() -> Bench {
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
    let worker = Worker::build(&settings(&redis, &d365), Shutdown::new()).unwrap();
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
    async fn slow_step(&self, page: Duration) -> tokio::task::JoinHandle<Step> {
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

    /// The filters of all pages asked for.
    fn pages(&self) -> Vec<String> {
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
    fn truth(&self) -> u64 {
        let rows = self.d365.simulator().truth("usmf", Some("24"), None);
        rows.unwrap().len() as u64
    }

    fn redis_cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-p", &self.redis.port().to_string()])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

fn is_complete(step: &Step) -> bool {
    matches!(step, Step::Done(CycleOutcome::Sealed(end)) if matches!(end.sealed, Sealed::Complete { .. }))
}

/// Steps until something else comes than the begin of a cycle or the end of a part.
async fn cycle(poller: &mut Poller) -> Step {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_due_warehouse_is_read_once_an_interval() {
    let bench = bench().await;
    let mut poller = Poller::new(bench.worker.clone(), 0);
    let first = cycle(&mut poller).await;
    assert!(is_complete(&first), "{first:?}");
    assert!(matches!(poller.step().await, Step::NothingDue(_)));
    let record = bench
        .worker
        .store
        .shard_record(&tenant(), "24")
        .await
        .unwrap();
    assert_eq!((record.holder, record.failures), (None, 0));
    // A refresh that was asked for makes it due again.
    bench.worker.store.make_due(&tenant(), "24").await.unwrap();
    assert!(is_complete(&cycle(&mut poller).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_stock_has_the_same_hash_and_other_stock_another() {
    use d365_simulator::{StockChange, StockKey};
    let bench = bench().await;
    let mut hashes = Vec::new();
    for round in 0..3 {
        if round == 2 {
            let key = StockKey::of("usmf", "HASHED", "24");
            bench
                .d365
                .simulator()
                .put_stock(&key, &StockChange::on_hand("1"))
                .unwrap();
        }
        bench.worker.store.make_due(&tenant(), "24").await.unwrap();
        let step = cycle(&mut Poller::new(bench.worker.clone(), 0)).await;
        assert!(is_complete(&step), "{step:?}");
        hashes.push(bench.redis_cli(&["HGET", "inv:contoso:snapshot:24", "hash"]));
    }
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[1], hashes[2]);
    assert_eq!(hashes[0].len(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_lease_leaves_the_end_to_the_other() {
    let bench = bench().await;
    let step = bench.slow_step(Duration::from_secs(4)).await;
    // The lease ends early, as after a pause of the whole machine, and another worker takes over.
    bench.redis_cli(&["ZADD", "inv:contoso:due", "0", "24#1/1"]);
    let other = bench
        .worker
        .store
        .claim(&tenant(), "other", Duration::from_secs(30))
        .await
        .unwrap();
    assert!(matches!(other, Claimed::Shard(_)), "{other:?}");
    assert_eq!(step.await.unwrap(), Step::Done(CycleOutcome::LeaseLost));
    let record = bench
        .worker
        .store
        .shard_record(&tenant(), "24#1/1")
        .await
        .unwrap();
    assert_eq!(record.holder.as_deref(), Some("other"));
    assert_eq!(
        bench.redis_cli(&["HGET", "inv:contoso:snapshot:24", "state"]),
        "warming"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_the_page_and_another_worker_reads_on_from_there() {
    let mut bench = bench().await;
    // Pages of ten rows: the stop comes between two of them.
    let mut small = (*bench.worker.settings).clone();
    small.page_size = 10;
    bench.worker.settings = std::sync::Arc::new(small.clone());
    let step = bench.slow_step(Duration::from_millis(300)).await;
    bench.worker.shutdown.begin();
    assert_eq!(step.await.unwrap(), Step::Done(CycleOutcome::Stopped));
    let record = bench
        .worker
        .store
        .shard_record(&tenant(), "24#1/1")
        .await
        .unwrap();
    assert_eq!(record.holder, None);
    assert!(record.rows > 0, "{record:?}");
    let cursor = record.cursor.unwrap();
    let before = bench.pages().len();

    let mut next = Worker::build(&settings(&bench.redis, &bench.d365), Shutdown::new()).unwrap();
    next.settings = std::sync::Arc::new(small);
    next.clock().sample().await.unwrap();
    let step = cycle(&mut Poller::new(next, 0)).await;
    assert!(is_complete(&step), "{step:?}");
    let pages = bench.pages();
    assert!(
        pages[before].contains(&format!("ItemNumber gt '{cursor}'")),
        "{} {cursor}",
        pages[before]
    );
    let truth = bench.truth();
    assert!(
        matches!(&step, Step::Done(CycleOutcome::Sealed(end)) if end.rows == truth),
        "{truth} {step:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_is_split_by_the_time_it_took_and_the_parts_are_the_whole() {
    let mut bench = bench().await;
    let mut small = (*bench.worker.settings).clone();
    small.page_size = 10;
    small.shard_time = Duration::from_millis(100);
    bench.worker.settings = std::sync::Arc::new(small);
    let slow = Action::Delay {
        ms: 50,
        at: DelayPoint::AfterRead,
    };
    bench
        .d365
        .simulator()
        .add_fault(FaultSpec::on(Kind::Page, slow));
    let mut poller = Poller::new(bench.worker.clone(), 0);
    let whole = cycle(&mut poller).await;
    let Step::Done(CycleOutcome::Sealed(whole)) = whole else {
        panic!("{whole:?}")
    };
    assert!(!whole.borders.is_empty());
    bench.worker.store.make_due(&tenant(), "24").await.unwrap();
    let opened = poller.step().await;
    let parts = whole.borders.len() + 1;
    assert!(
        matches!(opened, Step::Done(CycleOutcome::Opened { parts: p, .. }) if p == parts),
        "{opened:?}"
    );
    let in_parts = cycle(&mut poller).await;
    let Step::Done(CycleOutcome::Sealed(in_parts)) = in_parts else {
        panic!("{in_parts:?}")
    };
    assert_eq!((whole.rows, in_parts.rows), (bench.truth(), bench.truth()));
    assert_eq!(
        whole.sealed, in_parts.sealed,
        "the same lines, the same hash"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_nobody_gets_on_with_is_given_up_and_the_cycle_says_so() {
    let bench = bench().await;
    let mut poller = Poller::new(bench.worker.clone(), 0);
    let opened = poller.step().await;
    assert!(matches!(opened, Step::Done(CycleOutcome::Opened { .. })));
    bench.redis_cli(&["HSET", "inv:contoso:shard:24#1/1", "taken", "5"]);
    let sealed = cycle(&mut poller).await;
    let Step::Done(CycleOutcome::Sealed(end)) = sealed else {
        panic!("{sealed:?}")
    };
    assert!(
        matches!(&end.sealed, Sealed::Partial { reason } if reason.contains("taken 5 times")),
        "{end:?}"
    );
    assert!(bench.pages().is_empty(), "it was not tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_during_a_cycle_ends_it_and_the_next_one_is_whole() {
    let mut bench = bench().await;
    let step = bench.slow_step(Duration::from_millis(500)).await;
    bench.redis.kill().unwrap();
    let step = step.await.unwrap();
    assert!(
        matches!(step, Step::Done(CycleOutcome::StoreFailed(_))),
        "{step:?}"
    );
    bench.redis.restart().unwrap();
    bench
        .worker
        .store
        .ensure_scheduled(&tenant(), &["24".to_owned()])
        .await
        .unwrap();
    let mut poller = Poller::new(bench.worker.clone(), 0);
    assert!(is_complete(&cycle(&mut poller).await));
    let warehouse = WarehouseId::parse("24").unwrap();
    let feed = bench
        .worker
        .store
        .snapshots(&tenant(), &[warehouse])
        .await
        .unwrap()
        .remove(0);
    assert!(feed.watermark.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_warehouse_backs_off_and_shows_why() {
    let bench = bench().await;
    bench
        .d365
        .simulator()
        .add_fault(FaultSpec::on(Kind::Page, Action::Forbidden));
    let mut poller = Poller::new(bench.worker.clone(), 0);
    let step = cycle(&mut poller).await;
    assert!(
        matches!(&step, Step::Done(CycleOutcome::Sealed(end)) if matches!(end.sealed, Sealed::Partial { .. })),
        "{step:?}"
    );
    let record = bench
        .worker
        .store
        .shard_record(&tenant(), "24")
        .await
        .unwrap();
    assert_eq!(record.failures, 1);
    assert!(record.last_error.unwrap().contains("403"));
    assert!(matches!(poller.step().await, Step::NothingDue(_)));
}

use super::*;
use crate::live::environment::Environment;
use crate::live::live_result::LiveLine;
use crate::live::write_through::WriteThrough;
use shared::d365::ScriptedSource;
use shared::process::clock::Clock;
use shared::process::tasks::Tasks;
use shared::redis_store::{LeaseTaken, LiveLease, StockStore};
use shared::settings::Layers;
use shared::stock::{
    AsOf, ItemNumber, OnHandRow, ProductDimensions, Quantities, Quantity, SkuMapping,
};
use std::time::Duration;
use test_redis::TestRedis;

const LONG: Duration = Duration::from_secs(5);

/// Some replicas, one ERP, one Redis.
struct TestBed {
    redis: TestRedis,
    source: Arc<ScriptedSource>,
    clock: Arc<dyn Clock>,
    replicas: Vec<Coalescer>,
    environments: Vec<Arc<Environment>>,
}

fn has_room(bed: &TestBed) -> bool {
    bed.environments[0].has_room(Priority::Order, LONG)
}

async fn replicas(count: usize, permits: usize) -> TestBed {
    let redis = TestRedis::start().unwrap();
    let settings = Layers::default()
        .flag("redis.url", Some(redis.url()))
        .load()
        .unwrap();
    let store = |_| StockStore::open(&settings.redis).unwrap();
    let stores: Vec<StockStore> = (0..count).map(store).collect();
    for store in &stores {
        store.clock().sample().await.unwrap();
    }
    let clock: Arc<dyn Clock> = stores[0].clock().clone();
    let source = Arc::new(ScriptedSource::new(Arc::clone(&clock)));
    let (mut replicas, mut environments) = (Vec::new(), Vec::new());
    for store in stores {
        let clock: Arc<dyn Clock> = store.clock().clone();
        let environment = Environment::new("https://e".to_owned(), permits, Arc::clone(&clock));
        let environment = Arc::new(environment);
        environments.push(Arc::clone(&environment));
        let hour = Duration::from_hours(1);
        let look_up = LiveLookUp::new(source.clone(), SkuMapping::ItemNumber, environment, hour);
        let tools = LiveTools {
            store,
            drift: Arc::default(),
            tasks: Tasks::new(),
            clock,
        };
        replicas.push(Coalescer::new(
            TenantId::parse("t").unwrap(),
            look_up,
            tools,
        ));
    }
    TestBed {
        redis,
        source,
        clock,
        replicas,
        environments,
    }
}

impl TestBed {
    fn erp_has(&self, available: i64) {
        self.source.set_stock(vec![OnHandRow {
            item: ItemNumber::parse("A").unwrap(),
            dimensions: ProductDimensions::default(),
            site: None,
            warehouse: warehouse(),
            quantities: Quantities {
                available: Quantity::from(available),
                ..Quantities::default()
            },
        }]);
    }

    async fn ask(&self, replica: usize, sku: &str, time: Duration) -> LiveResult {
        let replica = &self.replicas[replica];
        let deadline = Deadline::begin(&replica.0.tools.clock, time);
        let sku = Sku::parse(sku).unwrap();
        replica
            .ask(&[sku], &[warehouse()], &deadline, Priority::Order)
            .await
    }

    fn calls(&self) -> usize {
        self.source.questions().look_ups.len()
    }

    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let wait = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(tokio::time::timeout(LONG, wait).await.is_ok(), "{what}");
    }
}

fn warehouse() -> WarehouseId {
    WarehouseId::parse("11").unwrap()
}

fn as_of(answers: &LiveResult) -> AsOf {
    match answers.lines[..] {
        [LiveLine::Line(line)] => line.as_of,
        ref other => panic!("{other:?} {:?}", answers.failure),
    }
}

#[tokio::test]
async fn a_thousand_orders_of_two_processes_share_three_calls_that_started_after_them() {
    let bed = replicas(2, 16).await;
    bed.erp_has(5);
    bed.source.delay_look_ups(Duration::from_millis(300));
    let orders = (0..1_000).map(async |number: usize| {
        let asked_at = bed.replicas[number % 2].0.tools.clock.now();
        let answers = bed.ask(number % 2, "A", LONG).await;
        // The two processes sampled Redis' clock each for itself: a millisecond may lie between.
        let allowed = Duration::from_millis(5);
        assert!(as_of(&answers).plus(allowed) >= asked_at);
        assert_eq!(answers.write_through, Some(WriteThrough::Stored));
    });
    futures_util::future::join_all(orders).await;
    assert!((1..=3).contains(&bed.calls()), "{}", bed.calls());
}

#[tokio::test]
async fn a_question_never_uses_a_request_that_was_under_way_before_it() {
    let bed = replicas(2, 16).await;
    bed.erp_has(5);
    bed.source.delay_look_ups(Duration::from_millis(150));
    let late = async |process| {
        bed.until("the first is under way", || bed.calls() == 1)
            .await;
        let asked_at = bed.clock.now();
        let answers = bed.ask(process, "A", LONG).await;
        assert!(as_of(&answers) >= asked_at);
    };
    futures_util::join!(bed.ask(0, "A", LONG), late(0), late(1));
    assert!((2..=3).contains(&bed.calls()), "{}", bed.calls());
}

#[tokio::test]
async fn skus_of_different_questions_share_a_call() {
    let bed = replicas(1, 16).await;
    let names: Vec<String> = (0..20).map(|number| format!("S{number}")).collect();
    let questions = names.iter().map(|sku| bed.ask(0, sku, LONG));
    futures_util::future::join_all(questions).await;
    assert_eq!(bed.calls(), 1);
}

#[tokio::test]
async fn a_request_ends_when_nobody_waits_for_it_any_more() {
    let bed = replicas(1, 1).await;
    bed.source.delay_look_ups(Duration::from_mins(1));
    {
        let patient = bed.ask(0, "A", Duration::from_secs(30));
        let under_way = async {
            bed.until("asked", || bed.calls() == 1).await;
            assert!(!has_room(&bed), "the only permit");
        };
        tokio::select! {
            _answers = patient => panic!("answered"),
            () = under_way => {}
        }
        // The asker leaves, long before its deadline and D365's answer.
    }
    bed.until("the permit is back", || has_room(&bed)).await;
    bed.source.delay_look_ups(Duration::ZERO);
    bed.erp_has(7);
    as_of(&bed.ask(0, "A", LONG).await);
}

#[tokio::test]
async fn who_has_less_time_leaves_earlier_and_the_others_are_answered() {
    let bed = replicas(1, 16).await;
    bed.erp_has(5);
    bed.source.delay_look_ups(Duration::from_millis(400));
    let hurried = bed.ask(0, "A", Duration::from_millis(100));
    let patient = bed.ask(0, "A", LONG);
    let (hurried, patient) = futures_util::join!(hurried, patient);
    assert_eq!(hurried.failure, Some(LiveFailure::DeadlinePassed));
    assert_eq!(hurried.lines, [LiveLine::Failed]);
    as_of(&patient);
    assert_eq!(bed.calls(), 1);
}

#[tokio::test]
async fn without_redis_every_process_asks_for_itself_in_time() {
    let mut bed = replicas(2, 16).await;
    bed.erp_has(5);
    bed.redis.kill().unwrap();
    let began = bed.clock.monotonic();
    let (first, second) = futures_util::join!(bed.ask(0, "A", LONG), bed.ask(1, "A", LONG));
    as_of(&first);
    as_of(&second);
    assert_eq!(first.write_through, Some(WriteThrough::Failed));
    assert_eq!(bed.calls(), 2);
    let took = bed.clock.monotonic().saturating_sub(began);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn a_replica_that_vanishes_with_the_lease_is_not_waited_for_long() {
    let bed = replicas(1, 16).await;
    bed.erp_has(5);
    let look_ups = &bed.replicas[0].0;
    let store = &look_ups.tools.store;
    let skus = [Sku::parse("A").unwrap()];
    let now = store
        .clock()
        .not_before_now()
        .plus(Duration::from_millis(200));
    let ends = now.plus(Duration::from_mins(1));
    let gone = LiveLease::new(None, &[warehouse()], now, ends);
    let (reader, places) = (store.reader(), [warehouse()]);
    let taking = reader.take_leases(&look_ups.tenant, &places, &skus, &gone);
    assert_eq!(taking.await.unwrap().0, [LeaseTaken::Own]);
    let began = bed.clock.monotonic();
    as_of(&bed.ask(0, "A", Duration::from_millis(1_500)).await);
    let took = bed.clock.monotonic().saturating_sub(began);
    assert!(
        took >= Duration::from_millis(500),
        "a third of the time: {took:?}"
    );
    assert_eq!(bed.calls(), 1);
}

#[tokio::test]
async fn what_another_replica_finds_is_used_although_this_one_gave_up_waiting() {
    let bed = replicas(1, 16).await;
    bed.source.delay_look_ups(Duration::from_mins(1));
    let look_ups = &bed.replicas[0].0;
    let store = &look_ups.tools.store;
    let skus = [Sku::parse("A").unwrap()];
    let now = store.clock().now();
    let lease = LiveLease::new(None, &[warehouse()], now, now.plus(LONG));
    let (reader, places) = (store.reader(), [warehouse()]);
    let taking = reader.take_leases(&look_ups.tenant, &places, &skus, &lease);
    assert_eq!(taking.await.unwrap().0, [LeaseTaken::Own]);
    let found = async {
        bed.until("this one asks, too", || bed.calls() == 1).await;
        let line = shared::stock::StockLine {
            sku: skus[0].clone(),
            warehouse: warehouse(),
            value: shared::stock::LineValue {
                content: shared::stock::LineContent::Absent,
                as_of: store.clock().not_before_now(),
                origin: shared::stock::Origin::Live,
            },
        };
        store.apply(&look_ups.tenant, &[line]).await.unwrap();
    };
    let (answers, ()) = futures_util::join!(bed.ask(0, "A", LONG), found);
    as_of(&answers);
}

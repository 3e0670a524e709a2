use super::*;
use crate::live_look_up::Environment;
use shared::d365::ScriptedSource;
use shared::settings::Layers;
use shared::stock::{
    AsOf, ItemNumber, OnHandRow, ProductDimensions, Quantities, Quantity, SkuMapping,
};
use std::time::Duration;
use test_redis::TestRedis;

const LONG: Duration = Duration::from_secs(5);

/// Some processes, one ERP, one Redis.
struct House {
    redis: TestRedis,
    source: Arc<ScriptedSource>,
    clock: Arc<dyn Clock>,
    desks: Vec<LiveDesk>,
    environments: Vec<Arc<Environment>>,
}

fn has_room(house: &House) -> bool {
    house.environments[0].has_room(Priority::Order, LONG)
}

async fn house(processes: usize, permits: usize) -> House {
    let redis = TestRedis::start().unwrap();
    let settings = Layers::default()
        .flag("redis.url", Some(redis.url()))
        .load()
        .unwrap();
    let store = |_| StockStore::open(&settings.redis).unwrap();
    let stores: Vec<StockStore> = (0..processes).map(store).collect();
    for store in &stores {
        store.clock().sample().await.unwrap();
    }
    let clock: Arc<dyn Clock> = stores[0].clock().clone();
    let source = Arc::new(ScriptedSource::new(Arc::clone(&clock)));
    let (mut desks, mut environments) = (Vec::new(), Vec::new());
    for store in stores {
        let clock: Arc<dyn Clock> = store.clock().clone();
        let environment = Environment::new("https://e".to_owned(), permits, Arc::clone(&clock));
        let environment = Arc::new(environment);
        environments.push(Arc::clone(&environment));
        let hour = Duration::from_hours(1);
        let look_up = LiveLookUp::new(source.clone(), SkuMapping::ItemNumber, environment, hour);
        let tools = DeskTools {
            store,
            drift: Arc::default(),
            tasks: Tasks::new(),
            clock,
        };
        desks.push(LiveDesk::new(TenantId::parse("t").unwrap(), look_up, tools));
    }
    House {
        redis,
        source,
        clock,
        desks,
        environments,
    }
}

impl House {
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

    async fn ask(&self, process: usize, sku: &str, time: Duration) -> Answers {
        let desk = &self.desks[process];
        let deadline = Deadline::begin(&desk.0.tools.clock, time);
        let sku = Sku::parse(sku).unwrap();
        desk.ask(&[sku], &[warehouse()], &deadline, Priority::Order)
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

fn as_of(answers: &Answers) -> AsOf {
    match answers.findings[..] {
        [Finding::Line(line)] => line.as_of,
        ref other => panic!("{other:?} {:?}", answers.failure),
    }
}

#[tokio::test]
async fn a_thousand_orders_of_two_processes_share_three_calls_that_started_after_them() {
    let house = house(2, 16).await;
    house.erp_has(5);
    house.source.delay_look_ups(Duration::from_millis(300));
    let orders = (0..1_000).map(async |number: usize| {
        let asked_at = house.desks[number % 2].0.tools.clock.now();
        let answers = house.ask(number % 2, "A", LONG).await;
        // The two processes sampled Redis' clock each for itself: a millisecond may lie between.
        let allowed = Duration::from_millis(5);
        assert!(as_of(&answers).plus(allowed) >= asked_at);
        assert_eq!(answers.write_through, Some(WriteThrough::Stored));
    });
    futures_util::future::join_all(orders).await;
    assert!((1..=3).contains(&house.calls()), "{}", house.calls());
}

#[tokio::test]
async fn a_question_never_uses_a_request_that_was_under_way_before_it() {
    let house = house(2, 16).await;
    house.erp_has(5);
    house.source.delay_look_ups(Duration::from_millis(150));
    let late = async |process| {
        house
            .until("the first is under way", || house.calls() == 1)
            .await;
        let asked_at = house.clock.now();
        let answers = house.ask(process, "A", LONG).await;
        assert!(as_of(&answers) >= asked_at);
    };
    futures_util::join!(house.ask(0, "A", LONG), late(0), late(1));
    assert!((2..=3).contains(&house.calls()), "{}", house.calls());
}

#[tokio::test]
async fn skus_of_different_questions_share_a_call() {
    let house = house(1, 16).await;
    let names: Vec<String> = (0..20).map(|number| format!("S{number}")).collect();
    let questions = names.iter().map(|sku| house.ask(0, sku, LONG));
    futures_util::future::join_all(questions).await;
    assert_eq!(house.calls(), 1);
}

#[tokio::test]
async fn a_request_ends_when_nobody_waits_for_it_any_more() {
    let house = house(1, 1).await;
    house.source.delay_look_ups(Duration::from_mins(1));
    {
        let patient = house.ask(0, "A", Duration::from_secs(30));
        let under_way = async {
            house.until("asked", || house.calls() == 1).await;
            assert!(!has_room(&house), "the only permit");
        };
        tokio::select! {
            _answers = patient => panic!("answered"),
            () = under_way => {}
        }
        // The asker leaves, long before its deadline and D365's answer.
    }
    house.until("the permit is back", || has_room(&house)).await;
    house.source.delay_look_ups(Duration::ZERO);
    house.erp_has(7);
    as_of(&house.ask(0, "A", LONG).await);
}

#[tokio::test]
async fn who_has_less_time_leaves_earlier_and_the_others_are_answered() {
    let house = house(1, 16).await;
    house.erp_has(5);
    house.source.delay_look_ups(Duration::from_millis(400));
    let hurried = house.ask(0, "A", Duration::from_millis(100));
    let patient = house.ask(0, "A", LONG);
    let (hurried, patient) = futures_util::join!(hurried, patient);
    assert_eq!(hurried.failure, Some(LiveFailure::DeadlinePassed));
    assert_eq!(hurried.findings, [Finding::Failed]);
    as_of(&patient);
    assert_eq!(house.calls(), 1);
}

#[tokio::test]
async fn without_redis_every_process_asks_for_itself_in_time() {
    let mut house = house(2, 16).await;
    house.erp_has(5);
    house.redis.kill().unwrap();
    let began = house.clock.monotonic();
    let (first, second) = futures_util::join!(house.ask(0, "A", LONG), house.ask(1, "A", LONG));
    as_of(&first);
    as_of(&second);
    assert_eq!(first.write_through, Some(WriteThrough::Failed));
    assert_eq!(house.calls(), 2);
    let took = house.clock.monotonic().saturating_sub(began);
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn a_joined_process_that_vanishes_is_not_waited_for_long() {
    let house = house(1, 16).await;
    house.erp_has(5);
    let (desk, tenant) = (&house.desks[0], TenantId::parse("t").unwrap());
    let sku = Sku::parse("A").unwrap();
    let gone = shared::redis_store::LiveQuestion::new(&[warehouse()], Duration::from_millis(700));
    let store = &desk.0.tools.store;
    assert_eq!(
        store
            .take_live(&tenant, &gone, &[&sku], Duration::from_secs(2))
            .await
            .unwrap(),
        [shared::redis_store::LiveTaken::Own]
    );
    let answers = house.ask(0, "A", Duration::from_millis(2_500)).await;
    as_of(&answers);
    assert_eq!(house.calls(), 1);
}

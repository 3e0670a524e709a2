//! Cycles in parts, against a real Redis.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use shared::redis_store::test_server::TestRedis;
use shared::redis_store::{
    Claim, Claimed, CycleEnd, Finished, ItemRange, LeaseLost, PartEnded, PartId, Sealed,
    ShardProgress, StockStore,
};
use shared::stock::{AsOf, Generation, ItemNumber, TenantId, WarehouseId};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(30);
const STARTED: i64 = 1_700_000_000_000;

fn tenant() -> TenantId {
    TenantId::parse("t").unwrap()
}

fn warehouse() -> WarehouseId {
    WarehouseId::parse("24").unwrap()
}

fn items(numbers: &[&str]) -> Vec<ItemNumber> {
    numbers
        .iter()
        .map(|number| ItemNumber::parse(*number).unwrap())
        .collect()
}

fn started() -> AsOf {
    AsOf::from_unix_ms(STARTED).unwrap()
}

struct Bench {
    _redis: TestRedis,
    store: StockStore,
}

impl Bench {
    async fn start() -> Self {
        let redis = TestRedis::start().unwrap();
        let store = StockStore::open(&redis.settings().unwrap()).unwrap();
        store.clock().sample().await.unwrap();
        let bench = Self {
            _redis: redis,
            store,
        };
        let shards = ["24".to_owned()];
        bench
            .store
            .ensure_scheduled(&tenant(), &shards)
            .await
            .unwrap();
        bench
    }

    async fn claim(&self, holder: &str) -> Option<Claim> {
        match self.store.claim(&tenant(), holder, LEASE).await.unwrap() {
            Claimed::Shard(claim) => Some(claim),
            Claimed::NothingDue { .. } => None,
        }
    }

    async fn open(&self, seen: u64, borders: &[&str]) -> Option<Generation> {
        let ranges = ItemRange::between(&items(borders));
        let (tenant, warehouse, seen) = (tenant(), warehouse(), Generation(seen));
        self.store
            .open_cycle(&tenant, &warehouse, seen, started(), &ranges, LEASE)
            .await
            .unwrap()
    }

    async fn end_part(&self, claim: &Claim, started: AsOf) -> Result<PartEnded, LeaseLost> {
        let (_, part) = PartId::of_shard(&claim.shard).unwrap();
        self.store
            .finish_part(&tenant(), &warehouse(), claim, part, started, "end")
            .await
            .unwrap()
    }

    async fn seal(&self, generation: u64, borders: &[&str]) -> bool {
        let end = CycleEnd {
            generation: Generation(generation),
            started: started(),
            completed: started().plus(Duration::from_secs(1)),
            rows: 10,
            pages: 1,
            next_due: started().plus(Duration::from_mins(15)),
            sealed: Sealed::Complete {
                hash: "abc".to_owned(),
            },
            borders: items(borders),
        };
        self.store
            .seal(&tenant(), &warehouse(), &end)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn the_last_part_makes_the_warehouse_due_and_then_it_is_sealed() {
    let bench = Bench::start().await;
    assert_eq!(bench.claim("a").await.unwrap().shard, "24");
    assert_eq!(bench.open(0, &["M", "T"]).await, Some(Generation(1)));
    // Parts come in their order; the warehouse is not due while they are open.
    let mut claims = Vec::new();
    for number in 1..=3 {
        let claim = bench.claim("a").await.unwrap();
        assert_eq!(claim.shard, format!("24#1/{number}"));
        claims.push(claim);
    }
    assert_eq!(bench.claim("a").await, None);
    for (claim, open) in claims.iter().zip([2, 1, 0]) {
        let ended = bench.end_part(claim, started()).await;
        assert_eq!(ended, Ok(PartEnded::Noted { open }));
        assert_eq!(bench.end_part(claim, started()).await, Err(LeaseLost));
    }
    let claim = bench.claim("b").await.unwrap();
    assert_eq!(claim.shard, "24");
    let cycle = bench
        .store
        .cycle_under_way(&tenant(), &warehouse())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(cycle.ends(), Some(vec!["end"; 3]));
    assert_eq!(cycle.parts[1].range.after, items(&["M"]).pop());
    assert_eq!(cycle.parts[1].range.up_to, items(&["T"]).pop());

    assert!(bench.seal(1, &["K"]).await);
    let done = Duration::from_mins(15);
    bench
        .store
        .finish(&tenant(), &claim, done, &Finished::Well)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bench.claim("b").await, None);
    let (store, tenant, warehouse) = (&bench.store, tenant(), warehouse());
    assert_eq!(
        store.cycle_under_way(&tenant, &warehouse).await.unwrap(),
        None
    );
    assert_eq!(
        store.borders(&tenant, &warehouse).await.unwrap(),
        items(&["K"])
    );
}

#[tokio::test]
async fn two_that_find_a_warehouse_due_open_one_cycle() {
    let bench = Bench::start().await;
    assert_eq!(bench.open(0, &[]).await, Some(Generation(1)));
    assert_eq!(bench.open(0, &[]).await, None, "decided on an old record");
    assert_eq!(bench.open(1, &[]).await, None, "one is under way");
}

#[tokio::test]
async fn a_part_that_is_put_back_is_read_on_from_its_notes() {
    let bench = Bench::start().await;
    bench.open(0, &[]).await.unwrap();
    let part = &bench.claim("a").await.unwrap();
    let progress = ShardProgress {
        rows: 7,
        cursor: " A'1".to_owned(),
        notes: "{\"rows\":7}".to_owned(),
    };
    let (store, tenant) = (&bench.store, tenant());
    let extended = store.extend(&tenant, part, LEASE, Some(&progress)).await;
    assert_eq!(extended.unwrap(), Ok(()));
    assert_eq!(store.put_back(&tenant, part).await.unwrap(), Ok(()));
    assert_eq!(store.put_back(&tenant, part).await.unwrap(), Err(LeaseLost));
    let next = bench.claim("b").await.unwrap();
    assert_eq!(next.shard, "24#1/1");
    let record = store.shard_record(&tenant, &next.shard).await.unwrap();
    assert_eq!(record.cursor.as_deref(), Some(" A'1"));
    assert_eq!(record.notes.as_deref(), Some("{\"rows\":7}"));
    assert_eq!((record.rows, record.taken), (7, 1));
    assert_eq!(record.holder.as_deref(), Some("b"));
}

#[tokio::test]
async fn a_part_that_changes_hands_without_getting_on_is_counted() {
    let bench = Bench::start().await;
    bench.claim("a").await.unwrap();
    bench.open(0, &[]).await.unwrap();
    for taken in 1..=4 {
        let short = Duration::from_millis(1);
        let claim = loop {
            let claimed = bench.store.claim(&tenant(), "dies", short).await.unwrap();
            if let Claimed::Shard(claim) = claimed {
                break claim;
            }
        };
        let record = bench
            .store
            .shard_record(&tenant(), &claim.shard)
            .await
            .unwrap();
        assert_eq!(record.taken, taken);
    }
}

#[tokio::test]
async fn the_part_of_another_cycle_counts_for_nothing() {
    let bench = Bench::start().await;
    bench.claim("a").await.unwrap();
    bench.open(0, &["M"]).await.unwrap();
    let part = bench.claim("a").await.unwrap();
    let other = started().plus(Duration::from_secs(1));
    assert_eq!(
        bench.end_part(&part, other).await,
        Ok(PartEnded::Superseded)
    );
    let cycle = bench
        .store
        .cycle_under_way(&tenant(), &warehouse())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(cycle.ends(), None);
    assert!(cycle.parts.iter().all(|part| part.end.is_none()));
}

#[tokio::test]
async fn parts_that_fell_off_the_schedule_are_put_back() {
    let bench = Bench::start().await;
    bench.claim("a").await.unwrap();
    bench.open(0, &["M", "T"]).await.unwrap();
    let done = bench.claim("a").await.unwrap();
    bench.end_part(&done, started()).await.unwrap();
    let (store, tenant) = (&bench.store, tenant());
    for part in ["24#1/2", "24#1/3", "24"] {
        store.unschedule(&tenant, part).await.unwrap();
    }
    store
        .ensure_scheduled(&tenant, &["24".to_owned()])
        .await
        .unwrap();
    let warehouse = bench.claim("b").await.unwrap();
    assert_eq!(warehouse.shard, "24");
    assert_eq!(
        store.watch_cycle(&tenant, &warehouse, LEASE).await.unwrap(),
        Ok(2)
    );
    let again = store.watch_cycle(&tenant, &warehouse, LEASE).await.unwrap();
    assert_eq!(again, Err(LeaseLost), "it was given back");
    assert_eq!(bench.claim("b").await.unwrap().shard, "24#1/2");
}

#[tokio::test]
async fn a_refresh_asked_for_during_a_cycle_follows_it_at_once() {
    let bench = Bench::start().await;
    bench.claim("a").await.unwrap();
    bench.open(0, &[]).await.unwrap();
    bench.store.make_due(&tenant(), "24").await.unwrap();
    let part = bench.claim("a").await.unwrap();
    assert_eq!(part.shard, "24#1/1");
    assert_eq!(bench.claim("b").await, None);
    bench.end_part(&part, started()).await.unwrap();
    let claim = bench.claim("a").await.unwrap();
    assert!(bench.seal(1, &[]).await);
    bench
        .store
        .finish(&tenant(), &claim, Duration::from_mins(15), &Finished::Well)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bench.claim("a").await.unwrap().shard, "24");
}

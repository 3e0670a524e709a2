//! What a change of settings leaves of a feed: real Redis, two stores with settings of their own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use shared::process::clock::Clock as _;
use shared::redis_store::test_server::TestRedis;
use shared::redis_store::{
    CycleEnd, ItemRange, Reading, Sealed, StockStore, StoreError, StoredLine,
};
use shared::stock::{
    AsOf, Fingerprint, Generation, LineContent, LineValue, Origin, Quantities, Sku, StockLine,
    StockState, TenantId, Verdict, WarehouseId, judge,
};
use std::sync::LazyLock;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_hours(24);

struct Feed {
    redis: TestRedis,
    plain: StockStore,
}

static TENANT: LazyLock<TenantId> = LazyLock::new(|| TenantId::parse("t").unwrap());
static WAREHOUSES: LazyLock<[WarehouseId; 1]> =
    LazyLock::new(|| [WarehouseId::parse("24").unwrap()]);

fn settings(of: u8) -> Fingerprint {
    Fingerprint::of_bytes([of; 8])
}

impl Feed {
    async fn new() -> Self {
        let redis = TestRedis::start().unwrap();
        let plain = StockStore::open(&redis.settings().unwrap()).unwrap();
        plain.clock().sample().await.unwrap();
        Self { redis, plain }
    }

    fn under(&self, of: u8) -> StockStore {
        self.plain.under(Some(settings(of)))
    }

    fn now(&self) -> AsOf {
        self.plain.clock().now()
    }

    async fn field(&self, name: &str) -> Option<String> {
        let client = redis::Client::open(self.redis.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("HGET")
            .arg("inv:t:snapshot:24")
            .arg(name)
            .query_async(&mut connection)
            .await
            .unwrap()
    }

    /// Waits until Redis' clock has come there.
    async fn until(&self, instant: AsOf) {
        tokio::time::sleep(self.now().age_at(instant)).await;
    }

    async fn open(&self, of: u8, started: AsOf) -> Option<Generation> {
        let store = self.under(of);
        let seen = store.snapshots(&TENANT, &*WAREHOUSES).await.unwrap()[0].generation;
        let ranges = ItemRange::between(&[]);
        let opened = store.open_cycle(&TENANT, &WAREHOUSES[0], seen, started, &ranges, LEASE);
        opened.await.unwrap()
    }

    async fn seal(&self, of: u8, generation: Generation, started: AsOf) -> bool {
        let end = CycleEnd {
            generation,
            started,
            completed: started,
            rows: 100,
            pages: 1,
            next_due: started,
            sealed: Sealed::Complete {
                hash: "0".to_owned(),
            },
            borders: Vec::new(),
        };
        let store = self.under(of);
        let sealed = store.seal(&TENANT, &WAREHOUSES[0], &end);
        sealed.await.unwrap()
    }

    async fn write(&self, of: u8, sku: &str, as_of: AsOf) -> Verdict {
        let line = StockLine {
            sku: Sku::parse(sku).unwrap(),
            warehouse: WAREHOUSES[0].clone(),
            value: LineValue {
                content: LineContent::Quantities(Quantities::default()),
                as_of,
                origin: Origin::Live,
            },
        };
        let applied = self.under(of).apply(&TENANT, &[line]).await.unwrap();
        applied.verdicts[0]
    }

    /// One complete snapshot that shows this SKU.
    async fn snapshot(&self, of: u8, sku: &str) {
        let started = self.now();
        let generation = self.open(of, started).await.unwrap();
        assert_eq!(self.write(of, sku, started).await, Verdict::Applied);
        assert!(self.seal(of, generation, started).await);
    }

    async fn change(&self, to: u8) -> AsOf {
        let since = self.now().plus(Duration::from_millis(200));
        let changed = self
            .plain
            .change_settings(&TENANT, &WAREHOUSES[0], settings(to), since);
        assert!(changed.await.unwrap());
        since
    }

    async fn read(&self, of: u8) -> Reading {
        let skus = ["A", "B"].map(|sku| Sku::parse(sku).unwrap());
        let reader = self.under(of).reader();
        reader
            .read_many(&TENANT, &*WAREHOUSES, &skus)
            .await
            .unwrap()
    }

    /// The states of A and B under these settings.
    async fn states(&self, of: u8) -> [StockState; 2] {
        let reading = self.read(of).await;
        [0, 1].map(|at| {
            let line = match &reading.lines[at] {
                StoredLine::Value(line) => Some(line),
                StoredLine::Missing | StoredLine::Unreadable => None,
            };
            judge(line, &reading.feeds[0], self.now(), DAY).state
        })
    }
}

const UNKNOWN: [StockState; 2] = [StockState::Unknown; 2];

#[tokio::test]
async fn other_settings_neither_show_nor_deny_what_was_read_before_them() {
    let feed = Feed::new().await;
    feed.snapshot(1, "A").await;
    let read = [StockState::Present, StockState::Absent];
    assert_eq!(feed.states(1).await, read);
    // Who has other settings is told nothing, whatever became of the feed.
    assert_eq!(feed.states(2).await, UNKNOWN);

    let since = feed.change(2).await;
    assert_eq!(
        (feed.states(1).await, feed.states(2).await),
        (UNKNOWN, UNKNOWN)
    );
    feed.until(since).await;
    feed.snapshot(2, "B").await;
    assert_eq!(
        feed.states(2).await,
        [StockState::Absent, StockState::Present]
    );
    assert_eq!(feed.states(1).await, UNKNOWN);

    // And back again: what the first settings had read is not theirs any more.
    let since = feed.change(1).await;
    assert_eq!(feed.states(1).await, UNKNOWN);
    feed.until(since).await;
    feed.snapshot(1, "A").await;
    assert_eq!(
        (feed.states(1).await, feed.states(2).await),
        (read, UNKNOWN)
    );
}

#[tokio::test]
async fn whoever_still_has_the_old_settings_writes_nothing_under_the_new_ones() {
    let feed = Feed::new().await;
    let started = feed.now();
    let old = feed.open(1, started).await.unwrap();
    let since = feed.change(2).await;
    assert_eq!(
        feed.write(1, "A", feed.now()).await,
        Verdict::RefusedOtherSettings
    );
    assert_eq!(feed.open(1, feed.now()).await, None);
    assert!(!feed.seal(1, old, started).await, "the cycle is over");
    // Read with the new ones before they hold, a line could be one of the old ones.
    assert_eq!(feed.write(2, "A", feed.now()).await, Verdict::Applied);
    assert_eq!(feed.read(2).await.lines[0], StoredLine::Missing);
    feed.until(since).await;
    assert_eq!(feed.write(2, "A", feed.now()).await, Verdict::Applied);
    assert_eq!(
        feed.states(2).await,
        [StockState::Present, StockState::Unknown]
    );
}

#[tokio::test]
async fn a_feed_begun_anew_keeps_its_generations_and_nothing_to_be_compared_with() {
    let feed = Feed::new().await;
    feed.snapshot(1, "A").await;
    let record = async || {
        feed.plain
            .snapshots(&TENANT, &*WAREHOUSES)
            .await
            .unwrap()
            .remove(0)
    };
    assert_eq!(record().await.recent_rows, [100]);
    let since = feed.change(2).await;
    let after = record().await;
    assert_eq!(
        (after.generation, after.sealed),
        (Generation(1), Generation(0))
    );
    assert_eq!((after.recent_rows, after.started), (Vec::new(), None));
    assert_eq!(after.standing.wanted, Some(since));
    assert_eq!(
        feed.plain
            .history(&TENANT, &WAREHOUSES[0])
            .await
            .unwrap()
            .len(),
        1
    );
    // The same change again changes nothing.
    let again = since.plus(LEASE);
    let change = async |of, since| {
        let warehouse = &WAREHOUSES[0];
        feed.plain
            .change_settings(&TENANT, warehouse, settings(of), since)
            .await
    };
    assert_eq!(change(2, again).await, Ok(false));
    // An instant that has passed could be earlier than a line that is stored already.
    assert_eq!(change(1, feed.now()).await, Err(StoreError::TimedOut));
    assert_eq!(record().await.standing.wanted, Some(since));
}

#[tokio::test]
async fn a_record_of_before_fingerprints_is_adopted_and_vouches_as_before() {
    let feed = Feed::new().await;
    let started = feed.now();
    let (seen, ranges) = (Generation(0), ItemRange::between(&[]));
    let opened = feed
        .plain
        .open_cycle(&TENANT, &WAREHOUSES[0], seen, started, &ranges, LEASE);
    let generation = opened.await.unwrap().unwrap();
    assert_eq!(feed.write(1, "A", started).await, Verdict::Applied);
    assert!(feed.seal(1, generation, started).await);
    assert_eq!(feed.field("settings").await, None);
    let read = [StockState::Present, StockState::Absent];
    assert_eq!(feed.states(1).await, read, "believed as it stands");

    feed.plain
        .adopt_feeds(&TENANT, &*WAREHOUSES, settings(1))
        .await
        .unwrap();
    assert_eq!(
        (feed.states(1).await, feed.states(2).await),
        (read, UNKNOWN)
    );
    feed.snapshot(1, "B").await;
    assert_eq!(
        feed.states(1).await,
        [StockState::Suspect, StockState::Present]
    );
}

#[tokio::test]
async fn the_first_cycle_of_a_feed_takes_no_line_of_before_for_its_own() {
    let feed = Feed::new().await;
    let early = feed.now();
    assert_eq!(feed.write(2, "A", early).await, Verdict::Applied);
    feed.until(early.plus(Duration::from_millis(5))).await;
    feed.snapshot(1, "B").await;
    assert_eq!(
        feed.states(1).await,
        [StockState::Absent, StockState::Present]
    );
}

//! A Redis of a test's own with a store, a tenant `t` and a warehouse `24`.

use redis::FromRedisValue;
use redis::aio::MultiplexedConnection;
use shared::process::clock::Clock as _;
use shared::redis_store::{
    Claim, Claimed, CycleEnd, ItemRange, PartId, Reading, Sealed, StockStore, StoredLine,
};
use shared::stock::{
    AsOf, Fingerprint, Generation, ItemNumber, LineContent, LineValue, Origin, Quantities,
    Quantity, Sku, StockLine, StockState, TenantId, WarehouseId, WarehouseSnapshot, judge,
};
use std::sync::LazyLock;
use std::time::Duration;
use test_redis::TestRedis;

pub(crate) const LEASE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_hours(24);

pub(crate) static TENANT: LazyLock<TenantId> = LazyLock::new(|| TenantId::parse("t").unwrap());
pub(crate) static WAREHOUSE: LazyLock<WarehouseId> =
    LazyLock::new(|| WarehouseId::parse("24").unwrap());

pub(crate) fn sku(text: &str) -> Sku {
    Sku::parse(text).unwrap()
}

pub(crate) fn items(numbers: &[&str]) -> Vec<ItemNumber> {
    let item = |number: &&str| ItemNumber::parse(*number).unwrap();
    numbers.iter().map(item).collect()
}

/// So long after some day.
pub(crate) fn at(ms: i64) -> AsOf {
    AsOf::from_unix_ms(1_700_000_000_000 + ms).unwrap()
}

pub(crate) fn settings(of: u8) -> Fingerprint {
    Fingerprint::of_bytes([of; 8])
}

pub(crate) fn complete() -> Sealed {
    Sealed::Complete {
        hash: "abc".to_owned(),
    }
}

pub(crate) fn end(generation: Generation, started: AsOf, sealed: Sealed) -> CycleEnd {
    let completed = started.plus(Duration::from_secs(1));
    CycleEnd {
        generation,
        started,
        completed,
        rows: 100,
        pages: 1,
        borders: Vec::new(),
        next_due: completed,
        sealed,
    }
}

/// A live line in warehouse 24: this many, or absent.
pub(crate) fn line(of: &str, quantity: Option<i64>, as_of: AsOf) -> StockLine {
    let available = |number| Quantities {
        available: Quantity::from(number),
        ..Quantities::default()
    };
    StockLine {
        sku: sku(of),
        warehouse: WAREHOUSE.clone(),
        value: LineValue {
            content: quantity.map_or(LineContent::Absent, |number| {
                LineContent::Quantities(available(number))
            }),
            as_of,
            origin: Origin::Live,
        },
    }
}

pub(crate) struct Bench {
    pub(crate) redis: TestRedis,
    pub(crate) store: StockStore,
    raw: MultiplexedConnection,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        let redis = TestRedis::start().unwrap();
        let store = StockStore::open(&redis.settings().unwrap()).unwrap();
        store.clock().sample().await.unwrap();
        let client = redis::Client::open(redis.url()).unwrap();
        let raw = client.get_multiplexed_async_connection().await.unwrap();
        Self { redis, store, raw }
    }

    /// Another process' store; its connections are made.
    pub(crate) async fn other_store(&self) -> StockStore {
        let store = StockStore::open(&self.redis.settings().unwrap()).unwrap();
        store.clock().sample().await.unwrap();
        for _ in 0..2 {
            store.ping().await.unwrap();
        }
        store
    }

    /// Sends a command past the store.
    pub(crate) async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut self.raw.clone()).await.unwrap()
    }

    pub(crate) fn now(&self) -> AsOf {
        self.store.clock().now()
    }

    /// Waits until Redis' clock has come there.
    pub(crate) async fn until(&self, instant: AsOf) {
        tokio::time::sleep(self.now().age_at(instant)).await;
    }

    pub(crate) async fn schedule(&self, shards: &[&str]) -> usize {
        let shards: Vec<String> = shards.iter().map(|shard| (*shard).to_owned()).collect();
        let scheduled = self.store.ensure_scheduled(&TENANT, &shards);
        scheduled.await.unwrap()
    }

    /// The earliest due shard, if one is due.
    pub(crate) async fn claim(&self, holder: &str, lease: Duration) -> Option<Claim> {
        match self.store.claim(&TENANT, holder, lease).await.unwrap() {
            Claimed::Shard(claim) => Some(claim),
            Claimed::NothingDue { .. } => None,
        }
    }

    pub(crate) async fn record(&self) -> WarehouseSnapshot {
        let warehouses = std::slice::from_ref(&*WAREHOUSE);
        let mut records = self.store.snapshots(&TENANT, warehouses).await.unwrap();
        records.remove(0)
    }

    /// Opens a cycle under these settings, split at these items.
    pub(crate) async fn open_under(
        &self,
        of: Option<u8>,
        started: AsOf,
        borders: &[&str],
    ) -> Option<Generation> {
        let store = self.store.under(of.map(settings));
        let seen = self.record().await.generation;
        let ranges = ItemRange::between(&items(borders));
        let opened = store.open_cycle(&TENANT, &WAREHOUSE, seen, started, &ranges, LEASE);
        opened.await.unwrap()
    }

    /// Opens a cycle; what is left of another one is forgotten, as when it was evicted.
    pub(crate) async fn open(&self, started: AsOf) -> Generation {
        self.store.forget_cycle(&TENANT, &WAREHOUSE).await.unwrap();
        self.open_under(None, started, &[]).await.unwrap()
    }

    pub(crate) async fn seal(&self, end: &CycleEnd) -> bool {
        let sealed = self.store.seal(&TENANT, &WAREHOUSE, end);
        sealed.await.unwrap()
    }

    /// Reads every part that is due to its end.
    pub(crate) async fn end_parts(&self, started: AsOf) {
        while let Some(claim) = self.claim("reader", LEASE).await {
            let Some((_, part)) = PartId::of_shard(&claim.shard) else {
                return;
            };
            let ended = self
                .store
                .finish_part(&TENANT, &WAREHOUSE, &claim, part, started, "end");
            ended.await.unwrap().unwrap();
        }
    }

    /// One complete snapshot under these settings that shows this SKU.
    pub(crate) async fn snapshot_under(&self, of: u8, shows: &str) -> AsOf {
        let started = self.now();
        let generation = self.open_under(Some(of), started, &[]).await.unwrap();
        let store = self.store.under(Some(settings(of)));
        let applied = store.apply(&TENANT, &[line(shows, Some(1), started)]).await;
        assert_eq!(applied.unwrap().applied(), 1);
        self.end_parts(started).await;
        assert!(self.seal(&end(generation, started, complete())).await);
        started
    }

    /// Begins the feed anew under these settings; since when they hold.
    pub(crate) async fn change_to(&self, of: u8) -> AsOf {
        let since = self.now().plus(Duration::from_secs(1));
        let changed = self
            .store
            .change_settings(&TENANT, &WAREHOUSE, settings(of), since);
        assert!(changed.await.unwrap());
        since
    }

    pub(crate) async fn read_under(&self, of: Option<u8>, skus: &[&str]) -> Reading {
        let skus: Vec<Sku> = skus.iter().map(|text| sku(text)).collect();
        let reader = self.store.under(of.map(settings)).reader();
        let warehouses = std::slice::from_ref(&*WAREHOUSE);
        reader.read_many(&TENANT, warehouses, &skus).await.unwrap()
    }

    /// The states of A and B under these settings.
    pub(crate) async fn states(&self, of: u8) -> [StockState; 2] {
        let reading = self.read_under(Some(of), &["A", "B"]).await;
        [0, 1].map(|at| {
            let line = match &reading.lines[at] {
                StoredLine::Value(line) => Some(line),
                StoredLine::Missing | StoredLine::Unreadable => None,
            };
            judge(line, &reading.feeds[0], self.now(), DAY).state
        })
    }
}

/// Tries until it gives something, at most ten seconds.
pub(crate) async fn eventually<T>(attempt: impl AsyncFn() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(value) = attempt().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), trying)
        .await
        .expect("in time")
}

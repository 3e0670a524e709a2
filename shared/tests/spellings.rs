//! Names in Redis whatever the spelling, and names of earlier versions, against a real Redis.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use redis::Commands;
use shared::process::clock::Clock as _;
use shared::redis_store::{HeldOfSku, StockStore, StoredLine};
use shared::stock::{
    AsOf, Hold, HoldId, HoldOwner, LineContent, LineValue, Origin, Quantities, Quantity, Sku,
    StockLine, TenantId, WarehouseId,
};
use std::time::Duration;
use test_redis::TestRedis;

const OLD: &str = "2026-05-04T10:00:00.000Z";
const NEW: &str = "2026-05-04T10:00:01.000Z";

fn tenant() -> TenantId {
    TenantId::parse("t").unwrap()
}

fn warehouse(id: &str) -> WarehouseId {
    WarehouseId::parse(id).unwrap()
}

fn sku(text: &str) -> Sku {
    Sku::parse(text).unwrap()
}

fn line(available: i64, as_of: &str) -> String {
    format!("{available}|0|0|0|{as_of}|snap:1")
}

async fn store(redis: &TestRedis) -> (StockStore, redis::Connection) {
    let settings = redis.settings().unwrap();
    let store = StockStore::open(&settings).unwrap();
    store.clock().sample().await.unwrap();
    let plain = redis::Client::open(settings.url.as_str()).unwrap();
    (store, plain.get_connection().unwrap())
}

/// Available quantities of some SKUs in one warehouse.
async fn told(store: &StockStore, place: &str, skus: &[&str]) -> Vec<Option<i64>> {
    let skus: Vec<Sku> = skus.iter().map(|text| sku(text)).collect();
    let warehouses = [warehouse(place)];
    let reading = store
        .reader()
        .read_many(&tenant(), &warehouses, &skus)
        .await;
    let lines = reading.unwrap().lines;
    lines
        .into_iter()
        .map(|line| match line {
            StoredLine::Value(LineValue {
                content: LineContent::Quantities(quantities),
                ..
            }) => quantities.available.as_integer(),
            StoredLine::Value(_) => Some(-1),
            StoredLine::Missing => None,
            StoredLine::Unreadable => Some(-2),
        })
        .collect()
}

async fn held(store: &StockStore, place: &str, text: &str) -> Quantity {
    let warehouses = [warehouse(place)];
    let (reader, skus) = (store.reader(), [sku(text)]);
    let reading = reader.read_many(&tenant(), &warehouses, &skus).await;
    match &reading.unwrap().held[0] {
        HeldOfSku::Holds(holds) => holds
            .iter()
            .filter(|hold| hold.warehouse == warehouses[0])
            .fold(Quantity::ZERO, |sum, hold| {
                sum.checked_add(hold.quantity).unwrap()
            }),
        HeldOfSku::Nothing => Quantity::ZERO,
        HeldOfSku::Unreadable => panic!("unreadable"),
    }
}

#[tokio::test]
async fn lines_and_holds_are_found_by_any_spelling_and_stored_in_upper_case() {
    let redis = TestRedis::start().unwrap();
    let (store, mut plain) = store(&redis).await;
    let now = store.clock().now();
    let stock = |name: &str, place: &str, available: i64, as_of: AsOf| StockLine {
        sku: sku(name),
        warehouse: warehouse(place),
        value: LineValue {
            content: LineContent::Quantities(Quantities {
                available: Quantity::from(available),
                ..Quantities::default()
            }),
            as_of,
            origin: Origin::Live,
        },
    };
    let later = now.plus(Duration::from_millis(5));
    let lines = [
        stock("D0001", "24", 1, now),
        stock("abc-1 ", "wh-a", 2, now),
        stock("ABC-1", "WH-A", 3, later),
    ];
    store.apply(&tenant(), &lines).await.unwrap();
    let mut keys: Vec<String> = plain.keys("inv:t:stock:*").unwrap();
    keys.sort();
    assert_eq!(keys, ["inv:t:stock:ABC-1", "inv:t:stock:D0001"]);
    let fields: Vec<String> = plain.hkeys("inv:t:stock:ABC-1").unwrap();
    assert_eq!(fields, ["WH-A"]);
    let spellings = ["abc-1", "ABC-1  ", "Abc-1", " abc-1"];
    assert_eq!(
        told(&store, "Wh-A ", &spellings).await,
        [Some(3), Some(3), Some(3), None]
    );

    let (_, before) = store
        .read_orders(&tenant(), &[], &[sku("abc-1")])
        .await
        .unwrap();
    let hold = Hold {
        owner: HoldOwner::Order(HoldId::parse("O-1").unwrap()),
        warehouse: warehouse("wh-a"),
        quantity: Quantity::from(2),
        placed: now,
        until: now.plus(Duration::from_mins(1)),
        confirmed: None,
    };
    let change = before[0].becomes(vec![hold]);
    assert!(
        store
            .swap_orders(&tenant(), &[], &[change], Duration::from_secs(5))
            .await
            .unwrap()
    );
    assert_eq!(held(&store, "WH-a", "ABC-1 ").await, Quantity::from(2));
}

#[tokio::test]
async fn what_an_earlier_version_named_otherwise_is_read_once_and_renamed() {
    let redis = TestRedis::start().unwrap();
    let (store, mut plain) = store(&redis).await;
    // As written before: names as D365, the settings and callers spell them.
    for (key, field, value) in [
        ("inv:t:stock:abc", "wh-a", line(1, NEW)),
        ("inv:t:stock:Twice", "wh-a", line(2, NEW)),
        ("inv:t:stock:TWICE", "wh-a", line(3, OLD)),
        ("inv:t:stock:UPPER", "wh-a", line(4, OLD)),
        ("inv:t:stock:UPPER", "24", line(5, OLD)),
        ("inv:t:snapshot:wh-a", "watermark", OLD.to_owned()),
        ("inv:t:snapshot:wh-a", "started", NEW.to_owned()),
        ("inv:t:snapshot:WH-A", "started", OLD.to_owned()),
        ("inv:t:cycle:wh-a", "generation", "7".to_owned()),
        ("inv:t:shard:wh-a#7/1", "cursor", "abc".to_owned()),
    ] {
        let _: () = plain.hset(key, field, value).unwrap();
    }
    let _: () = plain.rpush("inv:t:ranges:wh-a", "m").unwrap();
    for (member, score) in [("wh-a", 500), ("wh-a#7/1", 1), ("~asked", 9)] {
        let _: () = plain.zadd("inv:t:due", member, score).unwrap();
    }
    let _: () = plain.zadd("inv:t:low", "abc", 3).unwrap();
    let hold = |quantity: i64, id: &str| format!("{quantity}|{OLD}|{NEW}|-|order:{id}|wh-a");
    for (name, text) in [("abc", hold(2, "O-1")), ("ABC", hold(1, "O-2"))] {
        let _: () = plain.hset("inv:t:held", name, text).unwrap();
        let _: () = plain.zadd("inv:t:held_until", name, 5).unwrap();
    }
    assert_eq!(
        told(&store, "wh-a", &["abc"]).await,
        [None],
        "not yet renamed"
    );
    store.distrust_missing_lines_of(vec![tenant()]);
    assert_eq!(told(&store, "wh-a", &["abc"]).await, [Some(-2)], "no proof");
    store.distrust_missing_lines_of(Vec::new());

    let warehouses = [warehouse("wh-a"), warehouse("24")];
    let renamed = store.respell(&tenant(), &warehouses).await.unwrap();
    assert!(renamed > 0);
    assert_eq!(store.respell_holds(&tenant()).await.unwrap(), 1);
    assert_eq!(
        told(&store, "WH-A", &["abc", "twice", "upper"]).await,
        [Some(1), Some(2), Some(4)],
        "the newer one stays where both were there"
    );
    assert_eq!(told(&store, "24", &["upper"]).await, [Some(5)]);
    assert_eq!(held(&store, "wh-a", "Abc").await, Quantity::from(3));
    let snapshots = store.snapshots(&tenant(), &warehouses).await.unwrap();
    let watermark = snapshots[0].standing.watermark;
    assert_eq!(watermark.map(|mark| mark.to_string()).as_deref(), Some(OLD));
    let mut keys: Vec<String> = plain.keys("inv:*").unwrap();
    keys.sort();
    assert_eq!(
        keys,
        [
            "inv:t:cycle:WH-A",
            "inv:t:due",
            "inv:t:held",
            "inv:t:held_until",
            "inv:t:low",
            "inv:t:ranges:WH-A",
            "inv:t:shard:WH-A#7/1",
            "inv:t:snapshot:WH-A",
            "inv:t:spelling",
            "inv:t:stock:ABC",
            "inv:t:stock:TWICE",
            "inv:t:stock:UPPER",
        ]
    );
    let due: Vec<(String, i64)> = plain.zrange_withscores("inv:t:due", 0, -1).unwrap();
    let due: Vec<(&str, i64)> = due.iter().map(|(name, at)| (name.as_str(), *at)).collect();
    assert_eq!(due, [("WH-A#7/1", 1), ("~asked", 9), ("WH-A", 500)]);
    let low: Vec<String> = plain.zrange("inv:t:low", 0, -1).unwrap();
    assert_eq!(low, ["ABC"]);

    // Once is enough: nothing is looked for again.
    let _: () = plain.hset("inv:t:stock:later", "24", line(9, NEW)).unwrap();
    assert_eq!(store.respell(&tenant(), &warehouses).await.unwrap(), 0);
    assert_eq!(store.respell_holds(&tenant()).await.unwrap(), 0);
    assert_eq!(told(&store, "24", &["later"]).await, [None]);
}

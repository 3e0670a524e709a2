//! The shop, the settings and D365 spell differently, and mean the same.

use crate::house::{House, world};
use d365_simulator::{Action, FaultSpec, Kind, StockChange, StockKey};
use integration_tests::api_client::Reply;
use serde_json::{Value, json};

/// Every other row of D365 is spelled otherwise than the one before.
fn respelled(kind: Kind) -> FaultSpec {
    FaultSpec::on(kind, Action::Respell { every: 2 })
}

/// What a reply says of each SKU asked for: its state and number, in the order asked for.
fn told(reply: &Reply) -> Vec<(&str, &str, i64)> {
    let lines = reply.json["data"].as_array();
    let lines = lines.unwrap_or_else(|| panic!("{}", reply.text));
    lines
        .iter()
        .map(|line| {
            let sku = line["sku"].as_str().unwrap();
            let state = line["state"].as_str().unwrap();
            (sku, state, line["availableStock"].as_i64().unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_thing_is_one_thing_under_every_spelling() {
    let mut house = House::with(world(10), &["wh-a"]).await;
    house.reconfigure(|config| "[worker]\npage_size = 4\n".clone_into(&mut config.more));
    let d365 = house.d365();
    let put = |item: &str, color: &str, pieces: &str| {
        let key = StockKey {
            color: color.to_owned(),
            ..StockKey::of("usmf", item, "WH-A")
        };
        d365.put_stock(&key, &StockChange::on_hand(pieces)).unwrap();
    };
    put("ABC-1", "", "7");
    // Nine rows: one item over three pages, in two spellings on each of them.
    for color in 0..9 {
        put("abc-2", &format!("C{color}"), "2");
    }
    put("Straße-1", "", "5");
    put("XYZ ", "", "3");
    for kind in [Kind::Page, Kind::Lookup] {
        d365.add_fault(respelled(kind));
    }

    house.snapshot().await;
    let feed = house.feed("WH-A").await;
    assert_eq!(feed["state"], "complete", "{feed:?}");
    assert_eq!(feed["rows"], "12");

    let (_service, api) = house.api().await;
    let asked = [
        "abc-1",
        "ABC-1 ",
        "Abc-2",
        "xyz",
        "gone-1",
        "STRAßE-1",
        "weiß",
        "ＡＢＣ-1",
    ];
    let expected = [
        ("abc-1", "PRESENT", 7),
        ("ABC-1 ", "PRESENT", 7),
        ("Abc-2", "PRESENT", 18),
        ("xyz", "PRESENT", 3),
        ("gone-1", "ABSENT", 0),
        ("STRAßE-1", "PRESENT", 5),
        ("weiß", "UNKNOWN", 0),
        ("ＡＢＣ-1", "UNKNOWN", 0),
    ];
    let fast = api.fast("Wh-A", &asked).await.unwrap();
    assert_eq!(told(&fast), expected, "FAST");
    assert_eq!(fast.json["data"][0]["warehouseId"], "Wh-A");
    let exact = api.exact("WH-a ", &asked).await.unwrap();
    assert_eq!(told(&exact), expected, "EXACT");
    let fast = api.fast("wh-a", &asked).await.unwrap();
    assert_eq!(told(&fast), expected, "FAST after what EXACT stored");

    // Seven are there; both spellings together may have no more.
    let order = |id: &str, products: Value| json!({ "warehouseId": "wh-A", "orderId": id, "commit": true, "products": products });
    let path = "/inventory/v1/availability-checks";
    let first = order(
        "O-1",
        json!([{ "sku": "abc-1", "quantity": 4 }, { "sku": "ABC-1", "quantity": 2 }]),
    );
    let granted = api.post(path, &first).await.unwrap();
    assert_eq!(granted.json["order"]["hold"], "held", "{}", granted.text);
    for (at, sku, quantity) in [(0, "abc-1", 4), (1, "ABC-1", 2)] {
        let line = &granted.json["data"][at];
        assert_eq!(
            (&line["sku"], &line["granted"]),
            (&sku.into(), &quantity.into())
        );
    }
    let again = order("O-1", json!([{ "sku": "Abc-1 ", "quantity": 6 }]));
    let again = api.post(path, &again).await.unwrap();
    assert_eq!(again.json["order"]["hold"], "repeated", "{}", again.text);
    let second = order(
        "O-2",
        json!([{ "sku": "ABC-1", "quantity": 1 }, { "sku": "abc-1", "quantity": 1 }]),
    );
    let short = api.post(path, &second).await.unwrap();
    assert_eq!(short.json["orderable"], false, "{}", short.text);
    let of_spellings = [0, 1].map(|at| short.json["data"][at]["granted"].as_i64());
    assert_eq!(of_spellings, [Some(1), Some(0)], "{}", short.text);
    let left = api.fast("wh-a", &["aBC-1"]).await.unwrap();
    let line = left.line("aBC-1").unwrap();
    assert_eq!(
        (&line["availableStock"], &line["held"]),
        (&1.into(), &6.into())
    );
    assert_eq!(house.hash("inv:contoso:stock:ABC-1").await.len(), 1);
}

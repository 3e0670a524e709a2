//! The shop, the settings and D365 spell differently, and mean the same.

use d365_simulator::{Action, FaultSpec, Kind, StockChange, StockKey};
use integration_tests::api_client::Reply;
use integration_tests::test_bed::{Failure, TestBed, world};
use serde_json::{Value, json};

/// What a reply says of each SKU: its state and number, in the order asked for.
fn lines(reply: &Reply) -> Vec<(&str, &str, i64)> {
    let lines = reply.json["data"].as_array();
    let lines = lines.unwrap_or_else(|| panic!("{}", reply.text));
    lines.iter().filter_map(line).collect()
}

fn line(line: &Value) -> Option<(&str, &str, i64)> {
    let (sku, state) = (line["sku"].as_str()?, line["state"].as_str()?);
    Some((sku, state, line["availableStock"].as_i64()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_thing_is_one_thing_under_every_spelling() -> Result<(), Failure> {
    let bed = TestBed::configured(world(10), &["wh-a"], |config| {
        "[worker]\npage_size = 4\n".clone_into(&mut config.more);
    })
    .await?;
    bed.put("ABC-1", "WH-A", "7")?;
    // Nine rows: one item over three pages, in two spellings on each of them.
    for color in 0..9 {
        let key = StockKey {
            color: format!("C{color}"),
            ..StockKey::of("usmf", "abc-2", "WH-A")
        };
        bed.d365().put_stock(&key, &StockChange::on_hand("2"))?;
    }
    bed.put("Straße-1", "WH-A", "5")?;
    bed.put("XYZ ", "WH-A", "3")?;
    // Every other row of D365 is spelled otherwise than the one before.
    for kind in [Kind::Page, Kind::Lookup] {
        let respelled = FaultSpec::on(kind, Action::Respell { every: 2 });
        bed.d365().add_fault(respelled);
    }
    bed.snapshot().await?;
    let feed = bed.feed("WH-A").await?;
    assert_eq!(feed["state"], "complete", "{feed:?}");
    assert_eq!(feed["rows"], "12");

    let (_service, api) = bed.api().await?;
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
    let asked = expected.map(|(sku, _, _)| sku);
    let fast = api.fast("Wh-A", &asked).await?;
    assert_eq!(lines(&fast), expected, "FAST");
    assert_eq!(fast.json["data"][0]["warehouseId"], "Wh-A");
    let exact = api.exact("WH-a ", &asked).await?;
    assert_eq!(lines(&exact), expected, "EXACT");
    let fast = api.fast("wh-a", &asked).await?;
    assert_eq!(lines(&fast), expected, "FAST after what EXACT stored");

    // Seven are there; both spellings together may have no more.
    let order = async |id: &str, products: Value| {
        let order = json!({ "warehouseId": "wh-A", "orderId": id, "commit": true,
                            "products": products });
        api.post("/inventory/v1/availability-checks", &order).await
    };
    let both = json!([{ "sku": "abc-1", "quantity": 4 }, { "sku": "ABC-1", "quantity": 2 }]);
    let granted = order("O-1", both).await?;
    assert_eq!(granted.json["order"]["hold"], "held", "{}", granted.text);
    for (at, sku, quantity) in [(0, "abc-1", 4), (1, "ABC-1", 2)] {
        let line = &granted.json["data"][at];
        assert_eq!(
            (&line["sku"], &line["granted"]),
            (&sku.into(), &quantity.into())
        );
    }
    let again = order("O-1", json!([{ "sku": "Abc-1 ", "quantity": 6 }])).await?;
    assert_eq!(again.json["order"]["hold"], "repeated", "{}", again.text);
    let both = json!([{ "sku": "ABC-1", "quantity": 1 }, { "sku": "abc-1", "quantity": 1 }]);
    let short = order("O-2", both).await?;
    assert_eq!(short.json["orderable"], false, "{}", short.text);
    let granted = [0, 1].map(|at| short.json["data"][at]["granted"].as_i64());
    assert_eq!(granted, [Some(1), Some(0)], "{}", short.text);
    let left = api.fast("wh-a", &["aBC-1"]).await?;
    let line = &left.json["data"][0];
    assert_eq!(
        (&line["availableStock"], &line["held"]),
        (&1.into(), &6.into())
    );
    assert_eq!(bed.hash("inv:contoso:stock:ABC-1").await?.len(), 1);
    Ok(())
}

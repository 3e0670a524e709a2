//! What FAST says is what D365 said: for every line, in every mapping.

use crate::house::{House, world};
use d365_simulator::{JournalEntry, Simulator, TruthLine, UtcMillis};
use integration_tests::api_client::ApiClient;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

const SKUS_PER_REQUEST: usize = 1_000;

/// A quantity in millionths: D365's decimals have six places.
fn micros(text: &str) -> i64 {
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = format!("{fraction:0<6}");
    assert_eq!(fraction.len(), 6, "{text}");
    sign * (whole.parse::<i64>().unwrap() * 1_000_000 + fraction.parse::<i64>().unwrap())
}

type Dimensions = [String; 5];
type SkuOf<'a> = &'a dyn Fn(&TruthLine) -> Option<String>;

fn dimensions(row: &TruthLine) -> Dimensions {
    [
        &row.configuration,
        &row.size,
        &row.color,
        &row.style,
        &row.version,
    ]
    .map(Clone::clone)
}

/// Available and on hand of each SKU in one warehouse, by this test's own reading of a mapping.
fn expected(d365: &Simulator, warehouse: &str, sku_of: SkuOf<'_>) -> BTreeMap<String, (i64, i64)> {
    let mut sums = BTreeMap::new();
    for row in d365.truth("usmf", Some(warehouse), None).unwrap() {
        if let Some(sku) = sku_of(&row) {
            let sum: &mut (i64, i64) = sums.entry(sku).or_default();
            sum.0 += micros(&row.available);
            sum.1 += micros(&row.on_hand);
        }
    }
    sums
}

async fn fast(api: &ApiClient, warehouse: &str, skus: &[&String]) -> Vec<Value> {
    let question = json!({ "warehouseId": warehouse, "skus": skus });
    let reply = api
        .post("/inventory/v1/inventories", &question)
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text);
    let lines = reply.json["data"].as_array().unwrap().clone();
    assert_eq!(lines.len(), skus.len());
    lines
}

fn number(line: &Value, field: &str) -> i64 {
    micros(&line[field].to_string())
}

async fn check_every_line(house: &House, warehouses: &[String], sku_of: SkuOf<'_>) -> usize {
    let (mut service, api) = house.api().await;
    let per_warehouse: Vec<_> = warehouses
        .iter()
        .map(|warehouse| expected(&house.d365(), warehouse, sku_of))
        .collect();
    let all_skus: BTreeSet<&String> = per_warehouse.iter().flat_map(BTreeMap::keys).collect();
    let all_skus: Vec<&String> = all_skus.into_iter().collect();
    let mut checked = 0;
    for (warehouse, expected) in warehouses.iter().zip(&per_warehouse) {
        for skus in all_skus.chunks(SKUS_PER_REQUEST) {
            for (sku, line) in skus.iter().zip(fast(&api, warehouse, skus).await) {
                assert_eq!(line["sku"], **sku);
                let said = (
                    line["state"].as_str().unwrap(),
                    number(&line, "availableStock"),
                );
                if let Some((available, on_hand)) = expected.get(*sku) {
                    assert_eq!(said, ("PRESENT", (*available).max(0)), "{warehouse} {line}");
                    assert_eq!(number(&line, "onHand"), *on_hand, "{warehouse} {line}");
                    assert_eq!(line["inStock"], *available > 0, "{warehouse} {line}");
                } else {
                    // Outside ASCII D365 may know it in another spelling: that is no proof.
                    let state = if sku.is_ascii() { "ABSENT" } else { "UNKNOWN" };
                    assert_eq!(said, (state, 0), "{warehouse} {line}");
                }
                checked += 1;
            }
        }
    }
    service.stop().await.unwrap();
    checked
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_equals_the_truth_in_all_three_mappings() {
    let mut house = House::with(world(50_500), &["24"]).await;
    let d365 = house.d365();
    let warehouses: Vec<String> = d365
        .warehouses()
        .into_iter()
        .filter(|line| line.company == "usmf")
        .map(|line| line.warehouse)
        .filter(|id| !id.is_empty() && !["QUAR", "TRANSIT"].contains(&id.as_str()))
        .collect();
    assert_eq!(warehouses.len(), 10);
    let variants: HashMap<(String, Dimensions), String> = d365
        .variants("usmf")
        .unwrap()
        .into_iter()
        .map(|v| {
            let dimensions = [v.configuration, v.size, v.color, v.style, v.version];
            ((v.item, dimensions), v.variant)
        })
        .collect();
    let masters: HashSet<String> = variants.keys().map(|(item, _)| item.clone()).collect();
    assert!(masters.len() > 500, "{}", masters.len());

    let by_item = |row: &TruthLine| Some(row.item.clone());
    let by_variant = |row: &TruthLine| {
        if masters.contains(&row.item) {
            variants.get(&(row.item.clone(), dimensions(row))).cloned()
        } else {
            Some(row.item.clone())
        }
    };
    let by_template = |row: &TruthLine| {
        if row.color.is_empty() && row.size.is_empty() {
            return Some(row.item.clone());
        }
        Some(format!("{}-{}-{}", row.item, row.color, row.size))
    };
    let mappings: [(&str, SkuOf<'_>); 3] = [
        ("item-number", &by_item),
        ("variants", &by_variant),
        (
            "{ItemNumber}-{ProductColorId}-{ProductSizeId}",
            &by_template,
        ),
    ];
    for (mapping, sku_of) in mappings {
        house.redis.flush().await.unwrap();
        house.reconfigure(|config| {
            mapping.clone_into(&mut config.sku_mapping);
            config.warehouses.clone_from(&warehouses);
        });
        house.snapshot().await;
        let checked = check_every_line(&house, &warehouses, sku_of).await;
        println!("{mapping}: {checked} lines equal the truth");
        assert!(checked >= 500_000, "{checked}");
    }
}

/// What an item's available quantity was over time: the instants it changed and to what.
fn history(entries: &[JournalEntry]) -> Vec<(UtcMillis, i64)> {
    let mut rows: HashMap<[String; 6], i64> = HashMap::new();
    entries
        .iter()
        .map(|entry| {
            let available = entry
                .line
                .as_ref()
                .map_or(0, |line| micros(&line.available));
            rows.insert(entry.row.clone(), available);
            (entry.at, rows.values().sum())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_stock_moves_a_line_is_as_old_as_it_says() {
    let mut d365 = world(3_000);
    d365.sales_per_second = 2_000.0;
    d365.page_size = 500;
    // However fast the machine is, a page takes long enough for sales to happen meanwhile.
    d365.load.base_ms = 100;
    let mut house = House::with(d365, &["11", "24"]).await;
    house.reconfigure(|config| "[worker]\npage_size = 500\n".clone_into(&mut config.more));
    let moved_before = house.d365().sales().1;
    house.snapshot().await;
    let moved = house.d365().sales().1 - moved_before;
    house.d365().set_sales(0.0);
    assert!(moved > 100, "stock did not move while it was read: {moved}");
    let slowest_page = house
        .d365()
        .requests(0)
        .iter()
        .filter_map(|request| Some(request.answered?.unix_millis() - request.started.unix_millis()))
        .max()
        .unwrap();

    let (_service, api) = house.api().await;
    let mut changed_meanwhile = 0;
    for warehouse in ["11", "24"] {
        let rows = house.d365().truth("usmf", Some(warehouse), None).unwrap();
        let items: BTreeSet<String> = rows.into_iter().map(|row| row.item).collect();
        let items: Vec<&String> = items.iter().collect();
        for items in items.chunks(SKUS_PER_REQUEST) {
            for (item, line) in items.iter().zip(fast(&api, warehouse, items).await) {
                let journal = house.d365().journal("usmf", item, Some(warehouse)).unwrap();
                let history = history(&journal);
                let as_of: UtcMillis = serde_json::from_value(line["asOf"].clone()).unwrap();
                // A page is one instant between the request's start and its answer; a little more
                // for the way to the simulator.
                let latest = as_of.unix_millis() + slowest_page + 250;
                // The two clocks drift apart a little where a time server adjusts one of them.
                let as_of = UtcMillis::from_unix_millis(as_of.unix_millis() - 20);
                let at_as_of = history.iter().rev().find(|(at, _)| *at <= as_of).unwrap();
                let possible: Vec<i64> = history
                    .iter()
                    .filter(|(at, _)| *at > as_of && at.unix_millis() <= latest)
                    .chain([at_as_of])
                    .map(|(_, available)| (*available).max(0))
                    .collect();
                let said = number(&line, "availableStock");
                assert!(possible.contains(&said), "{line} {possible:?}");
                changed_meanwhile += usize::from(journal.len() > 1);
            }
        }
    }
    assert!(changed_meanwhile > 50, "{changed_meanwhile}");
}

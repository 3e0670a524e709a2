//! What a reply says is what D365 said: for every line, in every mapping, while stock moves.

use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, StockChange, StockKey, TruthLine};
use integration_tests::oracle::micros;
use integration_tests::test_bed::{Failure, TestBed, metric, world};
use serde_json::json;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

const WAREHOUSES: [&str; 2] = ["11", "24"];

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
fn expected(
    bed: &TestBed,
    warehouse: &str,
    sku_of: SkuOf<'_>,
) -> Result<BTreeMap<String, (i64, i64)>, Failure> {
    let mut sums = BTreeMap::<String, (i64, i64)>::new();
    for row in bed.d365().truth("usmf", Some(warehouse), None)? {
        if let Some(sku) = sku_of(&row) {
            let sum = sums.entry(sku).or_default();
            sum.0 += micros(&row.available);
            sum.1 += micros(&row.on_hand);
        }
    }
    Ok(sums)
}

/// Asks for every SKU of both warehouses in each of them; how many lines were right.
async fn check_every_line(bed: &TestBed, sku_of: SkuOf<'_>) -> Result<usize, Failure> {
    let (mut service, api) = bed.api().await?;
    let per_warehouse = [
        expected(bed, WAREHOUSES[0], sku_of)?,
        expected(bed, WAREHOUSES[1], sku_of)?,
    ];
    let all: Vec<&String> = per_warehouse.iter().flat_map(BTreeMap::keys).collect();
    let mut checked = 0;
    for (warehouse, expected) in WAREHOUSES.into_iter().zip(&per_warehouse) {
        for (severity, skus) in all
            .chunks(1_000)
            .map(|skus| ("FAST", skus))
            .chain(all.chunks(100).take(1).map(|skus| ("EXACT", skus)))
        {
            let question = json!({ "severity": severity, "warehouseId": warehouse, "skus": skus });
            let reply = api.post("/inventory/v1/inventories", &question).await?;
            let lines = reply.json["data"].as_array().ok_or(reply.text)?;
            assert_eq!(lines.len(), skus.len());
            for (sku, line) in skus.iter().zip(lines) {
                assert_eq!(line["sku"], **sku);
                let number = |field: &str| micros(&line[field].to_string());
                let said = (line["state"].as_str(), number("availableStock"));
                if let Some((available, on_hand)) = expected.get(*sku) {
                    assert_eq!(said, (Some("PRESENT"), (*available).max(0)), "{line}");
                    assert_eq!(number("onHand"), *on_hand, "{line}");
                    assert_eq!(line["inStock"], *available > 0, "{line}");
                } else {
                    // Outside ASCII D365 may know it in another spelling: that is no proof.
                    let state = if sku.is_ascii() { "ABSENT" } else { "UNKNOWN" };
                    assert_eq!(said, (Some(state), 0), "{severity} {warehouse} {line}");
                }
                checked += 1;
            }
        }
    }
    service.stop().await?;
    Ok(checked)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_equals_the_truth_in_all_three_mappings() -> Result<(), Failure> {
    let mut bed = TestBed::start(world(6_000), &WAREHOUSES).await?;
    let variants: HashMap<(String, Dimensions), String> = bed
        .d365()
        .variants("usmf")?
        .into_iter()
        .map(|v| {
            let dimensions = [v.configuration, v.size, v.color, v.style, v.version];
            ((v.item, dimensions), v.variant)
        })
        .collect();
    let masters: HashSet<String> = variants.keys().map(|(item, _)| item.clone()).collect();
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
        bed.redis.flush().await?;
        bed.reconfigure(|config| mapping.clone_into(&mut config.sku_mapping))?;
        bed.snapshot().await?;
        let checked = check_every_line(&bed, sku_of).await?;
        println!("{mapping}: {checked} lines equal the truth");
        assert!(checked >= 6_000, "{checked}");
    }
    Ok(())
}

/// Half of the pages come late, while the same items are asked live and sold.
#[tokio::test(flavor = "multi_thread")]
async fn while_stock_moves_and_pages_come_late_a_line_is_as_old_as_it_says() -> Result<(), Failure>
{
    const LATE_MS: u64 = 1_500;
    let mut d365 = world(300);
    d365.sales_per_second = 600.0;
    d365.load.base_ms = 50;
    let bed = TestBed::configured(d365, &["24"], |config| {
        "1s".clone_into(&mut config.refresh_interval);
        config.more = "[worker]\npage_size = 60\n".to_owned();
    })
    .await?;
    bed.snapshot().await?;
    let (_service, api) = bed.api().await?;
    let mut worker = bed.worker("worker").await?;
    let late = Action::Delay {
        ms: LATE_MS,
        at: DelayPoint::AfterRead,
    };
    let mut late = FaultSpec::on(Kind::Page, late);
    late.every = Some(2);
    bed.d365().add_fault(late);
    let items = bed.items("24")?;
    let mut lines = Vec::new();
    let mut live = items.chunks(20).cycle();
    let (began, mut refused) = (bed.now(), 0);
    // Long enough for late pages to meet newer lines, however slow the machine is.
    while bed.now() < began + 8_000 || (refused == 0 && bed.now() < began + 40_000) {
        let asked = live.next().into_iter().flatten().map(String::as_str);
        api.exact("24", &asked.collect::<Vec<_>>()).await?;
        lines.extend(bed.lines(&api, "24", &items).await?);
        refused = metric(&worker, "store_lines_total", "refused_older").await?;
    }
    let verdict = bed.judge(&lines, i64::try_from(LATE_MS)? + 500);
    assert_eq!(
        (verdict.lies, verdict.regressed, verdict.false_absences),
        (0, 0, 0)
    );
    assert!(verdict.lines > 200 && refused > 0, "{verdict:?} {refused}");
    worker.stop().await?;
    Ok(())
}

/// Puts and removes items until it is dropped.
async fn move_rows(bed: &TestBed) -> Result<(), Failure> {
    for number in (0..70).cycle() {
        let item = format!("!{number:03}");
        bed.put(&item, "24", "1")?;
        if number % 3 == 0 {
            bed.remove(&item, "24")?;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Items that sort before all others come and go, so that every place behind them moves.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_and_go_while_paging_hide_no_other() -> Result<(), Failure> {
    let mut d365 = world(300);
    d365.load.base_ms = 50;
    let bed = TestBed::configured(d365, &["24"], |config| {
        config.more = "[worker]\npage_size = 25\n".to_owned();
    })
    .await?;
    let items = bed.items("24")?;
    tokio::select! {
        read = bed.snapshot() => read?,
        moved = move_rows(&bed) => moved?,
    }
    let (_service, api) = bed.api().await?;
    let lines = bed.lines(&api, "24", &items).await?;
    assert!(
        lines.iter().all(|line| line.state == "PRESENT"),
        "{lines:?}"
    );
    Ok(())
}

/// Two tenants have the same SKUs and warehouses, with other numbers.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_told_its_own_numbers_only() -> Result<(), Failure> {
    let bed = TestBed::configured(world(20), &["24"], |config| {
        config.more = config.second_tenant("fabrikam", "demf");
    })
    .await?;
    let put = |company: &str, pieces: &str| -> Result<(), Failure> {
        let key = StockKey::of(company, "SAME-1", "24");
        bed.d365().put_stock(&key, &StockChange::on_hand(pieces))?;
        Ok(())
    };
    put("usmf", "5")?;
    put("demf", "70")?;
    bed.snapshot().await?;
    let (_service, api) = bed.api().await?;
    let ask = async |severity: &str, expected: [i64; 2]| -> Result<(), Failure> {
        for (tenant, number) in ["contoso", "fabrikam"].into_iter().zip(expected) {
            let question = json!({ "organization": tenant, "severity": severity,
                                   "warehouseId": "24", "skus": ["SAME-1"] });
            let reply = api.post("/inventory/v1/inventories", &question).await?;
            let line = &reply.json["data"][0];
            assert_eq!(line["availableStock"], number, "{severity} {}", reply.text);
        }
        Ok(())
    };
    ask("FAST", [5, 70]).await?;
    put("usmf", "4")?;
    put("demf", "60")?;
    // Both are stored before either is looked at: a line written over the other's shows.
    ask("EXACT", [4, 60]).await?;
    ask("FAST", [4, 60]).await
}

use super::*;
use crate::live::live_result::LiveLine;
use shared::d365::ScriptedSource;
use shared::process::clock::{Clock, SystemClock};
use shared::stock::{LineContent, OnHandRow, ProductDimensions, Quantities, Quantity, SkuTemplate};

struct Rig {
    source: Arc<ScriptedSource>,
    clock: Arc<dyn Clock>,
    live: LiveLookUp,
}

fn rig(mapping: SkuMapping, permits: usize) -> Rig {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let source = Arc::new(ScriptedSource::new(Arc::clone(&clock)));
    let live = LiveLookUp::new(
        source.clone(),
        mapping,
        Arc::new(Environment::new(
            "https://e".to_owned(),
            permits,
            Arc::clone(&clock),
        )),
        Duration::from_hours(1),
    );
    Rig {
        source,
        clock,
        live,
    }
}

impl Rig {
    async fn ask(&self, skus: &[&str], time: Duration) -> LiveResult {
        let skus: Vec<Sku> = skus.iter().map(|text| Sku::parse(*text).unwrap()).collect();
        let deadline = Deadline::begin(&self.clock, time);
        self.live
            .ask(&skus, &[warehouse()], &deadline, Priority::Order)
            .await
    }
}

fn warehouse() -> WarehouseId {
    WarehouseId::parse("11").unwrap()
}

fn row(item: &str, color: &str, available: i64) -> OnHandRow {
    OnHandRow {
        item: ItemNumber::parse(item).unwrap(),
        dimensions: dimensions(color),
        site: None,
        warehouse: warehouse(),
        quantities: Quantities {
            available: Quantity::from(available),
            ..Quantities::default()
        },
    }
}

fn dimensions(color: &str) -> ProductDimensions {
    ProductDimensions {
        color: color.into(),
        ..ProductDimensions::default()
    }
}

fn available(found: &LiveResult) -> Vec<Option<i64>> {
    let number = |line: &LiveLine| match line {
        LiveLine::Line(line) => match line.content {
            LineContent::Quantities(quantities) => quantities.available.as_integer(),
            LineContent::Absent => None,
        },
        other => panic!("{other:?}"),
    };
    found.lines.iter().map(number).collect()
}

const LONG: Duration = Duration::from_secs(5);

#[tokio::test]
async fn skus_go_out_in_chunks_of_25_and_every_one_is_answered() {
    let rig = rig(SkuMapping::ItemNumber, 16);
    let names: Vec<String> = (0..60).map(|n| format!("SKU{n:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    rig.source.set_stock(
        names
            .iter()
            .zip(0..)
            .map(|(name, n)| row(name, "", n))
            .collect(),
    );
    let found = rig.ask(&names, LONG).await;
    assert_eq!(available(&found), (0..60).map(Some).collect::<Vec<_>>());
    let sizes: Vec<usize> = rig
        .source
        .questions()
        .look_ups
        .iter()
        .map(|question| question.items.len())
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 60);
    assert!(sizes.iter().all(|size| *size <= 25), "{sizes:?}");
}

#[tokio::test]
async fn a_slow_erp_ends_with_the_deadline() {
    let rig = rig(SkuMapping::ItemNumber, 16);
    rig.source.delay_look_ups(Duration::from_mins(1));
    let started = rig.clock.monotonic();
    let found = rig.ask(&["A"], Duration::from_millis(80)).await;
    let took = rig.clock.monotonic().saturating_sub(started);
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(found.lines, [LiveLine::Failed]);
    assert!(found.failure.is_some());
}

#[tokio::test]
async fn without_a_free_permit_nothing_is_asked() {
    let rig = rig(SkuMapping::ItemNumber, 1);
    rig.source.delay_look_ups(Duration::from_mins(1));
    let (first, second) = futures_util::join!(
        rig.ask(&["A"], Duration::from_millis(100)),
        rig.ask(&["B"], Duration::from_millis(50))
    );
    assert!(first.failure.is_some());
    assert_eq!(second.failure, Some(LiveFailure::DeadlinePassed));
    assert_eq!(rig.source.questions().look_ups.len(), 1);
    let deadline = Deadline::begin(&rig.clock, LONG);
    assert!(rig.live.has_room(Priority::Order, &deadline));
}

#[tokio::test]
async fn variants_are_remembered_and_what_is_none_is_looked_up_again() {
    let rig = rig(SkuMapping::Variants, 16);
    let variant = |color: &str, sku: &str| Variant {
        item: ItemNumber::parse("T").unwrap(),
        dimensions: dimensions(color),
        sku: Sku::parse(sku).unwrap(),
    };
    rig.source
        .set_variants(vec![variant("Red", "T:Red"), variant("Blue", "T:Blue")]);
    rig.source.set_stock(vec![
        row("T", "Red", 3),
        row("T", "Blue", 5),
        row("T", "", 100),
        row("D1", "", 7),
    ]);
    for _ in 0..2 {
        let found = rig.ask(&["T:Red", "D1", "T"], LONG).await;
        // The master itself is no product one can buy, so it has no stock of its own.
        assert_eq!(available(&found), [Some(3), Some(7), None]);
    }
    let questions = rig.source.questions();
    let [_, VariantQuestion::Of { skus: again, .. }] = &questions.variants[..] else {
        panic!("{questions:?}");
    };
    assert_eq!(again, &[Sku::parse("D1").unwrap()]);
    assert_eq!(questions.look_ups.len(), 2);
}

#[tokio::test]
async fn a_template_asks_for_every_reading_and_takes_the_row_that_renders_to_the_sku() {
    let template = SkuTemplate::parse("{ItemNumber}-{ProductColorId}").unwrap();
    let rig = rig(SkuMapping::Template(template), 16);
    rig.source.set_stock(vec![
        row("T-SHIRT", "Red", 3),
        row("T-SHIRT", "Blue", 5),
        row("T", "SHIRT-Green", 9),
    ]);
    let found = rig
        .ask(&["T-SHIRT-Red", "T-SHIRT-Green", "T-SHIRT"], LONG)
        .await;
    assert_eq!(available(&found), [Some(3), Some(9), None]);
}

#[test]
fn what_d365_cannot_be_asked_is_said_beforehand() {
    let template = SkuTemplate::parse("{ItemNumber}-{ProductColorId}").unwrap();
    let plain = rig(SkuMapping::ItemNumber, 1).live;
    let sku = |text: &str| Sku::parse(text).unwrap();
    assert!(plain.check_askable(&sku("O'Neil & Co")).is_ok());
    assert!(plain.check_askable(&sku("A*")).unwrap_err().contains('*'));
    let templated = rig(SkuMapping::Template(template), 1).live;
    assert!(templated.check_askable(&sku("T-SHIRT-Red")).is_ok());
    let many = templated.check_askable(&sku(&"a-".repeat(20))).unwrap_err();
    assert!(many.contains("item numbers"), "{many}");
}

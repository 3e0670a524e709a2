use super::*;
use shared::stock::{ProductDimensions, Quantities, SkuTemplate};

fn at(ms: i64) -> AsOf {
    AsOf::from_unix_ms(1_800_000_000_000 + ms).unwrap()
}

fn sku(text: &str) -> Sku {
    Sku::parse(text).unwrap()
}

fn warehouse(text: &str) -> WarehouseId {
    WarehouseId::parse(text).unwrap()
}

fn item(text: &str) -> ItemNumber {
    ItemNumber::parse(text).unwrap()
}

fn row(number: &str, color: &str, place: &str, available: &str) -> OnHandRow {
    OnHandRow {
        item: item(number),
        dimensions: ProductDimensions {
            color: color.into(),
            ..ProductDimensions::default()
        },
        site: None,
        warehouse: warehouse(place),
        quantities: Quantities {
            available: available.parse().unwrap(),
            ..Quantities::default()
        },
    }
}

fn answer(as_of: i64, rows: Vec<OnHandRow>) -> LookUpAnswer {
    LookUpAnswer {
        as_of: at(as_of),
        rows,
        dropped_rows: 0,
        unproved: Vec::new(),
    }
}

fn shown(
    skus: &[&str],
    places: &[&str],
    mapper: &SkuMapper,
    answers: Vec<Asked>,
) -> (Vec<String>, bool) {
    let skus: Vec<Sku> = skus.iter().map(|text| sku(text)).collect();
    let places: Vec<WarehouseId> = places.iter().map(|text| warehouse(text)).collect();
    let items = ItemsOfSkus::of(&skus, mapper);
    let found = collect(&skus, &places, &items, mapper, answers);
    let lines = found.lines.iter().map(|line| match line {
        LiveLine::Unproved => "unproved".to_owned(),
        LiveLine::Failed => "failed".to_owned(),
        LiveLine::Line(line) => match line.content {
            LineContent::Absent => format!("absent@{}", line.as_of.unix_ms() - at(0).unix_ms()),
            LineContent::Quantities(quantities) => {
                format!(
                    "{}@{}",
                    quantities.available,
                    line.as_of.unix_ms() - at(0).unix_ms()
                )
            }
        },
    });
    (lines.collect(), found.failure.is_some())
}

#[test]
fn rows_are_summed_and_their_lack_is_absence() {
    let rows = vec![
        row("A", "", "1", "2"),
        row("A", "Red", "1", "3"),
        row("A", "", "2", "-4"),
    ];
    let answers = vec![(vec![item("A"), item("B")], Ok(answer(5, rows)))];
    let (found, failed) = shown(&["B", "A"], &["1", "2"], &SkuMapper::ItemNumber, answers);
    assert_eq!(found, ["absent@5", "absent@5", "5@5", "-4@5"]);
    assert!(!failed);
}

#[test]
fn a_failed_chunk_spoils_its_own_skus_only() {
    let answers = vec![
        (vec![item("A")], Ok(answer(5, vec![row("A", "", "1", "2")]))),
        (vec![item("B")], Err(LiveFailure::DeadlinePassed)),
    ];
    let (found, failed) = shown(&["A", "B"], &["1"], &SkuMapper::ItemNumber, answers);
    assert_eq!(found, ["2@5", "failed"]);
    assert!(failed);
}

#[test]
fn a_look_alike_leaves_absence_unproved() {
    let mut seen = answer(5, vec![row("A", "", "1", "2")]);
    seen.unproved = vec![item("B")];
    let answers = vec![(vec![item("A"), item("B")], Ok(seen))];
    let (found, failed) = shown(&["A", "B"], &["1"], &SkuMapper::ItemNumber, answers);
    assert_eq!(found, ["2@5", "unproved"]);
    assert!(!failed);
}

#[test]
fn a_sku_with_several_readings_is_absent_only_if_all_were_answered() {
    let template = SkuTemplate::parse("{ItemNumber}-{ProductColorId}").unwrap();
    let mapper = SkuMapper::Template(template);
    let (first, second) = (item("T"), item("T-Red"));
    let good = (vec![first.clone()], Ok(answer(7, Vec::new())));
    let failed = (vec![second.clone()], Err(LiveFailure::DeadlinePassed));
    let (found, _) = shown(&["T-Red"], &["1"], &mapper, vec![good.clone(), failed]);
    assert_eq!(found, ["failed"]);
    let also_good = (vec![second], Ok(answer(4, Vec::new())));
    let (found, _) = shown(&["T-Red"], &["1"], &mapper, vec![good, also_good]);
    assert_eq!(found, ["absent@4"]);
    let with_row = (vec![first], Ok(answer(7, vec![row("T", "Red", "1", "6")])));
    let other = (vec![item("T-Red")], Ok(answer(4, Vec::new())));
    let (found, _) = shown(&["T-Red"], &["1"], &mapper, vec![with_row, other]);
    assert_eq!(found, ["6@7"]);
}

#[test]
fn a_sum_beyond_the_number_range_fails_its_item_and_no_other() {
    let most = "79228162514264337593543950335";
    let rows = vec![
        row("A", "", "1", most),
        row("A", "Red", "1", most),
        row("B", "", "1", "1"),
    ];
    let answers = vec![(vec![item("A"), item("B")], Ok(answer(5, rows)))];
    let (found, failed) = shown(&["A", "B"], &["1"], &SkuMapper::ItemNumber, answers);
    assert_eq!(found, ["failed", "1@5"]);
    assert!(failed);
}

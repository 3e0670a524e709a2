use super::*;
use crate::odata::query::Query;
use crate::world::WorldConfig;

fn world() -> World {
    World::generate(
        &WorldConfig {
            items: 400,
            warehouses: 4,
            ..WorldConfig::default()
        },
        1000,
    )
}

fn search<'q>(query: &'q Query, only_company: Option<&'q str>) -> Search<'q> {
    Search {
        set: query.set,
        filter: query.filter.as_ref(),
        order: &query.order,
        only_company,
        skip: query.skip,
        take: query.top.unwrap_or(usize::MAX),
        count: query.count,
        shuffle: None,
    }
}

/// Every key column of a row as one text.
fn key(row: &SetRow<'_>) -> String {
    use crate::odata::entities::Value;
    let columns = EntitySet::StatusesOnHand.columns();
    let texts = columns[..10]
        .iter()
        .map(|(_, property)| match row.value(*property) {
            Value::Text(text) => text.raw().to_owned(),
            Value::Free(text) => text.to_owned(),
            Value::Symbol(_) | Value::Number(_) | Value::NoYes(_) => String::new(),
        });
    texts.collect::<Vec<_>>().join("|")
}

const FULL_KEY: &str = "ItemNumber,ProductColorId,ProductConfigurationId,ProductSizeId,ProductStyleId,ProductVersionId,InventorySiteId,InventoryWarehouseId";

#[test]
fn walking_finds_what_sorting_everything_finds() {
    let world = world();
    let filters = [
        "dataAreaId eq 'usmf'",
        "dataAreaId eq 'usmf' and InventoryWarehouseId eq '12'",
        "dataAreaId eq 'usmf' and InventoryWarehouseId eq '12' and ItemNumber gt 'P-000100'",
        "dataAreaId eq 'usmf' and (ItemNumber eq 'P-000101' or ItemNumber eq 'T-SHIRT-000025')",
        "InventoryWarehouseId eq '11' or InventoryWarehouseId eq ''",
        "AvailableOnHandQuantity lt 0",
    ];
    let orders = [
        FULL_KEY.to_owned(),
        format!("dataAreaId,{FULL_KEY}"),
        format!("dataAreaId desc,{FULL_KEY}"),
        format!("InventoryWarehouseId,{FULL_KEY}"),
        "ItemNumber desc,ProductSizeId desc,ProductColorId,InventoryWarehouseId".to_owned(),
        "OnHandQuantity desc,ItemNumber".to_owned(),
    ];
    let mut compared = 0;
    for filter in filters {
        for order in &orders {
            for (skip, top) in [(0, 25), (7, 1), (30, 1000), (100_000, 5)] {
                let raw = format!("$filter={filter}&$orderby={order}&$skip={skip}&$top={top}");
                let query = Query::read(EntitySet::WarehousesOnHand, &raw).unwrap();
                let page = select(&world, &search(&query, None));
                let everything = Search {
                    order: &[],
                    skip: 0,
                    take: usize::MAX,
                    ..search(&query, None)
                };
                let mut all = select(&world, &everything).rows;
                all.sort_by(|left, right| compare(&query.order, left, right));
                let expected: Vec<_> = all.iter().skip(skip).take(top).map(key).collect();
                assert_eq!(
                    page.rows.iter().map(key).collect::<Vec<_>>(),
                    expected,
                    "{raw}"
                );
                assert_eq!(page.more, all.len() > skip + top, "{raw}");
                compared += expected.len();
            }
        }
    }
    assert!(compared > 3000, "only {compared} rows were compared");
}

#[test]
fn without_cross_company_only_the_default_company_answers() {
    let world = world();
    let query = Query::read(
        EntitySet::WarehousesOnHand,
        "$filter=InventoryWarehouseId eq '11'",
    )
    .unwrap();
    let found = select(&world, &search(&query, Some("dat")));
    assert!(!found.rows.is_empty());
    assert!(found.rows.iter().all(|row| row.company.raw() == "dat"));
    let query = Query::read(EntitySet::WarehousesOnHand, "$filter=dataAreaId eq 'usmf'").unwrap();
    assert!(select(&world, &search(&query, Some("dat"))).rows.is_empty());
}

#[test]
fn a_site_sums_its_warehouses() {
    let world = world();
    let raw = "$filter=dataAreaId eq 'usmf' and InventorySiteId eq '1'&$count=true";
    let sites = Query::read(EntitySet::SitesOnHand, raw).unwrap();
    let warehouses = Query::read(EntitySet::WarehousesOnHand, raw).unwrap();
    let sites = select(&world, &search(&sites, None));
    let warehouses = select(&world, &search(&warehouses, None));
    assert!(sites.total < warehouses.total);
    let sum = |rows: &[SetRow<'_>]| -> rust_decimal::Decimal {
        rows.iter().map(|row| row.quantities.available()).sum()
    };
    assert_eq!(sum(&sites.rows), sum(&warehouses.rows));
}

#[test]
fn statuses_split_managed_warehouses_and_lose_nothing() {
    let config = WorldConfig {
        items: 2000,
        warehouses: 6,
        ..WorldConfig::default()
    };
    let world = World::generate(&config, 1000);
    let raw = "$filter=dataAreaId eq 'usmf' and InventoryWarehouseId eq '24'";
    let statuses = Query::read(EntitySet::StatusesOnHand, raw).unwrap();
    let warehouses = Query::read(EntitySet::WarehousesOnHand, raw).unwrap();
    let statuses = select(&world, &search(&statuses, None));
    let warehouses = select(&world, &search(&warehouses, None));
    assert!(statuses.rows.iter().any(|row| row.status == "Blocked"));
    assert!(statuses.rows.iter().any(|row| row.status == "Available"));
    let sum = |rows: &[SetRow<'_>]| -> rust_decimal::Decimal {
        rows.iter().map(|row| row.quantities.on_hand).sum()
    };
    assert_eq!(sum(&statuses.rows), sum(&warehouses.rows));
}

#[test]
fn variants_and_warehouses_are_listed() {
    let world = world();
    let query = Query::read(EntitySet::ReleasedVariants, "$filter=dataAreaId eq 'usmf'").unwrap();
    let variants = select(&world, &search(&query, None));
    assert_eq!(
        variants.rows.len(),
        world.variant_lines("usmf").unwrap().len()
    );
    let raw = "$filter=dataAreaId eq 'usmf'&$orderby=WarehouseId desc";
    let query = Query::read(EntitySet::Warehouses, raw).unwrap();
    let ids: Vec<_> = select(&world, &search(&query, None))
        .rows
        .iter()
        .map(|row| row.warehouse.unwrap().id.raw().to_owned())
        .collect();
    assert_eq!(ids, ["TRANSIT", "QUAR", "21", "13", "12", "11"]);
}

#[test]
fn a_shuffle_keeps_the_rows_and_changes_their_order() {
    let world = world();
    let query = Query::read(EntitySet::WarehousesOnHand, "$filter=dataAreaId eq 'dat'").unwrap();
    let keys = |shuffle| -> Vec<String> {
        select(
            &world,
            &Search {
                shuffle,
                ..search(&query, None)
            },
        )
        .rows
        .iter()
        .map(key)
        .collect()
    };
    let (plain, first, second) = (keys(None), keys(Some(1)), keys(Some(2)));
    assert!(first != second && first != plain);
    let sorted = |mut keys: Vec<String>| {
        keys.sort();
        keys
    };
    assert_eq!(sorted(first), sorted(plain));
}

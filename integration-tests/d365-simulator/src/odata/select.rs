//! Finds the rows of a query in order, looking at as few as possible.
//!
//! The condition's reach says which companies, warehouses and items can match. When the wanted order
//! starts with the item number, items are walked in that order and the walk ends with the page;
//! otherwise all matches are collected and sorted.

use std::cmp::Ordering;
use std::ops::Bound;

use super::condition::Condition;
use super::entities::{EntitySet, Property, SetRow, Value};
use super::reach::Reach;
use crate::world::{Company, Item, World};

/// What to find.
pub(crate) struct Search<'q> {
    pub(crate) set: EntitySet,
    pub(crate) filter: Option<&'q Condition>,
    pub(crate) order: &'q [Property],
    /// Only this company, unless all are asked.
    pub(crate) only_company: Option<&'q str>,
    pub(crate) skip: usize,
    pub(crate) take: usize,
}

pub(crate) struct Found<'w> {
    pub(crate) rows: Vec<SetRow<'w>>,
    /// Whether more rows follow.
    pub(crate) more: bool,
}

/// Answers a search from the world as it is now.
pub(crate) fn select<'w>(world: &'w World, search: &Search<'_>) -> Found<'w> {
    let reach = |property| {
        let filter = search.filter.map(|filter| Reach::of(filter, property));
        filter.unwrap_or(Reach::ALL)
    };
    let (in_company, in_warehouse) = (reach(Property::Company), reach(Property::Warehouse));
    let in_item = reach(Property::ItemNumber);
    let is_named = |company: &&Company| {
        let id = company.id();
        in_company.contains(id.folded())
            && (search.only_company).is_none_or(|only| only.eq_ignore_ascii_case(id.raw()))
    };
    let companies: Vec<&Company> = world.companies().iter().filter(is_named).collect();
    let is_walk = match search.order {
        [] => true,
        [first, ..] => *first == Property::ItemNumber && companies.len() < 2,
    };
    let enough = search.skip.saturating_add(search.take);
    let mut rows = Vec::new();
    'companies: for company in companies {
        if search.set == EntitySet::Warehouses {
            rows.extend(warehouse_rows(company));
        }
        for item in items_of(company, &in_item) {
            let known = rows.len();
            rows_of(world, search.set, company, item, &in_warehouse, &mut rows);
            if is_walk {
                keep(&mut rows, known, search);
                if rows.len() > enough {
                    break 'companies;
                }
            }
        }
    }
    keep(&mut rows, 0, search);
    let more = rows.len() > enough;
    rows.truncate(enough);
    rows.drain(..search.skip.min(rows.len()));
    Found { rows, more }
}

/// Drops rows from a place on that do not fulfil the condition, and sorts the others.
fn keep(rows: &mut Vec<SetRow<'_>>, from: usize, search: &Search<'_>) {
    let mut place = 0;
    rows.retain(|row| {
        place += 1;
        place <= from || search.filter.is_none_or(|filter| filter.is_met_by(row))
    });
    rows[from..].sort_by(|left, right| compare(search.order, left, right));
}

fn compare(order: &[Property], left: &SetRow<'_>, right: &SetRow<'_>) -> Ordering {
    let by_property = |property: &Property| match (left.value(*property), right.value(*property)) {
        (Value::Text(left), Value::Text(right)) => left.total_cmp(right),
        (Value::Number(left), Value::Number(right)) => left.cmp(&right),
        _ => Ordering::Equal,
    };
    let mut orders = order.iter().map(by_property);
    orders
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

/// The items within reach in order.
fn items_of<'w>(company: &'w Company, reach: &Reach) -> Vec<&'w Item> {
    match reach {
        Reach::Points(points) => points
            .iter()
            .filter_map(|point| company.item(point))
            .collect(),
        Reach::Range(Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high))
        | Reach::Range(Bound::Included(low), Bound::Excluded(high))
            if low >= high =>
        {
            Vec::new()
        }
        Reach::Range(Bound::Included(low), Bound::Included(high)) if low > high => Vec::new(),
        Reach::Range(low, high) => {
            let (low, high) = (low.as_ref(), high.as_ref());
            company
                .items_between(low.map(String::as_str), high.map(String::as_str))
                .collect()
        }
    }
}

/// Adds the rows of one item, in the table's own order.
fn rows_of<'w>(
    world: &'w World,
    set: EntitySet,
    company: &'w Company,
    item: &'w Item,
    reach: &Reach,
    out: &mut Vec<SetRow<'w>>,
) {
    let blank = SetRow {
        item: Some(item),
        ..SetRow::of_company(company)
    };
    match set {
        EntitySet::Warehouses => {}
        EntitySet::ReleasedVariants => {
            out.extend(item.variants.iter().map(|variant| SetRow {
                dimensions: Some(world.dimensions(variant.dimensions)),
                variant: Some(&variant.number),
                ..blank.clone()
            }));
        }
        EntitySet::WarehousesOnHand => {
            for row in &item.rows {
                let warehouse = company.warehouse(row.warehouse);
                if let Some(quantities) = row.quantities()
                    && reach.contains(warehouse.id.folded())
                {
                    out.push(SetRow {
                        dimensions: Some(world.dimensions(row.dimensions)),
                        site: Some(company.site(row.site)),
                        warehouse: Some(warehouse),
                        quantities: *quantities,
                        ..blank.clone()
                    });
                }
            }
        }
    }
}

/// The blank warehouse of rows without one is not in the set `Warehouses`.
fn warehouse_rows(company: &Company) -> impl Iterator<Item = SetRow<'_>> {
    let listed = company.warehouses().iter().filter(|known| known.listed);
    listed.map(|warehouse| SetRow {
        warehouse: Some(warehouse),
        ..SetRow::of_company(company)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::odata::query::Query;
    use crate::world::WorldConfig;

    const FULL_KEY: &str = "ItemNumber,ProductColorId,ProductConfigurationId,ProductSizeId,ProductStyleId,ProductVersionId,InventorySiteId,InventoryWarehouseId";

    #[test]
    fn walking_finds_what_sorting_everything_finds() {
        let size = WorldConfig {
            items: 400,
            warehouses: 4,
            ..WorldConfig::default()
        };
        let world = World::generate(&size, 1000);
        let mut compared = 0;
        for filter in [
            "dataAreaId eq 'usmf'",
            "dataAreaId eq 'usmf' and InventoryWarehouseId eq '12'",
            "dataAreaId eq 'usmf' and InventoryWarehouseId eq '12' and ItemNumber gt 'P-000100'",
            "dataAreaId eq 'usmf' and (ItemNumber eq 'P-000101' or ItemNumber eq 'T-SHIRT-000025')",
            "InventoryWarehouseId eq '11' or InventoryWarehouseId eq ''",
        ] {
            for order in [
                FULL_KEY,
                &format!("InventoryWarehouseId,{FULL_KEY}"),
                &format!("OnHandQuantity,{FULL_KEY},dataAreaId"),
            ] {
                for (skip, top) in [(0, 25), (7, 1), (30, 1000), (100_000, 5)] {
                    let raw = format!("$filter={filter}&$orderby={order}");
                    let query = Query::read(EntitySet::WarehousesOnHand, &raw).unwrap();
                    let search = Search {
                        set: query.set,
                        filter: query.filter.as_ref(),
                        order: &query.order,
                        only_company: None,
                        skip,
                        take: top,
                    };
                    let key = |row: &SetRow<'_>| {
                        let texts = query.order.iter().map(|property| row.value(*property));
                        format!("{:?}", texts.collect::<Vec<_>>())
                    };
                    let page = select(&world, &search);
                    let everything = Search {
                        order: &[],
                        skip: 0,
                        take: usize::MAX,
                        ..search
                    };
                    let mut all = select(&world, &everything).rows;
                    all.sort_by(|left, right| compare(&query.order, left, right));
                    let expected: Vec<_> = all.iter().skip(skip).take(top).map(key).collect();
                    let found: Vec<_> = page.rows.iter().map(key).collect();
                    assert_eq!(found, expected, "{raw}");
                    assert_eq!(page.more, all.len() > skip + top, "{raw}");
                    compared += expected.len();
                }
            }
        }
        assert!(compared > 1500, "only {compared} rows were compared");
    }
}

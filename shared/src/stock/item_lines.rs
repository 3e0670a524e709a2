//! From the rows of one item in one warehouse to its stock lines.

use crate::stock::as_of::AsOf;
use crate::stock::ids::Sku;
use crate::stock::line::{LineContent, LineValue, Origin, Quantities, StockLine};
use crate::stock::on_hand_row::OnHandRow;
use crate::stock::quantity::QuantityError;
use crate::stock::sku_mapping::SkuMapper;
use std::collections::BTreeMap;

/// What the rows of one item gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FoldedItem {
    /// One line per SKU, ordered by SKU.
    pub lines: Vec<StockLine>,
    /// Rows that belong to no SKU.
    pub unmapped_rows: usize,
}

/// Sums the rows of one item in one warehouse into a line per SKU.
///
/// All rows must be of the same item and warehouse, in whatever spelling. A row that comes twice
/// (offset paging over moving data repeats rows) counts once: the later one, which D365 read later.
/// The same place in two spellings is two rows, and both count.
pub fn fold_item(
    rows: &[OnHandRow],
    mapper: &SkuMapper,
    as_of: AsOf,
    origin: Origin,
) -> Result<FoldedItem, QuantityError> {
    let Some(first) = rows.first() else {
        return Ok(FoldedItem::default());
    };
    let warehouse = &first.warehouse;
    let distinct: BTreeMap<[&str; 8], &OnHandRow> =
        rows.iter().map(|row| (exact_place(row), row)).collect();
    let mut folded = FoldedItem::default();
    let mut sums: BTreeMap<Sku, Quantities> = BTreeMap::new();
    for row in distinct.into_values() {
        match mapper.sku_of(&row.item, &row.dimensions) {
            Some(sku) => {
                let sum = sums.entry(sku).or_default();
                *sum = sum.checked_add(row.quantities)?;
            }
            None => folded.unmapped_rows += 1,
        }
    }
    folded.lines = sums
        .into_iter()
        .map(|(sku, quantities)| StockLine {
            sku,
            warehouse: warehouse.clone(),
            value: LineValue {
                content: LineContent::Quantities(quantities),
                as_of,
                origin,
            },
        })
        .collect();
    Ok(folded)
}

/// Where a row's stock lies, as D365 spelled it.
fn exact_place(row: &OnHandRow) -> [&str; 8] {
    let dimensions = &row.dimensions;
    [
        row.item.as_str(),
        dimensions.configuration.as_str(),
        dimensions.size.as_str(),
        dimensions.color.as_str(),
        dimensions.style.as_str(),
        dimensions.version.as_str(),
        row.site.as_ref().map_or("", |site| site.as_str()),
        row.warehouse.as_str(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stock::{ItemNumber, ProductDimensions, Quantity, SkuTemplate, WarehouseId};

    fn row(color: &str, available: i64) -> OnHandRow {
        OnHandRow {
            item: ItemNumber::parse("T").unwrap(),
            dimensions: ProductDimensions {
                color: color.into(),
                ..ProductDimensions::default()
            },
            site: None,
            warehouse: WarehouseId::parse("11").unwrap(),
            quantities: Quantities {
                available: Quantity::from(available),
                ..Quantities::default()
            },
        }
    }

    fn spelled(item: &str, warehouse: &str, available: i64) -> OnHandRow {
        OnHandRow {
            item: ItemNumber::parse(item).unwrap(),
            warehouse: WarehouseId::parse(warehouse).unwrap(),
            ..row("", available)
        }
    }

    #[test]
    fn rows_are_summed_signed_each_place_once_with_its_later_number() {
        let template = SkuTemplate::parse("{ItemNumber}/{ProductColorId}").unwrap();
        let by_color = SkuMapper::Template(template);
        let by_item = SkuMapper::ItemNumber;
        for (rows, mapper, expected) in [
            (vec![], &by_item, &[][..]),
            (
                vec![row("", 4), row("Black", -3), row("White", 15)],
                &by_item,
                &[("T", 16)],
            ),
            (
                vec![row("Black", 4), row("White", 1), row("Black", 2)],
                &by_item,
                &[("T", 3)],
            ),
            // An item in two spellings is one sum; each spelling of a place is a row.
            (
                vec![
                    spelled("T-1", "wh", 4),
                    spelled("t-1", "wh", 3),
                    spelled("T-1 ", "WH", 2),
                    spelled("t-1", "wh", 5),
                ],
                &by_item,
                &[("T-1", 11)],
            ),
            (
                vec![row("", 4), row("Black", -3), row("BLACK ", 1)],
                &by_color,
                &[("T", 4), ("T/Black", -2)],
            ),
        ] {
            let as_of = AsOf::from_unix_ms(1_800_000_000_000).unwrap();
            let folded = fold_item(&rows, mapper, as_of, Origin::Live).unwrap();
            let lines: Vec<StockLine> = expected
                .iter()
                .map(|(sku, available)| StockLine {
                    sku: Sku::parse(*sku).unwrap(),
                    warehouse: rows[0].warehouse.clone(),
                    value: LineValue {
                        content: LineContent::Quantities(row("", *available).quantities),
                        as_of,
                        origin: Origin::Live,
                    },
                })
                .collect();
            assert_eq!((folded.lines, folded.unmapped_rows), (lines, 0));
        }
    }

    #[test]
    fn rows_that_belong_to_no_sku_are_counted() {
        let long = SkuTemplate::parse(&format!(
            "{}{{ItemNumber}}-{{ProductColorId}}",
            "x".repeat(255)
        ));
        let mapper = SkuMapper::Template(long.unwrap());
        let rows = [row("Black", 1), row("White", 1), row("", 2)];
        let folded = fold_item(&rows, &mapper, AsOf::EPOCH, Origin::Live).unwrap();
        assert_eq!((folded.lines.len(), folded.unmapped_rows), (1, 2));
    }
}

//! From the rows of one item in one warehouse to its stock lines.

use super::{
    AsOf, LineContent, LineValue, OnHandRow, Origin, Quantities, QuantityError, Sku, SkuMapper,
    StockLine,
};
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

    fn folded(rows: &[OnHandRow], mapper: &SkuMapper) -> Vec<(String, String)> {
        let as_of = AsOf::from_unix_ms(1_800_000_000_000).unwrap();
        fold_item(rows, mapper, as_of, Origin::Live)
            .unwrap()
            .lines
            .into_iter()
            .map(|line| {
                let LineContent::Quantities(quantities) = line.value.content else {
                    panic!()
                };
                (line.sku.to_string(), quantities.available.to_string())
            })
            .collect()
    }

    #[test]
    fn an_items_rows_are_summed_signed_over_its_dimensions() {
        let rows = vec![row("", 4), row("Black", -3), row("White", 15)];
        assert_eq!(
            folded(&rows, &SkuMapper::ItemNumber),
            [("T".into(), "16".into())]
        );
    }

    #[test]
    fn a_repeated_row_counts_once_with_its_later_number() {
        let rows = vec![row("Black", 4), row("White", 1), row("Black", 2)];
        assert_eq!(
            folded(&rows, &SkuMapper::ItemNumber),
            [("T".into(), "3".into())]
        );
    }

    #[test]
    fn an_item_in_two_spellings_is_one_sum() {
        let spelled = |item: &str, warehouse: &str, available| OnHandRow {
            item: ItemNumber::parse(item).unwrap(),
            warehouse: WarehouseId::parse(warehouse).unwrap(),
            ..row("", available)
        };
        let rows = vec![
            spelled("T-1", "wh", 4),
            spelled("t-1", "wh", 3),
            spelled("T-1 ", "WH", 2),
            spelled("t-1", "wh", 5),
        ];
        assert_eq!(
            folded(&rows, &SkuMapper::ItemNumber),
            [("T-1".into(), "11".into())]
        );
        let template = SkuTemplate::parse("{ItemNumber}/{ProductColorId}").unwrap();
        let rows = vec![row("Black", 1), row("BLACK ", 2)];
        assert_eq!(
            folded(&rows, &SkuMapper::Template(template)),
            [("T/BLACK".into(), "3".into())]
        );
    }

    #[test]
    fn a_template_keeps_variants_apart() {
        let template = SkuTemplate::parse("{ItemNumber}/{ProductColorId}").unwrap();
        let rows = vec![row("", 4), row("Black", -3)];
        assert_eq!(
            folded(&rows, &SkuMapper::Template(template)),
            [("T".into(), "4".into()), ("T/Black".into(), "-3".into())]
        );
    }
}

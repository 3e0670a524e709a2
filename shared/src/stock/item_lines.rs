//! From the rows of one item in one warehouse to its stock lines.

use super::{
    AsOf, LineContent, LineValue, OnHandRow, Origin, ProductDimensions, Quantities, QuantityError,
    SiteId, Sku, SkuMapper, StockLine,
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
/// All rows must be of the same item and warehouse. A row that comes twice (offset paging over
/// moving data repeats rows) counts once: the later one, which D365 read later.
pub fn fold_item(
    rows: Vec<OnHandRow>,
    mapper: &SkuMapper,
    as_of: AsOf,
    origin: Origin,
) -> Result<FoldedItem, QuantityError> {
    let Some(first) = rows.first() else {
        return Ok(FoldedItem::default());
    };
    let item = first.item.clone();
    let warehouse = first.warehouse.clone();
    let mut distinct: BTreeMap<(ProductDimensions, Option<SiteId>), Quantities> = BTreeMap::new();
    for row in rows {
        distinct.insert((row.dimensions, row.site), row.quantities);
    }
    let mut folded = FoldedItem::default();
    let mut sums: BTreeMap<Sku, Quantities> = BTreeMap::new();
    for ((dimensions, _), quantities) in distinct {
        match mapper.sku_of(&item, &dimensions) {
            Some(sku) => {
                let sum = sums.entry(sku).or_default();
                *sum = sum.checked_add(quantities)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stock::{ItemNumber, Quantity, SkuTemplate, WarehouseId};

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

    fn folded(rows: Vec<OnHandRow>, mapper: &SkuMapper) -> Vec<(String, String)> {
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
            folded(rows, &SkuMapper::ItemNumber),
            [("T".into(), "16".into())]
        );
    }

    #[test]
    fn a_repeated_row_counts_once_with_its_later_number() {
        let rows = vec![row("Black", 4), row("White", 1), row("Black", 2)];
        assert_eq!(
            folded(rows, &SkuMapper::ItemNumber),
            [("T".into(), "3".into())]
        );
    }

    #[test]
    fn a_template_keeps_variants_apart() {
        let template = SkuTemplate::parse("{ItemNumber}/{ProductColorId}").unwrap();
        let rows = vec![row("", 4), row("Black", -3)];
        assert_eq!(
            folded(rows, &SkuMapper::Template(template)),
            [("T".into(), "4".into()), ("T/Black".into(), "-3".into())]
        );
    }
}

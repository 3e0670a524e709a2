//! Rows to items: an item is complete when another one begins.

use shared::stock::{AsOf, ItemNumber, OnHandRow};

/// Holds the rows of the item that may not be complete yet. One SKU can be many rows, and they may
/// straddle a page: what is held back is never summed before its last row is known.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    held: Vec<OnHandRow>,
    /// As-of of the page that brought the first held row: the older one is the honest one.
    as_of: Option<AsOf>,
}

/// All rows of one item.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CompleteItem {
    pub(crate) rows: Vec<OnHandRow>,
    pub(crate) as_of: AsOf,
}

impl CompleteItem {
    pub(crate) fn number(&self) -> Option<&ItemNumber> {
        self.rows.first().map(|row| &row.item)
    }
}

impl Fold {
    /// Takes the next row; gives the item before it, if this row begins another one.
    pub(crate) fn push(&mut self, row: OnHandRow, as_of: AsOf) -> Option<CompleteItem> {
        let begins_another = self.held.first().is_some_and(|held| held.item != row.item);
        let complete = if begins_another {
            self.complete()
        } else {
            None
        };
        self.as_of.get_or_insert(as_of);
        self.held.push(row);
        complete
    }

    /// The held item, now known to be complete.
    pub(crate) fn complete(&mut self) -> Option<CompleteItem> {
        let rows = std::mem::take(&mut self.held);
        self.as_of.take().map(|as_of| CompleteItem { rows, as_of })
    }

    /// Forgets the held rows: they will be read again with the rest of their item.
    pub(crate) fn forget(&mut self) {
        self.held.clear();
        self.as_of = None;
    }

    /// The item held back.
    pub(crate) fn held_item(&self) -> Option<&ItemNumber> {
        self.held.first().map(|row| &row.item)
    }

    /// How many rows are held back.
    pub(crate) fn held_rows(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shared::stock::{
        Generation, Origin, ProductDimensions, Quantities, Quantity, SkuMapper, StockLine,
        WarehouseId, fold_item,
    };

    fn row(item: u8, color: u8, available: i64) -> OnHandRow {
        OnHandRow {
            item: ItemNumber::parse(format!("I{item}")).unwrap(),
            dimensions: ProductDimensions {
                color: color.to_string().into(),
                ..ProductDimensions::default()
            },
            site: None,
            warehouse: WarehouseId::parse("24").unwrap(),
            quantities: Quantities {
                available: Quantity::from(available),
                ..Quantities::default()
            },
        }
    }

    fn at(page: usize) -> AsOf {
        AsOf::from_unix_ms(1_800_000_000_000 + i64::try_from(page).unwrap()).unwrap()
    }

    /// The lines of rows that came in pages of these sizes, the held item carried over.
    fn lines(rows: &[OnHandRow], cuts: &[usize]) -> Vec<StockLine> {
        let mut fold = Fold::default();
        let mut items = Vec::new();
        let (mut rest, mut page) = (rows, 0);
        while !rest.is_empty() {
            let size = cuts
                .get(page)
                .copied()
                .unwrap_or(rest.len())
                .clamp(1, rest.len());
            for row in &rest[..size] {
                items.extend(fold.push(row.clone(), at(page)));
            }
            rest = &rest[size..];
            page += 1;
        }
        items.extend(fold.complete());
        items
            .into_iter()
            .flat_map(|item| {
                let origin = Origin::Snapshot(Generation(1));
                fold_item(&item.rows, &SkuMapper::ItemNumber, item.as_of, origin)
                    .unwrap()
                    .lines
            })
            .collect()
    }

    #[test]
    fn an_item_that_straddles_a_page_has_the_as_of_of_the_earlier_page() {
        let rows = [row(1, 0, 5), row(2, 0, 1), row(2, 1, 2), row(3, 0, 9)];
        let lines = lines(&rows, &[2]);
        let as_of: Vec<_> = lines.iter().map(|line| line.value.as_of).collect();
        assert_eq!(as_of, [at(0), at(0), at(1)]);
    }

    proptest! {
        #[test]
        fn every_page_cut_gives_the_same_sums(
            sizes in proptest::collection::vec((1_usize..5, -9_i64..9), 1..12),
            cuts in proptest::collection::vec(1_usize..9, 0..20),
        ) {
            let rows: Vec<_> = sizes
                .iter()
                .enumerate()
                .flat_map(|(item, (variants, available))| {
                    let item = u8::try_from(item).unwrap();
                    (0..*variants).map(move |color| row(item, u8::try_from(color).unwrap(), *available))
                })
                .collect();
            let content = |lines: Vec<StockLine>| -> Vec<_> {
                lines.into_iter().map(|line| (line.sku, line.value.content)).collect()
            };
            prop_assert_eq!(content(lines(&rows, &cuts)), content(lines(&rows, &[])));
        }
    }
}

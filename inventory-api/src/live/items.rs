//! Which items must be asked for to learn about which SKUs.

use shared::stock::{ItemNumber, Sku, SkuMapper};
use std::collections::HashMap;

/// Item numbers a SKU may be read as, where separators leave a template several readings.
pub(super) const MOST_READINGS: usize = 16;

/// The distinct items of some SKUs.
#[derive(Debug)]
pub(super) struct ItemsOfSkus {
    /// Each item once.
    pub(super) items: Vec<ItemNumber>,
    /// For each SKU the numbers of its items.
    pub(super) of_sku: Vec<Vec<usize>>,
}

impl ItemsOfSkus {
    pub(super) fn of(skus: &[Sku], mapper: &SkuMapper) -> Self {
        let mut numbers: HashMap<ItemNumber, usize> = HashMap::with_capacity(skus.len());
        let mut items = Vec::with_capacity(skus.len());
        let of_sku = skus
            .iter()
            .map(|sku| {
                mapper
                    .items_of(sku)
                    .into_iter()
                    .map(|item| {
                        *numbers.entry(item.clone()).or_insert_with(|| {
                            items.push(item);
                            items.len() - 1
                        })
                    })
                    .collect()
            })
            .collect();
        Self { items, of_sku }
    }
}

//! What was findings beside the list of variants: what D365 said when it was asked about single items.

use shared::stock::{ItemNumber, OnHandRow, ProductDimensions, Sku, SkuMapper};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More of either kind is not remembered; it is asked for again.
const MOST: usize = 50_000;

/// Valid as long as the list it was findings beside.
#[derive(Debug, Default)]
pub(crate) struct VariantFindings(Mutex<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    /// Combinations with stock that no variant has.
    unmatched: HashSet<(ItemNumber, ProductDimensions)>,
    /// SKUs that are items of their own.
    plain: HashSet<Sku>,
}

impl VariantFindings {
    /// Whether D365 has to be asked which SKU a row belongs to.
    pub(crate) fn is_unmapped(&self, row: &OnHandRow, mapper: &SkuMapper) -> bool {
        !mapper.is_certain(&row.item, &row.dimensions)
            && !self
                .kinds()
                .unmatched
                .contains(&(row.item.clone(), row.dimensions.clone()))
    }

    /// D365 was asked about the items of these rows: what no variant of `fresh` has is a unmatched.
    pub(crate) fn note_answer(&self, rows: &[OnHandRow], fresh: &SkuMapper) {
        let mut kinds = self.kinds();
        for row in rows {
            if kinds.unmatched.len() < MOST && !fresh.is_certain(&row.item, &row.dimensions) {
                let combination = (row.item.clone(), row.dimensions.clone());
                kinds.unmatched.insert(combination);
            }
        }
    }

    /// Whether D365 has to be asked first whether a SKU is a variant's number.
    pub(crate) fn needs_variant_lookup(&self, sku: &Sku, mapper: &SkuMapper) -> bool {
        !mapper.knows(sku) && !self.kinds().plain.contains(sku)
    }

    /// D365 had stock of an item that is called like this SKU.
    pub(crate) fn note_plain(&self, sku: &Sku) {
        let mut kinds = self.kinds();
        if kinds.plain.len() < MOST {
            kinds.plain.insert(sku.clone());
        }
    }

    pub(super) fn forget(&self) {
        *self.kinds() = Kinds::default();
    }

    fn kinds(&self) -> MutexGuard<'_, Kinds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

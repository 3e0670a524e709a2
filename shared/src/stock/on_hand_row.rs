//! One row of a D365 on-hand page, in our words.

use crate::stock::dimensions::ProductDimensions;
use crate::stock::ids::{ItemNumber, SiteId, WarehouseId};
use crate::stock::line::Quantities;

/// A row whose company and warehouse were already checked against what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnHandRow {
    /// The item (the master of a variant).
    pub item: ItemNumber,
    /// Which variant of it.
    pub dimensions: ProductDimensions,
    /// Site, if the row names one.
    pub site: Option<SiteId>,
    /// Warehouse.
    pub warehouse: WarehouseId,
    /// What D365 reports for it.
    pub quantities: Quantities,
}

//! One item with its variants and its on-hand rows, each with its past.

use rust_decimal::Decimal;

use crate::clock::UtcMillis;
use crate::world::collation::Text;
use crate::world::dimensions::DimensionsId;

/// The quantities that are stored; the others follow from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Quantities {
    /// Physical inventory.
    pub(crate) on_hand: Decimal,
    /// Physically reserved.
    pub(crate) reserved: Decimal,
    /// Incoming.
    pub(crate) ordered: Decimal,
    /// Reserved against incoming.
    pub(crate) reserved_ordered: Decimal,
    /// Outgoing demand.
    pub(crate) on_order: Decimal,
}

impl Quantities {
    pub(crate) fn available(&self) -> Decimal {
        self.on_hand - self.reserved
    }

    pub(crate) fn available_ordered(&self) -> Decimal {
        self.ordered - self.reserved_ordered
    }

    pub(crate) fn total_available(&self) -> Decimal {
        self.available() + self.available_ordered()
    }
}

/// What a row said from an instant on; `None`: there was no row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    pub(crate) since: UtcMillis,
    pub(crate) quantities: Option<Quantities>,
}

/// One on-hand row: one set of dimensions of an item in one warehouse.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) dimensions: DimensionsId,
    pub(crate) site: u16,
    pub(crate) warehouse: u16,
    pub(super) now: Version,
    pub(super) past: Vec<Version>,
}

impl Row {
    /// The quantities of this moment; `None`: the row has been deleted.
    pub(crate) fn quantities(&self) -> Option<&Quantities> {
        self.now.quantities.as_ref()
    }

    /// What was true at an instant; `None`: there was no row.
    pub(crate) fn at(&self, instant: UtcMillis) -> Option<&Version> {
        std::iter::once(&self.now)
            .chain(self.past.iter().rev())
            .find(|version| version.since <= instant)
            .filter(|version| version.quantities.is_some())
    }

    /// All versions, oldest first.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Version> {
        self.past.iter().chain(std::iter::once(&self.now))
    }
}

/// A released product variant.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) number: Text,
    pub(crate) dimensions: DimensionsId,
}

/// A released product, or the master of variants.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) number: Text,
    pub(crate) name: Text,
    pub(crate) variants: Vec<Variant>,
    pub(crate) rows: Vec<Row>,
}

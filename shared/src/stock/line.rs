//! A stock line: one SKU in one warehouse, with where it came from and how old it is.

use crate::stock::as_of::AsOf;
use crate::stock::ids::{Sku, WarehouseId};
use crate::stock::quantity::{Quantity, QuantityError};
use std::fmt;

/// The four quantities carried for a line. Signed: D365 reports negative stock when a company
/// allows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantities {
    /// What can be sold: the D365 quantity named by the tenant's `quantity` setting.
    pub available: Quantity,
    /// `OnHandQuantity`: physically there.
    pub on_hand: Quantity,
    /// `ReservedOnHandQuantity`: physically there and promised.
    pub reserved: Quantity,
    /// `OrderedQuantity`: on its way in.
    pub ordered: Quantity,
}

impl Quantities {
    /// Adds quantity by quantity.
    pub fn checked_add(self, other: Self) -> Result<Self, QuantityError> {
        Ok(Self {
            available: self.available.checked_add(other.available)?,
            on_hand: self.on_hand.checked_add(other.on_hand)?,
            reserved: self.reserved.checked_add(other.reserved)?,
            ordered: self.ordered.checked_add(other.ordered)?,
        })
    }
}

/// The number of a cycle, per warehouse; rises by one with each attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who read the line from D365.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A prefetch cycle.
    Snapshot(Generation),
    /// A look-up made for a question.
    Live,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshot(generation) => write!(f, "snap:{generation}"),
            Self::Live => f.write_str("live"),
        }
    }
}

impl std::str::FromStr for Origin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "live" => Ok(Self::Live),
            _ => text
                .strip_prefix("snap:")
                .and_then(|generation| generation.parse().ok())
                .map(|generation| Self::Snapshot(Generation(generation)))
                .ok_or(()),
        }
    }
}

/// What was learned about the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineContent {
    /// D365 reported it.
    Quantities(Quantities),
    /// A live answer had no row for it.
    Absent,
}

/// A line's content with its evidence, as the store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineValue {
    /// Quantities or proved absence.
    pub content: LineContent,
    /// Start of the D365 request that brought it.
    pub as_of: AsOf,
    /// Who asked.
    pub origin: Origin,
}

/// One SKU in one warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLine {
    /// The SKU.
    pub sku: Sku,
    /// The warehouse.
    pub warehouse: WarehouseId,
    /// Content and evidence.
    pub value: LineValue,
}

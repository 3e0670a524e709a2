//! What may be said about stock from outside: which row, which quantities, and what is wrong with either.

use rust_decimal::Decimal;
use serde::Deserialize;
use thiserror::Error;

use crate::clock::UtcMillis;
use crate::world::item::Quantities;

/// Names one on-hand row. Dimensions left out are blank.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StockKey {
    /// Legal entity (`dataAreaId`).
    pub company: String,
    /// Item number, taken as it stands.
    pub item: String,
    pub color: String,
    pub configuration: String,
    pub size: String,
    pub style: String,
    pub version: String,
    /// Inventory site; blank means the warehouse's own site.
    pub site: String,
    /// Inventory warehouse; blank is a warehouse of its own.
    pub warehouse: String,
}

impl StockKey {
    /// A row without dimensions at the warehouse's own site.
    pub fn of(company: &str, item: &str, warehouse: &str) -> Self {
        Self {
            company: company.into(),
            item: item.into(),
            warehouse: warehouse.into(),
            ..Self::default()
        }
    }

    /// Whether it names a company and an item.
    pub(super) fn check(&self) -> Result<(), WorldError> {
        if self.company.is_empty() {
            return Err(WorldError::MissingKey("company"));
        }
        if self.item.is_empty() {
            return Err(WorldError::MissingKey("item"));
        }
        Ok(())
    }

    pub(super) fn dimensions(&self) -> [&str; 5] {
        [
            &self.color,
            &self.configuration,
            &self.size,
            &self.style,
            &self.version,
        ]
    }
}

/// Quantities to set on a row, as decimal text. What is left out stays, or is `0` on a new row.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StockChange {
    /// Physical inventory.
    pub on_hand: Option<String>,
    /// Physically reserved; available is on hand minus this.
    pub reserved: Option<String>,
    /// Incoming.
    pub ordered: Option<String>,
    /// Reserved against incoming.
    pub reserved_ordered: Option<String>,
    /// Outgoing demand.
    pub on_order: Option<String>,
    /// Product name, for an item that is new.
    pub name: Option<String>,
    /// Whether the row's warehouse uses warehouse management processes.
    pub managed: Option<bool>,
}

impl StockChange {
    /// Sets the physical inventory alone.
    pub fn on_hand(quantity: &str) -> Self {
        Self {
            on_hand: Some(quantity.into()),
            ..Self::default()
        }
    }

    pub(super) fn apply_to(&self, quantities: &mut Quantities) -> Result<(), WorldError> {
        let fields = [
            ("on_hand", &self.on_hand, &mut quantities.on_hand),
            ("reserved", &self.reserved, &mut quantities.reserved),
            ("ordered", &self.ordered, &mut quantities.ordered),
            (
                "reserved_ordered",
                &self.reserved_ordered,
                &mut quantities.reserved_ordered,
            ),
            ("on_order", &self.on_order, &mut quantities.on_order),
        ];
        for (field, text, target) in fields {
            if let Some(text) = text {
                *target = decimal(field, text)?;
            }
        }
        Ok(())
    }
}

/// A number whose sums fit as well.
fn decimal(field: &'static str, text: &str) -> Result<Decimal, WorldError> {
    const LARGEST: Decimal = Decimal::from_parts(1_661_992_960, 1_808_227_885, 5, false, 0);
    let number = text
        .parse()
        .ok()
        .filter(|number: &Decimal| number.abs() <= LARGEST);
    number.ok_or_else(|| WorldError::NotADecimal {
        field,
        text: text.to_owned(),
    })
}

/// A request about stock that the world cannot fulfil.
#[derive(Debug, Error, PartialEq)]
pub enum WorldError {
    /// A row needs a company and an item.
    #[error("the row's {0} is missing")]
    MissingKey(&'static str),
    /// The company is not one of this world's.
    #[error("there is no company {0:?} in this world")]
    UnknownCompany(String),
    #[error("{field} {text:?} is not a decimal number of up to 100,000,000,000,000,000,000")]
    NotADecimal { field: &'static str, text: String },
    /// There is no such row to delete.
    #[error("there is no row of item {item:?} in warehouse {warehouse:?} with these dimensions")]
    NoSuchRow { item: String, warehouse: String },
    /// The journal no longer reaches back that far.
    #[error(
        "the journal is complete only since {0}; ask for a later instant or raise the journal's limit"
    )]
    JournalTooShort(UtcMillis),
}

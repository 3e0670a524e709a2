//! What is true: companies, warehouses, items, their stock, and how it changed with time.
//!
//! Rows live under their item, items in the order D365's database would sort them, so that a page
//! that starts behind an item costs a look-up and the page itself.
//! It must never forget a change without saying from when on its journal is complete.

mod collation;
mod company;
mod dimensions;
mod generator;
mod item;
mod random;
mod stock;
mod stock_change;
mod truth;

pub use generator::WorldConfig;
pub use stock_change::{StockChange, StockKey, WorldError};
pub use truth::{JournalEntry, TruthLine, VariantLine, WarehouseLine};

pub(crate) use collation::Text;
pub(crate) use company::{Company, Warehouse};
pub(crate) use dimensions::{Dimensions, DimensionsId};
pub(crate) use item::{Item, Quantities};
pub(crate) use random::Random;
pub(crate) use truth::TruthPart;

use crate::clock::UtcMillis;

/// Everything the simulated environment knows.
#[derive(Debug)]
pub(crate) struct World {
    companies: Vec<Company>,
    dimensions: dimensions::DimensionTable,
    journal_complete_since: UtcMillis,
    journal_length: usize,
    journal_limit: usize,
}

impl World {
    /// A world without companies.
    pub(crate) fn empty(journal_limit: usize) -> Self {
        Self {
            companies: Vec::new(),
            dimensions: dimensions::DimensionTable::default(),
            journal_complete_since: UtcMillis::BEGINNING,
            journal_length: 0,
            journal_limit,
        }
    }

    /// Companies in the order of their ids.
    pub(crate) fn companies(&self) -> &[Company] {
        &self.companies
    }

    pub(crate) fn company(&self, id: &str) -> Option<&Company> {
        let wanted = collation::fold(id);
        self.companies
            .iter()
            .find(|company| company.id().folded() == wanted)
    }

    pub(crate) fn dimensions(&self, id: DimensionsId) -> &Dimensions {
        self.dimensions.of(id)
    }

    /// From this instant on the journal holds every change.
    pub(crate) fn journal_complete_since(&self) -> UtcMillis {
        self.journal_complete_since
    }
}

//! What is true: companies, warehouses, items, their stock, and how it changed with time.
//!
//! Rows live under their item, items in the order D365's database would sort them, so that a page
//! that starts behind an item costs a look-up and the page itself.

pub(crate) mod collation;
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
pub(crate) use dimensions::Dimensions;
pub(crate) use item::{Item, Quantities};
pub(crate) use random::Random;
pub(crate) use stock::World;

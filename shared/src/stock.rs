//! The nouns of stock and the rules that keep them true.
//!
//! A D365 on-hand row becomes a [`StockLine`]; a stored line and the warehouse's watermarks become
//! a [`StockState`]; a state and a channel's policy become what the shop is told.
//!
//! Nothing here may read a clock, wait, do I/O or touch floating point: every decision is made from
//! values, so every decision can be tested with a table.

#![deny(clippy::float_arithmetic)]

mod aggregate;
mod as_of;
mod dimensions;
mod fingerprint;
mod hold;
mod ids;
mod item_lines;
mod line;
mod on_hand_row;
mod policy;
mod quantity;
mod sku_mapping;
mod snapshot;
mod spelling;
mod state;
mod verdict;

pub use aggregate::{clamp_to_sellable, sum_sellable};
pub use as_of::{AsOf, AsOfError, FUTURE_TOLERANCE};
pub use dimensions::ProductDimensions;
pub use fingerprint::{FeedSettings, Fingerprint, FingerprintError};
pub use hold::{Hold, HoldId, HoldOwner, Remaining, held_against, remaining, still_held, summary};
pub use ids::{ChannelId, IdError, ItemNumber, LegalEntity, SiteId, Sku, TenantId, WarehouseId};
pub use item_lines::{FoldedItem, fold_item};
pub use line::{Generation, LineContent, LineValue, Origin, Quantities, StockLine};
pub use on_hand_row::OnHandRow;
pub use policy::{
    ChannelPolicy, LevelBands, LiveFailurePolicy, QuantityDisplay, StockLevel, UnknownProductPolicy,
};
pub use quantity::{Quantity, QuantityError};
pub use sku_mapping::{SkuMapper, SkuMapping, SkuMappingError, SkuTemplate, Variant, VariantIndex};
pub use snapshot::{FeedStanding, SnapshotState, WarehouseSnapshot};
pub use spelling::{Spelling, comparison_key};
pub use state::{Judged, StockState, judge};
pub use verdict::{Verdict, decide};

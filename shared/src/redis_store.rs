//! The cache. Everything that speaks to Redis is in this folder, and every key is in `keys.rs`.
//!
//! People read this Redis with `redis-cli`: values are short texts, times are ISO 8601. A line is
//! replaced only by a newer one (`scripts/apply_lines.lua`), and nothing here ever turns a missing
//! line into a zero.

mod calls;
mod clock;
mod connection;
mod cycles;
mod demand;
mod drift;
mod error;
mod events;
mod explain;
mod feed_record;
mod heartbeat;
mod hold_codec;
mod keys;
mod line_codec;
mod lines;
mod live_leases;
pub mod metrics;
mod orders;
mod published_config;
mod reader;
mod respell;
mod schedule;
mod script;
pub mod scripts;
mod seen_feeds;
mod short_values;
mod snapshots;
mod store;
mod throttle_gate;

pub use calls::Calls;
pub use clock::RedisClock;
pub use cycles::{ItemRange, OpenCycle, OpenPart, PartEnded, PartId};
pub use drift::DriftCounts;
pub use error::StoreError;
pub use explain::{ExplainedLine, ServerFacts};
pub use feed_record::snapshot_of;
pub use heartbeat::WorkerHeartbeat;
pub use keys::Keys;
pub use line_codec::{LineText, read_line};
pub use lines::Applied;
pub use live_leases::{LeaseTaken, LiveLease};
pub use orders::{HeldChange, HeldSku, OrderChange, OrderReading, OrderText};
pub use published_config::PublishedTenant;
pub use reader::{HeldOfSku, Reading, StockReader, StoredLine};
pub use schedule::{Claim, Claimed, FencingToken, Finished, LeaseLost, ShardProgress, ShardRecord};
pub use script::{StoreCall, StoreScript};
pub use snapshots::{Acceptance, CycleEnd, Doubt, NotAccepted, Sealed};
pub use store::StockStore;
pub use throttle_gate::{LookingThrottleGate, SharedThrottleGate};

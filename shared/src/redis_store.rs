//! The cache. Everything that speaks to Redis is in this room, and every key is in `keys.rs`.
//!
//! People read this Redis with `redis-cli`: values are short texts, times are ISO 8601. A line is
//! replaced only by a newer one (`scripts/apply_lines.lua`), and nothing here ever turns a missing
//! line into a zero.

mod clock;
mod connection;
mod cycles;
mod demand;
mod drift;
mod error;
mod events;
mod explain;
mod heartbeat;
mod hold_codec;
mod keys;
mod line_codec;
mod lines;
mod live_questions;
pub mod metrics;
mod orders;
mod published_config;
mod reader;
#[cfg(feature = "test-support")]
pub mod records;
mod respell;
mod schedule;
mod script;
#[cfg(feature = "test-support")]
pub mod scripts;
mod snapshots;
mod store;
#[cfg(feature = "test-support")]
pub mod test_server;
mod throttle_gate;

pub use clock::RedisClock;
pub use cycles::{ItemRange, OpenCycle, OpenPart, PartEnded, PartId};
pub use drift::DriftCounts;
pub use error::StoreError;
pub use explain::{ExplainedLine, ServerFacts};
pub use heartbeat::WorkerHeartbeat;
pub use keys::Keys;
pub use line_codec::{LineText, read_line};
pub use lines::Applied;
pub use live_questions::{
    LiveAnswer, LiveMark, LiveQuestion, LiveQuestionSeen, LiveStage, LiveTaken,
};
pub use orders::{HeldChange, HeldSku, OrderChange, OrderText};
pub use published_config::PublishedTenant;
pub use reader::{HeldOfSku, Reading, StockReader, StoredLine};
pub use schedule::{Claim, Claimed, FencingToken, Finished, LeaseLost, ShardProgress, ShardRecord};
pub use snapshots::{Acceptance, CycleEnd, Doubt, NotAccepted, Sealed};
pub use store::StockStore;
pub use throttle_gate::{LookingThrottleGate, SharedThrottleGate};

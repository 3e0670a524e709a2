//! Reads D365 on-hand stock, warehouse by warehouse, and keeps the snapshots in Redis.
//!
//! A poller claims the earliest due shard (`scheduler`): a warehouse whose cycle it opens or seals, or a
//! part of one, which it reads page by page (`snapshot`). Any number of workers may run: they meet in Redis only,
//! and a line is never replaced by an older one.

pub mod command_line;
mod error;
mod http;
mod metrics;
mod ops;
mod refresh;
mod run;
pub mod scheduler;
pub mod snapshot;
mod worker;

pub use error::WorkerError;
pub use http::openapi::document as openapi_document;
pub use refresh::demand::Pass;
pub use run::run;
pub use scheduler::poller::{Poller, Step};
pub use snapshot::outcome::CycleOutcome;
pub use worker::{TenantFeed, Worker};

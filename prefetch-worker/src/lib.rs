//! Reads D365 on-hand stock, warehouse by warehouse, and keeps the snapshots in Redis.
//!
//! A poller claims the earliest due shard (`poller`): a warehouse whose cycle it opens or seals, or a
//! part of one, which it reads page by page (`cycle`). Any number of workers may run: they meet in Redis only, and a line is never replaced by
//! an older one, whoever writes it.

mod accept;
pub mod command_line;
mod cycle;
mod demand;
mod doctor;
mod error;
mod events;
mod explain;
mod first_read;
mod heartbeat;
mod json_body;
mod metrics;
mod once;
mod openapi;
mod plan;
mod poller;
mod progress;
mod refresh_request;
mod refusal;
mod reread;
mod routes;
mod run;
mod settings_change;
mod state;
mod status;
mod terminal;
mod variants;

pub use cycle::CycleOutcome;
#[cfg(feature = "test-support")]
pub use cycle::decisions;
pub use demand::Pass;
pub use error::WorkerError;
pub use openapi::document as openapi_document;
pub use poller::{Poller, Step};
pub use progress::Progress;
pub use run::run;
pub use state::{TenantFeed, Worker};

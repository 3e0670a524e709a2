//! What every process needs: a clock, named tasks, an orderly end, logs and metrics.
//!
//! Nothing here knows of D365 or Redis, and nothing here decides about stock.

pub mod clock;
pub mod crypto;
pub mod metrics;
pub mod open_files;
pub mod shutdown;
pub mod tasks;
pub mod telemetry;

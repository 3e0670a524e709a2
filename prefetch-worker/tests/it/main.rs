//! The poller, step by step: real Redis, the simulator, and what goes wrong in between.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bench;
mod settings;
mod steps;
mod variants;

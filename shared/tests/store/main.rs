//! The store against a real Redis.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and measures real time"
)]

mod bench;
mod budget;
mod connections;
mod cycles;
mod feeds;
mod late;
mod lines;
mod live_leases;
mod published;
mod schedule;

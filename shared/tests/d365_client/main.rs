//! The D365 client against the simulator: over real sockets, with the faults D365 is known for.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod dying;
mod erp;
mod lists;
mod look_ups;
mod pages;
mod throttling;
mod tokens;

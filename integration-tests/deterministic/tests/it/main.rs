//! The simulation and the tests of the tools it stands on.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "how much was tried is worth reading")]

mod controls;
mod fake_redis;
mod kill;
mod random_calls;
mod seeds;
mod simulation;

//! The simulation, its model check, and the tests of the tools both stand on.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stdout, reason = "how much was tried is worth reading")]

mod controls;
mod fake_redis;
mod kill;
mod model_check;
mod random_calls;
mod seeds;
mod simulation;

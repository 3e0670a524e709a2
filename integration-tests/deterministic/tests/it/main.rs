//! Seeds, kills, rules broken on purpose, and the model of Redis beside a real one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "how much was tried is worth reading")]

mod controls;
mod kill;
mod real_redis;
mod simulation;

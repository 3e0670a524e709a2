//! The whole house under test. One binary: its parts are the modules below.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "this is test code throughout, helpers included"
)]

mod accepting;
mod bad_input;
mod demand;
mod deployment;
mod dirty_pages;
mod events;
mod harness_itself;
mod house;
mod live_answers;
mod programs;
mod redis_fixture;
mod scaling;
mod truth;
mod vanishing_items;
mod wrong_settings;

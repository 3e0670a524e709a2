//! The service over HTTP: a real Redis, a scripted ERP.

#![expect(clippy::unwrap_used, reason = "in a test, what fails may panic")]

mod bad_input;
mod browse;
mod lifecycle;
mod order;
mod rig;
mod surface;

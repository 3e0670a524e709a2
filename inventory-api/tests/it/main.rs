//! The service over HTTP: a real Redis, a scripted ERP.

#![expect(clippy::unwrap_used, reason = "in a test, what fails may panic")]

mod bad_input;
mod browse;
mod holding;
mod lifecycle;
mod limits;
mod order;
mod rig;
mod rights;
mod surface;

//! Answers ICM's stock questions from Redis, and from D365 when an order depends on it.
//!
//! `routes` leads a path to its handler. The handler reads the body (`http/body`), parses it
//! (`inventories/request`, `availability_check/request`), finds tenant and warehouses
//! (`tenants/scope`), reads Redis and, if it must be sure, D365 (`live`). Pure files decide
//! (`stock/availability`, `availability_check/verdict`); `reply` writes. Nothing here keeps state that
//! another replica would lack.

mod availability_check;
pub mod command_line;
mod drift;
mod error;
mod http;
mod inventories;
mod live;
mod metrics;
mod orders;
mod readiness;
mod routes;
mod server;
mod state;
mod stock;
mod tenants;

pub use http::openapi::document as openapi_document;
pub use http::question_check::{is_availability_check, is_stock_question};
pub use server::{Ended, Listeners, StartError, open_d365, run};
pub use tenants::sources::OpenSource;

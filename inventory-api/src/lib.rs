//! Answers ICM's stock questions from Redis, and from D365 when an order depends on it.
//!
//! A question comes in through `routes`, is parsed at the door (`stock_query/request`,
//! `availability_check/request`), gets its tenant and warehouses (`channel_scope`), is looked up in
//! Redis and, if it must be sure, in D365 (`live_look_up`), is decided in a pure file (`answer`,
//! `verdict`) and goes out (`reply`). Nothing here keeps state that another replica would lack.

mod asked_recorder;
mod asked_skus;
mod availability_check;
mod caller_rate;
mod channel_scope;
pub mod command_line;
mod drift;
mod error;
mod evidence;
mod feed;
mod json_depth;
mod json_reply;
mod large_bodies;
mod live_desk;
mod live_look_up;
mod live_sources;
mod metrics;
mod openapi;
mod orders;
mod question_body;
mod question_check;
mod readiness;
mod reply_parts;
mod request_bytes;
mod request_gate;
mod routes;
mod server;
mod service_limits;
mod state;
mod stock_query;
mod tenant_directory;
mod weight;

pub use live_sources::OpenSource;
pub use openapi::document as openapi_document;
pub use question_check::{is_availability_check, is_stock_question};
pub use server::{Ended, Listeners, StartError, open_d365, run};

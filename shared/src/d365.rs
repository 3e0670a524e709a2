//! The only part that talks to D365 and Entra ID.
//!
//! A question goes out through one client that looks at the throttle gate, takes the as-of just
//! before it sends, keeps redirects off and checks that every row that comes back was asked for.
//! The bearer token never goes to another origin than the configured one.

mod answer;
pub(crate) mod body;
mod chain;
mod client;
mod connections;
mod credential;
mod entity;
mod entra;
mod error;
mod filter;
mod http_client;
mod look_up;
mod members;
mod metrics;
mod next_link;
mod page;
mod page_query;
mod process_gate;
mod query;
mod repeat_budget;
mod retry_after;
mod row;
#[cfg(feature = "test-support")]
#[path = "../tests/support/scripted_source.rs"]
mod scripted_source;
mod sender;
mod source;
mod throttle;
mod token_request;
mod variants;
mod warehouses;

pub use client::{D365Client, PageLimits};
pub use error::D365Error;
pub use filter::check_askable;
pub use look_up::look_up_chunks;
pub use next_link::{LinkTrail, NextLink};
pub use process_gate::ProcessThrottleGate;
#[cfg(feature = "test-support")]
pub use scripted_source::{Questions, ScriptedSource};
pub use source::{
    Answer, LookUp, LookUpAnswer, OnHandPage, OnHandSource, PageEnd, PageQuery, PageStart,
    VariantQuestion,
};
pub use throttle::{AppId, CallEnd, CallRight, Purpose, Share, ThrottleGate};
pub use variants::VARIANT_SKUS_PER_CALL;

//! The ERP: the only room that talks to D365 and Entra ID.
//!
//! A question goes out through one client that looks at the throttle gate, takes the as-of just
//! before it sends, keeps redirects off and checks that every row that comes back was asked for.
//! The bearer token never goes to another origin than the configured one.

mod answer;
mod bounded_body;
mod carried_error;
mod chain;
mod client;
mod connections;
mod entity;
mod entra;
mod error;
mod filter;
mod look_up;
mod metrics;
mod next_link;
mod on_hand_page;
mod page_query;
mod page_scanner;
mod query;
mod recorded_page;
mod repeat_budget;
#[cfg(feature = "test-support")]
mod scripted_source;
mod sender;
mod source;
mod throttle;
mod variants;
mod warehouses;

pub use client::{D365Client, PageLimits, Purpose};
pub use error::D365Error;
pub use filter::check_askable;
pub use look_up::look_up_chunks;
pub use next_link::LinkTrail;
pub use recorded_page::read_recorded_page;
#[cfg(feature = "test-support")]
pub use scripted_source::{Questions, ScriptedPage, ScriptedSource};
pub use source::{
    Answer, LookUp, LookUpAnswer, NextLink, OnHandPage, OnHandSource, PageEnd, PageItem, PageQuery,
    PageStart, VariantQuestion,
};
pub use throttle::{AppId, CallEnd, CallRight, ProcessThrottleGate, Share, ThrottleGate};
pub use variants::VARIANT_SKUS_PER_CALL;

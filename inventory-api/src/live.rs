//! Asking D365 now, inside the caller's deadline.
//!
//! A caller of `gather` waits in `pending` for others about the same SKUs; `coalescer` sends them off together
//! and shares requests with other replicas; `look_up_task` makes one request and stores what it found;
//! `look_up` asks D365 in chunks, through `environment`, which bounds calls and leaves a failing D365
//! alone (`breaker`). Nothing here decides what a failure means for the caller.

mod breaker;
pub(crate) mod coalescer;
pub(crate) mod deadline;
pub(crate) mod environment;
pub(crate) mod failure;
pub(crate) mod gather;
mod items;
pub(crate) mod live_result;
mod look;
pub(crate) mod look_up;
mod look_up_task;
mod pending;
pub(crate) mod tenant_look_ups;
pub(crate) mod write_through;

//! "What can I show?" `POST` and `GET /inventory/v1/inventories`.
//!
//! A FAST question is one Redis round trip and never depends on D365, unless the caller names a
//! maximum age and a call may start now. An EXACT one is answered live or not at all, unless the
//! caller takes the cache instead.

pub(crate) mod handler;
pub(crate) mod reply;
pub(crate) mod request;
mod validators;

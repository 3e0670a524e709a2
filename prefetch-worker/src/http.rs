//! The worker's own HTTP API.

pub(crate) mod events;
pub(crate) mod json_body;
pub(crate) mod openapi;
pub(crate) mod refreshes;
pub(crate) mod refusal;
pub(crate) mod rights;
pub(crate) mod routes;
pub(crate) mod status;

//! "May I accept this order?" `POST /inventory/v1/availability-checks`.
//!
//! Always asked of D365 live, inside the caller's time. A number read before the order's own
//! question is never passed off as live; without a live answer the declared policy decides, and the
//! reply says so line by line.

pub(crate) mod handler;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod verdict;

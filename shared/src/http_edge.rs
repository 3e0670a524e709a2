//! What the HTTP surfaces of both services share: ICM's feedback body, request ids, and the
//! management port.
//!
//! Nothing here knows a route of a service or speaks to Redis or D365.

pub mod feedback;
pub mod management;
pub mod request_id;

//! What the HTTP surfaces of both services share: who may call, how many connections may be open and
//! how long, ICM's feedback body, request ids, TLS, and the management port.
//!
//! Nothing here knows a route of a service or speaks to Redis or D365.

pub mod api_page;
pub mod auth;
pub mod caller_key;
pub mod closing;
pub mod connections;
pub mod cross_site;
pub mod feedback;
pub mod listener;
pub mod management;
pub mod rate_limiter;
pub mod read_route;
pub mod refusals;
pub mod request_id;
pub mod route_pattern;
pub mod secret_headers;
pub mod serving;
pub mod shares;
pub mod tls;

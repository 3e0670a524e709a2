//! `[api]`

use super::EntraSettings;
use super::forms::{duration, number, size};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// The inventory API.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Address of the API.
    pub listen: SocketAddr,
    /// Address of health and metrics.
    pub management_listen: SocketAddr,
    /// Threads that answer requests, each with a Redis connection of its own; 0 means one per core.
    #[serde(deserialize_with = "number::deserialize")]
    pub workers: usize,
    /// How long open requests may take after the stop signal.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// A feed older than this many refresh intervals is stale.
    #[serde(deserialize_with = "number::deserialize")]
    pub stale_after_intervals: u32,
    /// Live look-ups.
    pub live: LiveSettings,
    /// What a request may ask for.
    pub limits: LimitSettings,
}

/// Live look-ups.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LiveSettings {
    /// Deadline of a request that names none.
    #[serde(with = "duration")]
    pub default_deadline: Duration,
    /// The longest deadline a caller may ask for.
    #[serde(with = "duration")]
    pub longest_deadline: Duration,
    /// Look-ups under way at once to one environment, in one process.
    #[serde(deserialize_with = "number::deserialize")]
    pub concurrency: usize,
    /// Credentials for tenants that have no section here and were published by a prefetcher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entra: Option<EntraSettings>,
}

/// What a request may ask for. Served at `/inventory/v1/limits`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// Distinct SKUs in one request.
    #[serde(deserialize_with = "number::deserialize")]
    pub skus: usize,
    /// SKUs in one EXACT request or order check.
    #[serde(deserialize_with = "number::deserialize")]
    pub live_skus: usize,
    /// Warehouses in one request.
    #[serde(deserialize_with = "number::deserialize")]
    pub warehouses: usize,
    /// Bytes of a request's body.
    #[serde(with = "size")]
    pub body_bytes: usize,
    /// Requests in work at once; more are refused with 429 and `Retry-After`.
    #[serde(deserialize_with = "number::deserialize")]
    pub in_flight: usize,
    /// Open connections per worker thread.
    #[serde(deserialize_with = "number::deserialize")]
    pub connections: usize,
    /// Longest wait for a request's headers.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
}

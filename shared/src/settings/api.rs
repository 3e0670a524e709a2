//! `[api]`

use super::forms::{duration, list, number, quantity, size};
use super::{AuthSettings, EntraSettings, TlsSettings};
use crate::stock::Quantity;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;
use url::Url;

/// The inventory API.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    /// Address of the API.
    pub listen: SocketAddr,
    /// Address of health and metrics.
    pub management_listen: SocketAddr,
    /// TLS for callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// Threads that answer requests, each with a Redis connection of its own; 0 means one per core.
    #[serde(deserialize_with = "number::deserialize")]
    pub workers: usize,
    /// How long requests are still taken after SIGTERM, so that load balancers have noticed; SIGINT
    /// does not wait.
    #[serde(with = "duration")]
    pub drain_delay: Duration,
    /// How long open requests may take once nothing is taken any more.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// A feed older than this many refresh intervals is stale.
    #[serde(deserialize_with = "number::deserialize")]
    pub stale_after_intervals: u32,
    /// Who may call.
    #[serde(default)]
    pub auth: AuthSettings,
    /// Live look-ups.
    pub live: LiveSettings,
    /// What orders hold.
    pub orders: OrderSettings,
    /// What a request may ask for.
    pub limits: LimitSettings,
}

/// What orders and reservations hold back.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSettings {
    /// How long a submitted order holds its stock if the ERP never confirms it.
    #[serde(with = "duration")]
    pub hold: Duration,
    /// How long a reservation holds its stock that names no time.
    #[serde(with = "duration")]
    pub reservation: Duration,
    /// The longest time a reservation may name.
    #[serde(with = "duration")]
    pub longest_reservation: Duration,
    /// Holds of one SKU that one channel may have at once.
    #[serde(deserialize_with = "number::deserialize")]
    pub holds_per_sku: usize,
    /// How many of these reservations may have.
    #[serde(deserialize_with = "number::deserialize")]
    pub reservations_per_sku: usize,
    /// The smallest quantity of a line.
    #[serde(with = "quantity")]
    pub smallest_quantity: Quantity,
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
    /// Which environments get a token for them: addresses such as
    /// `https://contoso.operations.dynamics.com`, or domains such as `.dynamics.com`.
    #[serde(deserialize_with = "list::deserialize")]
    pub environments: Vec<String>,
}

impl LiveSettings {
    /// Whether an address that was published may be sent a token of [`entra`](Self::entra): it is one
    /// of the environments, or a host below one of the domains on https' own port.
    pub fn may_be_sent_tokens(&self, environment: &Url) -> bool {
        self.environments.iter().any(|allowed| {
            if allowed.starts_with('.') {
                environment.scheme() == "https"
                    && environment.port().is_none()
                    && environment.domain().is_some_and(|host| {
                        let host = host.trim_end_matches('.');
                        host.len() > allowed.len() && host.ends_with(&allowed.to_ascii_lowercase())
                    })
            } else {
                Url::parse(allowed).is_ok_and(|allowed| allowed.origin() == environment.origin())
            }
        })
    }
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
    /// Open connections of one address in one process; more are closed as they come. 0 is no limit.
    #[serde(deserialize_with = "number::deserialize")]
    pub connections_per_address: usize,
    /// Open connections without a request in work, of all addresses in one process; beyond them the
    /// longest quiet ones of the address that has most are closed. 0 is no limit.
    #[serde(deserialize_with = "number::deserialize")]
    pub quiet_connections: usize,
    /// How deep a body's JSON may be nested.
    #[serde(deserialize_with = "number::deserialize")]
    pub json_depth: usize,
    /// Requests a second of one caller, in the long run; 0 does not limit them.
    #[serde(deserialize_with = "number::deserialize")]
    pub requests_per_second_per_caller: u32,
    /// Requests one caller may send at once after a rest.
    #[serde(deserialize_with = "number::deserialize")]
    pub burst_per_caller: u32,
    /// Longest wait for a request's headers, also for a TLS handshake; at least 1 s.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    /// Longest wait for a request's body.
    #[serde(with = "duration")]
    pub body_timeout: Duration,
    /// How long a connection nobody uses stays open.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
}

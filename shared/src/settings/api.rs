//! `[api]`

use super::auth::AuthSettings;
use super::entra::EntraSettings;
use super::error::{Section, SettingsError};
use super::forms::{duration, quantity, size};
use super::origin::check_origin;
use super::tls::TlsSettings;
use crate::stock::Quantity;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;
use url::Url;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSettings {
    pub listen: SocketAddr,
    pub management_listen: SocketAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// Threads that answer requests, each with a Redis connection of its own; 0 means one per core.
    pub workers: usize,
    /// How long requests are still taken after SIGTERM, so that load balancers have noticed; SIGINT
    /// does not wait.
    #[serde(with = "duration")]
    pub drain_delay: Duration,
    /// How long open requests may take once nothing is taken any more.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    #[serde(default)]
    pub auth: AuthSettings,
    pub live: LiveSettings,
    pub orders: OrderSettings,
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
    pub holds_per_sku: usize,
    /// How many of these reservations may have.
    pub reservations_per_sku: usize,
    /// The smallest quantity of a line.
    #[serde(with = "quantity")]
    pub smallest_quantity: Quantity,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LiveSettings {
    /// Deadline of a request that names none.
    #[serde(with = "duration")]
    pub default_deadline: Duration,
    /// The longest deadline a caller may ask for.
    #[serde(with = "duration")]
    pub longest_deadline: Duration,
    pub concurrency: usize,
    /// Credentials for tenants that have no section here and were published by a prefetcher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entra: Option<EntraSettings>,
    /// Which environments get a token for them: addresses such as
    /// `https://contoso.operations.dynamics.com`, or domains such as `.dynamics.com`.
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
    pub skus: usize,
    /// SKUs in one EXACT request or order check.
    pub live_skus: usize,
    pub warehouses: usize,
    #[serde(with = "size")]
    pub body_bytes: usize,
    /// Requests in work at once; more are refused with 429 and `Retry-After`.
    pub in_flight: usize,
    pub connections: usize,
    /// Open connections of one address in one process; more are closed as they come. 0 is no limit.
    pub connections_per_address: usize,
    /// Open connections without a request in work, of all addresses in one process; beyond them the
    /// longest quiet ones of the address that has most are closed. 0 is no limit.
    pub quiet_connections: usize,
    /// Requests a second of one caller, in the long run; 0 does not limit them.
    pub requests_per_second_per_caller: u32,
    /// Longest wait for a request's headers, also for a TLS handshake; at least 1 s.
    #[serde(with = "duration")]
    pub header_timeout: Duration,
    #[serde(with = "duration")]
    pub body_timeout: Duration,
    /// How long a connection nobody uses stays open.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
}

impl LimitSettings {
    /// Requests one caller may send at once after a rest.
    pub fn burst_per_caller(&self) -> u32 {
        self.requests_per_second_per_caller.saturating_mul(2)
    }
}

impl ApiSettings {
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let (section, limits) = (Section("api"), &self.limits);
        for (key, number) in [
            ("limits.skus", limits.skus),
            ("limits.live_skus", limits.live_skus),
            ("limits.warehouses", limits.warehouses),
            ("limits.body_bytes", limits.body_bytes),
            ("limits.in_flight", limits.in_flight),
            ("limits.connections", limits.connections),
            ("live.concurrency", self.live.concurrency),
        ] {
            section.require(number > 0, key, "must be at least 1")?;
        }
        // The server's own timer has no finer steps.
        let second = Duration::from_secs(1);
        for (key, holds, problem) in [
            (
                "live.default_deadline",
                self.live.default_deadline <= self.live.longest_deadline,
                "is above live.longest_deadline",
            ),
            (
                "management_listen",
                self.listen.port() == 0 || self.listen != self.management_listen,
                "is the same address as api.listen",
            ),
            (
                "limits.header_timeout",
                limits.header_timeout >= second,
                "must be at least 1s",
            ),
            (
                "limits.body_timeout",
                !limits.body_timeout.is_zero(),
                "must be above 0",
            ),
            (
                "limits.keep_alive",
                limits.keep_alive >= second,
                "must be at least 1s",
            ),
        ] {
            section.require(holds, key, problem)?;
        }
        if let Some(entra) = &self.live.entra {
            entra.check("api.live.entra")?;
        }
        for environment in &self.live.environments {
            check_environment(environment)
                .map_err(|problem| section.error("live.environments", problem))?;
        }
        self.tls.as_ref().map_or(Ok(()), |tls| tls.check("api.tls"))
    }
}

/// An address, or a domain with a dot before it and one inside.
fn check_environment(environment: &str) -> Result<(), String> {
    if let Some(domain) = environment.strip_prefix('.') {
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        return if domain.contains('.') && domain.split('.').all(is_label) {
            Ok(())
        } else {
            Err(format!(
                "{environment:?} is no domain such as .dynamics.com"
            ))
        };
    }
    let url = Url::parse(environment)
        .map_err(|cause| format!("{environment:?} is no address: {cause}"))?;
    check_origin(&url).map_err(|problem| format!("{environment:?} {problem}"))
}

//! `[worker]`

use super::forms::{duration, number, size};
use super::{Secret, TlsSettings};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `[worker.events]`: business and data events of D365, taken as hints to read again.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EventSettings {
    /// What senders must show; without it no event is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// A file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// Property that names the item.
    pub item_field: String,
    /// Property that names the warehouse.
    pub warehouse_field: String,
    /// Property that names the legal entity.
    pub legal_entity_field: String,
}

/// The prefetch worker.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    /// Address of the worker's own API.
    pub listen: SocketAddr,
    /// Address of health and metrics.
    pub management_listen: SocketAddr,
    /// TLS for callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// Parts of warehouses read at once by one worker.
    #[serde(deserialize_with = "number::deserialize")]
    pub parallel_shards: usize,
    /// Rows of one D365 page, 1 to 10,000.
    #[serde(deserialize_with = "number::deserialize")]
    pub page_size: u32,
    /// Longest time for one page.
    #[serde(with = "duration")]
    pub page_timeout: Duration,
    /// Largest page body.
    #[serde(with = "size")]
    pub page_bytes: usize,
    /// How long a claimed part stays claimed without a sign of life.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// How long reading one part of a warehouse should take; warehouses are split by it.
    #[serde(with = "duration")]
    pub shard_time: Duration,
    /// A snapshot with fewer rows than this share of the recent median is quarantined; 0 to 100.
    #[serde(deserialize_with = "number::deserialize")]
    pub guard_percent: u8,
    /// Calls spent on what is asked for and what is low, in percent of those of the snapshots; 0
    /// switches it off.
    #[serde(deserialize_with = "number::deserialize")]
    pub demand_share: u8,
    /// How old what is asked for most should become at most.
    #[serde(with = "duration")]
    pub demand_target_age: Duration,
    /// Stock of so many units or fewer is low.
    #[serde(deserialize_with = "number::deserialize")]
    pub low_stock: u32,
    /// SKUs of one refresh request.
    #[serde(deserialize_with = "number::deserialize")]
    pub refresh_skus: usize,
    /// Refresh requests waiting at once.
    #[serde(deserialize_with = "number::deserialize")]
    pub refresh_queue: usize,
    /// Hints from D365 that something has changed.
    pub events: EventSettings,
    /// How long requests are still taken after SIGTERM, so that load balancers have noticed; SIGINT
    /// does not wait.
    #[serde(with = "duration")]
    pub drain_delay: Duration,
    /// How long pages under way may take after that.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
}

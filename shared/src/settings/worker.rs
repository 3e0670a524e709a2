//! `[worker]`

use super::error::{Section, SettingsError};
use super::forms::duration;
use super::secret::Secret;
use super::tls::TlsSettings;
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    pub item_field: String,
    pub warehouse_field: String,
    pub legal_entity_field: String,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    /// Address of the worker's own API.
    pub listen: SocketAddr,
    pub management_listen: SocketAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSettings>,
    /// Parts of warehouses read at once by one worker.
    pub parallel_shards: usize,
    /// Rows of one D365 page, 1 to 10,000.
    pub page_size: u32,
    /// How long a claimed part stays claimed without a sign of life.
    #[serde(with = "duration")]
    pub lease: Duration,
    /// How long reading one part of a warehouse should take; warehouses are split by it.
    #[serde(with = "duration")]
    pub shard_time: Duration,
    /// A snapshot with fewer rows than this share of the recent median is quarantined; 0 to 100.
    pub guard_percent: u8,
    /// Calls spent on what is asked for and what is low, in percent of those of the snapshots; 0
    /// switches it off.
    pub demand_share: u8,
    /// How old what is asked for most should become at most.
    #[serde(with = "duration")]
    pub demand_target_age: Duration,
    /// Stock of so many units or fewer is low.
    pub low_stock: u32,
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

impl WorkerSettings {
    /// Checks the section and reads the events' secret.
    pub(super) fn settle(&mut self) -> Result<(), SettingsError> {
        let section = Section("worker");
        for (key, holds, problem) in [
            (
                "page_size",
                (1..=10_000).contains(&self.page_size),
                "must be 1 to 10000, D365's own maximum",
            ),
            (
                "parallel_shards",
                (1..=64).contains(&self.parallel_shards),
                "must be 1 to 64",
            ),
            (
                "guard_percent",
                self.guard_percent <= 100,
                "must be 0 to 100",
            ),
            ("demand_share", self.demand_share <= 100, "must be 0 to 100"),
            (
                "lease",
                self.lease >= Duration::from_secs(5),
                "must be at least 5s",
            ),
            (
                "demand_target_age",
                self.demand_target_age >= Duration::from_secs(2),
                "must be at least 2s",
            ),
            (
                "shard_time",
                self.shard_time >= Duration::from_millis(100),
                "must be at least 100ms",
            ),
            (
                "management_listen",
                self.listen.port() == 0 || self.listen != self.management_listen,
                "is the same address as worker.listen",
            ),
        ] {
            section.require(holds, key, problem)?;
        }
        if let Some(tls) = &self.tls {
            tls.check("worker.tls")?;
        }
        let (section, file) = (Section("worker.events"), self.events.secret_file.take());
        Secret::settle(&mut self.events.secret, file, section, "secret")?;
        let secret = self.events.secret.as_ref();
        section.require(
            secret.is_none_or(|secret| secret.expose().len() >= 16),
            "secret",
            "must have at least 16 characters",
        )
    }
}

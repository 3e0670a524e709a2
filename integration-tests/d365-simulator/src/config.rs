//! What the simulator is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use crate::apps::AppRegistration;
use crate::load_model::LoadModel;
use crate::world::{StockChange, StockKey, WorldConfig};

/// Certificate chain and private key in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificates: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// A row and its quantities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockRow {
    pub row: StockKey,
    pub set: StockChange,
}

/// Everything the simulator needs to start. The default is a small world on a free loopback port.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Size and seed of the world; `None` starts with an empty one.
    pub world: Option<WorldConfig>,
    /// Rows put into the world before it is served.
    pub stock: Vec<StockRow>,
    /// Rows on a page at most, 1 to 10,000.
    pub page_size: usize,
    /// Random stock movements per second.
    pub sales_per_second: f64,
    pub apps: Vec<AppRegistration>,
    /// Directory (tenant) id in the token endpoints' path.
    pub entra_tenant: String,
    /// Life of access tokens in seconds.
    pub token_life_seconds: i64,
    /// Environment addresses, besides loopback ones, that tokens are issued for and accepted with.
    pub audiences: Vec<String>,
    /// Addresses tokens are issued for though `/data` refuses them: other environments of the directory.
    pub foreign_audiences: Vec<String>,
    /// Latency.
    pub load: LoadModel,
    pub tls: Option<TlsFiles>,
    /// Requests kept in the log.
    pub request_log: usize,
    /// Changes kept in the journal.
    pub journal_limit: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            world: Some(WorldConfig::default()),
            stock: Vec::new(),
            page_size: 10_000,
            sales_per_second: 0.0,
            apps: vec![AppRegistration::with_secret(
                Self::CLIENT_ID,
                Self::CLIENT_SECRET,
            )],
            entra_tenant: Self::ENTRA_TENANT.to_owned(),
            token_life_seconds: 3599,
            audiences: Vec::new(),
            foreign_audiences: vec!["https://other.operations.dynamics.com".to_owned()],
            load: LoadModel::default(),
            tls: None,
            request_log: 10_000,
            journal_limit: 2_000_000,
        }
    }
}

/// A configuration that makes no sense.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{what} is {value} and not from {least} to {most}")]
pub struct ConfigError {
    what: &'static str,
    value: u32,
    least: u32,
    most: u32,
}

impl Config {
    /// Client id of the default app registration.
    pub const CLIENT_ID: &'static str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    /// Secret of the default app registration; it has letters that must be encoded.
    pub const CLIENT_SECRET: &'static str = "simulator~secret+with/odd=signs&%";
    /// Company that answers without `cross-company=true`.
    pub(crate) const DEFAULT_COMPANY: &'static str = "dat";
    /// Default directory id.
    pub const ENTRA_TENANT: &'static str = "11111111-2222-3333-4444-555555555555";

    /// Refuses what makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (items, warehouses) = self
            .world
            .as_ref()
            .map_or((0, 0), |world| (world.items, world.warehouses));
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let life = u32::try_from(self.token_life_seconds).unwrap_or(0);
        for (what, value, least, most) in [
            ("the page size", number(self.page_size), 1, 10_000),
            ("the token life in seconds", life, 1, 86_400),
            ("the number of warehouses", number(warehouses), 0, 200),
            ("the number of items", number(items), 0, 1_000_000),
        ] {
            if !(least..=most).contains(&value) {
                return Err(ConfigError {
                    what,
                    value,
                    least,
                    most,
                });
            }
        }
        Ok(())
    }
}

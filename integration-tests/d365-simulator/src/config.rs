//! What the simulator is started with.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use thiserror::Error;

use crate::apps::{AppRegistration, Secret};
use crate::faults::FaultSpec;
use crate::load_model::LoadModel;
use crate::switches::Switches;
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockRow {
    /// Which row.
    pub row: StockKey,
    /// Its quantities.
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
    /// App registrations.
    pub apps: Vec<AppRegistration>,
    /// Directory (tenant) id in the token endpoints' path.
    pub entra_tenant: String,
    /// Life of access tokens in seconds.
    pub token_life_seconds: i64,
    /// Environment addresses, besides loopback ones, that tokens are issued for and accepted with.
    pub audiences: Vec<String>,
    /// Addresses tokens are issued for though `/data` refuses them: other environments of the directory.
    pub foreign_audiences: Vec<String>,
    /// Company that answers without `cross-company=true`.
    pub default_company: String,
    /// Quirks.
    pub switches: Switches,
    /// Latency and throttling.
    pub load: LoadModel,
    /// Faults active from the start.
    pub faults: Vec<FaultSpec>,
    /// Token the control API asks for. Without one it is open, and only on a loopback address.
    pub control_token: Option<Secret>,
    /// Serve HTTPS.
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
            default_company: "dat".to_owned(),
            switches: Switches::default(),
            load: LoadModel::default(),
            faults: Vec::new(),
            control_token: None,
            tls: None,
            request_log: 10_000,
            journal_limit: 2_000_000,
        }
    }
}

/// A configuration that makes no sense.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Pages hold between one and ten thousand rows.
    #[error("page size {0} is not between 1 and 10000")]
    PageSize(usize),
    /// A rate must be a finite number.
    #[error("sales per second must be a number from 0 to 100000")]
    SalesRate,
    /// A token must live a while.
    #[error("a token life of {0} seconds is not between 1 and 86400")]
    TokenLife(i64),
    /// Two apps share a client id.
    #[error("two app registrations have the client id {0:?}")]
    SameClientId(String),
    /// More warehouses than the generator makes.
    #[error("{0} warehouses are more than 200")]
    TooManyWarehouses(usize),
    /// More items than fit into memory sensibly.
    #[error("{0} items are more than 1000000")]
    TooManyItems(usize),
}

impl Config {
    /// Client id of the default app registration.
    pub const CLIENT_ID: &'static str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    /// Secret of the default app registration; it has letters that must be encoded.
    pub const CLIENT_SECRET: &'static str = "simulator~secret+with/odd=signs&%";
    /// Default directory id.
    pub const ENTRA_TENANT: &'static str = "11111111-2222-3333-4444-555555555555";

    /// Refuses what makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(1..=10_000).contains(&self.page_size) {
            return Err(ConfigError::PageSize(self.page_size));
        }
        if !(0.0..=100_000.0).contains(&self.sales_per_second) {
            return Err(ConfigError::SalesRate);
        }
        if !(1..=86_400).contains(&self.token_life_seconds) {
            return Err(ConfigError::TokenLife(self.token_life_seconds));
        }
        if let Some(world) = &self.world {
            if world.warehouses > 200 {
                return Err(ConfigError::TooManyWarehouses(world.warehouses));
            }
            if world.items > 1_000_000 {
                return Err(ConfigError::TooManyItems(world.items));
            }
        }
        for (place, app) in self.apps.iter().enumerate() {
            if self.apps[..place]
                .iter()
                .any(|other| other.client_id == app.client_id)
            {
                return Err(ConfigError::SameClientId(app.client_id.clone()));
            }
        }
        Ok(())
    }
}

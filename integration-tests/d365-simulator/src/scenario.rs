//! A scenario file: world, quirks, load, faults and stock in TOML.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::apps::AppRegistration;
use crate::config::{Config, StockRow};
use crate::faults::FaultSpec;
use crate::load_model::LoadModel;
use crate::switches::Switches;
use crate::world::WorldConfig;

/// What a scenario file may say; what it leaves out stays as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Size and seed of the world.
    pub world: Option<WorldConfig>,
    /// Rows on a page at most.
    pub page_size: Option<usize>,
    /// Random stock movements per second.
    pub sales_per_second: Option<f64>,
    /// Life of access tokens in seconds.
    pub token_life_seconds: Option<i64>,
    /// Company that answers without `cross-company=true`.
    pub default_company: Option<String>,
    /// Quirks.
    pub switches: Option<Switches>,
    /// Latency and throttling.
    pub load: Option<LoadModel>,
    /// App registrations, instead of the default one.
    pub apps: Vec<AppRegistration>,
    /// Faults active from the start.
    pub faults: Vec<FaultSpec>,
    /// Rows put into the world before it is served.
    pub stock: Vec<StockRow>,
}

/// A scenario that cannot be used.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("cannot read the scenario {file}: {source}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not a scenario.
    #[error("the scenario {file} is not understood: {source}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
}

impl Scenario {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(file).map_err(|source| ScenarioError::Unreadable {
            file: file.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| ScenarioError::Malformed {
            file: file.to_owned(),
            source: Box::new(source),
        })
    }

    /// Puts what the scenario says into a configuration.
    pub fn apply_to(&self, config: &mut Config) {
        fn set<T: Clone>(target: &mut T, value: Option<&T>) {
            if let Some(value) = value {
                *target = value.clone();
            }
        }
        if self.world.is_some() {
            config.world.clone_from(&self.world);
        }
        set(&mut config.page_size, self.page_size.as_ref());
        set(&mut config.sales_per_second, self.sales_per_second.as_ref());
        set(
            &mut config.token_life_seconds,
            self.token_life_seconds.as_ref(),
        );
        set(&mut config.default_company, self.default_company.as_ref());
        set(&mut config.switches, self.switches.as_ref());
        set(&mut config.load, self.load.as_ref());
        if !self.apps.is_empty() {
            config.apps.clone_from(&self.apps);
        }
        config.faults.extend(self.faults.iter().cloned());
        config.stock.extend(self.stock.iter().cloned());
    }
}

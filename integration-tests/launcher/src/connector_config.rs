//! The configuration file both services read, written for a tenant whose D365 is the simulator.

use d365_simulator::Config as SimulatorConfig;
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What a test or the demo wants to be different; [`ConnectorConfig::new`] has the rest.
#[derive(Debug, Clone)]
pub struct ConnectorConfig {
    /// Address of Redis.
    pub redis_url: String,
    /// What every key in Redis begins with.
    pub key_prefix: String,
    /// Address of the simulator.
    pub d365_url: String,
    /// Tenant id.
    pub tenant: String,
    /// Legal entity.
    pub legal_entity: String,
    /// Warehouses that are read.
    pub warehouses: Vec<String>,
    /// How SKUs are made.
    pub sku_mapping: String,
    /// Time between two snapshots.
    pub refresh_interval: String,
    /// Longest address of a look-up; none is the product's default.
    pub longest_address: Option<u32>,
    /// App registration (client id and secret) of live look-ups; none is that of prefetching.
    pub live_app: Option<(String, String)>,
    /// Whether everybody may call, without credentials; otherwise `more` says who may.
    pub open_to_all: bool,
    /// More sections, as they would stand in the file.
    pub more: String,
}

/// The file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorConfigError {
    /// A value TOML cannot hold.
    #[error("the configuration cannot be written as TOML")]
    Toml(#[from] toml::ser::Error),
    /// No folder or no space.
    #[error("the configuration file cannot be written")]
    Io(#[from] io::Error),
}

/// A written configuration file; removed when dropped.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    _folder: TempDir,
}

impl ConfigFile {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl ConnectorConfig {
    /// One tenant, `contoso`, with the simulator's company `usmf` and its own app registration.
    pub fn new(redis_url: &str, d365_url: &str, warehouses: Vec<String>) -> Self {
        Self {
            redis_url: redis_url.to_owned(),
            key_prefix: "inv:".to_owned(),
            d365_url: d365_url.to_owned(),
            tenant: "contoso".to_owned(),
            legal_entity: "usmf".to_owned(),
            warehouses,
            sku_mapping: "item-number".to_owned(),
            refresh_interval: "15m".to_owned(),
            longest_address: None,
            live_app: None,
            open_to_all: true,
            more: String::new(),
        }
    }

    /// The file's text.
    pub fn to_toml(&self) -> Result<String, ConnectorConfigError> {
        let mut file = json!({
            "redis": { "url": self.redis_url, "key_prefix": self.key_prefix },
            "tenants": [self.tenant(&self.tenant, &self.legal_entity)],
        });
        if self.open_to_all {
            file["api"]["auth"]["insecure_no_authentication"] = true.into();
        }
        Ok(format!("{}\n{}", toml::to_string(&file)?, self.more))
    }

    /// The section of another tenant beside this one, as text for [`more`](Self::more): the same
    /// environment and warehouses, another legal entity.
    pub fn second_tenant(&self, id: &str, legal_entity: &str) -> String {
        let section = json!({ "tenants": [self.tenant(id, legal_entity)] });
        toml::to_string(&section).unwrap_or_default()
    }

    fn tenant(&self, id: &str, legal_entity: &str) -> Value {
        let mut tenant = json!({
            "id": id,
            "environment_url": self.d365_url,
            "legal_entity": legal_entity,
            "warehouses": self.warehouses,
            "refresh_interval": self.refresh_interval,
            "sku_mapping": self.sku_mapping,
            "entra": {
                "tenant_id": SimulatorConfig::ENTRA_TENANT,
                "authority": self.d365_url,
                "client_id": SimulatorConfig::CLIENT_ID,
                "client_secret": SimulatorConfig::CLIENT_SECRET,
            },
        });
        if let Some(longest) = self.longest_address {
            tenant["longest_address"] = longest.into();
        }
        if let Some((id, secret)) = &self.live_app {
            tenant["entra"]["live"] = json!({ "client_id": id, "client_secret": secret });
        }
        tenant
    }

    /// Writes it into a folder of its own.
    pub fn write(&self) -> Result<ConfigFile, ConnectorConfigError> {
        let folder = tempfile::Builder::new().prefix("connector-").tempdir()?;
        let path = folder.path().join("connector.toml");
        std::fs::write(&path, self.to_toml()?)?;
        Ok(ConfigFile {
            path,
            _folder: folder,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectorConfig;

    #[test]
    fn what_is_written_is_toml_and_holds_what_was_asked_for() {
        let warehouses = vec!["24".to_owned(), "o'clock \"x\"".to_owned()];
        let mut config = ConnectorConfig::new("redis://[::1]:1", "http://[::1]:2", warehouses);
        config.more = "[api.limits]\nskus = 7\n".to_owned();
        config.more.push_str(&config.second_tenant("other", "dat"));
        let read: toml::Table = config.to_toml().unwrap().parse().unwrap();
        for (number, id) in ["contoso", "other"].into_iter().enumerate() {
            let tenant = &read["tenants"][number];
            assert_eq!(tenant["id"].as_str(), Some(id));
            assert_eq!(tenant["warehouses"][1].as_str(), Some("o'clock \"x\""));
        }
        assert_eq!(read["api"]["limits"]["skus"].as_integer(), Some(7));
    }
}

//! The configuration file both services read, written for a tenant whose D365 is the simulator.

use d365_simulator::Config as SimulatorConfig;
use serde::Serialize;
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
    /// How pages follow each other; none is the product's default.
    pub paging: Option<String>,
    /// Longest address of a look-up; none is the product's default.
    pub longest_address: Option<u32>,
    /// App registration (client id and secret) of live look-ups; none is that of prefetching.
    pub live_app: Option<(String, String)>,
    /// App registration of prefetching; none is the simulator's default one.
    pub prefetch_app: Option<(String, String)>,
    /// Whether everybody may call, without credentials; otherwise `more` says who may.
    pub open_door: bool,
    /// More sections, as they would stand in the file.
    pub more: String,
}

#[derive(Serialize)]
struct File<'a> {
    redis: Redis<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api: Option<Api>,
    tenants: [Tenant<'a>; 1],
}

#[derive(Serialize)]
struct Api {
    auth: Auth,
}

#[derive(Serialize)]
struct Auth {
    insecure_no_authentication: bool,
}

#[derive(Serialize)]
struct Redis<'a> {
    url: &'a str,
    key_prefix: &'a str,
}

#[derive(Serialize)]
struct Tenant<'a> {
    id: &'a str,
    environment_url: &'a str,
    legal_entity: &'a str,
    warehouses: &'a [String],
    refresh_interval: &'a str,
    sku_mapping: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    paging: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    longest_address: Option<u32>,
    entra: Entra<'a>,
}

#[derive(Serialize)]
struct Entra<'a> {
    tenant_id: &'a str,
    authority: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<App<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefetch: Option<App<'a>>,
}

#[derive(Serialize)]
struct App<'a> {
    client_id: &'a str,
    client_secret: &'a str,
}

fn app((client_id, client_secret): &(String, String)) -> App<'_> {
    App {
        client_id,
        client_secret,
    }
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
            paging: None,
            longest_address: None,
            live_app: None,
            prefetch_app: None,
            open_door: true,
            more: String::new(),
        }
    }

    /// The file's text.
    pub fn to_toml(&self) -> Result<String, ConnectorConfigError> {
        let file = toml::to_string(&File {
            redis: Redis {
                url: &self.redis_url,
                key_prefix: &self.key_prefix,
            },
            api: self.open_door.then_some(Api {
                auth: Auth {
                    insecure_no_authentication: true,
                },
            }),
            tenants: [Tenant {
                id: &self.tenant,
                environment_url: &self.d365_url,
                legal_entity: &self.legal_entity,
                warehouses: &self.warehouses,
                refresh_interval: &self.refresh_interval,
                sku_mapping: &self.sku_mapping,
                paging: self.paging.as_deref(),
                longest_address: self.longest_address,
                entra: Entra {
                    tenant_id: SimulatorConfig::ENTRA_TENANT,
                    authority: &self.d365_url,
                    client_id: SimulatorConfig::CLIENT_ID,
                    client_secret: SimulatorConfig::CLIENT_SECRET,
                    live: self.live_app.as_ref().map(app),
                    prefetch: self.prefetch_app.as_ref().map(app),
                },
            }],
        })?;
        Ok(format!("{file}\n{}", self.more))
    }

    /// The section of another tenant beside this one, as text for [`more`](Self::more): the same
    /// environment and warehouses, another legal entity.
    pub fn second_tenant(&self, id: &str, legal_entity: &str) -> String {
        format!(
            "\n[[tenants]]\nid = \"{id}\"\nenvironment_url = \"{url}\"\nlegal_entity = \"{legal_entity}\"\n\
             warehouses = {warehouses:?}\nrefresh_interval = \"{interval}\"\n[tenants.entra]\n\
             tenant_id = \"{directory}\"\nauthority = \"{url}\"\nclient_id = \"{client}\"\n\
             client_secret = \"{secret}\"\n",
            url = self.d365_url,
            warehouses = self.warehouses,
            interval = self.refresh_interval,
            directory = SimulatorConfig::ENTRA_TENANT,
            client = SimulatorConfig::CLIENT_ID,
            secret = SimulatorConfig::CLIENT_SECRET,
        )
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
        let mut config = ConnectorConfig::new(
            "redis://127.0.0.1:6379",
            "http://127.0.0.1:8070",
            vec!["24".to_owned(), "o'clock \"x\"".to_owned()],
        );
        config.more = "[api.limits]\nskus = 7\n".to_owned();
        let text = config.to_toml().unwrap();
        let read: toml::Table = text.parse().unwrap();
        let tenant = &read["tenants"][0];
        assert_eq!(tenant["warehouses"][1].as_str(), Some("o'clock \"x\""));
        assert_eq!(read["api"]["limits"]["skus"].as_integer(), Some(7));
    }
}

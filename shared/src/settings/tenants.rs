//! `[[tenants]]`: what is read from which D365.

use super::entra::EntraSettings;
use super::error::{Section, SettingsError};
use super::forms::{address, duration};
use super::origin::check_origin;
use super::typed::typed;
use crate::stock::{LegalEntity, SkuMapping, TenantId, WarehouseId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use toml::{Table, Value};
use url::Url;

/// One D365 environment with one legal entity.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TenantSettings {
    /// Part of every Redis key: `[a-z0-9-]{1,32}`.
    pub id: TenantId,
    /// `https://<environment>.operations.dynamics.com`
    #[serde(deserialize_with = "address::deserialize")]
    pub environment_url: Url,
    /// PEM file with an authority to trust for D365 and Entra besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// `dataAreaId`
    pub legal_entity: LegalEntity,
    /// The warehouses that count. A real environment has dozens of transit and quarantine
    /// warehouses with similar names, so this is a list and not a pattern.
    pub warehouses: Vec<WarehouseId>,
    #[serde(default = "fifteen_minutes", with = "duration")]
    pub refresh_interval: Duration,
    #[serde(default = "item_number")]
    pub sku_mapping: SkuMapping,
    #[serde(default)]
    pub quantity: QuantityField,
    #[serde(default)]
    pub paging: PagingMode,
    #[serde(default = "on_hand_entity")]
    pub entity: String,
    /// The entity set of released product variants.
    #[serde(default = "variants_entity")]
    pub variants_entity: String,
    /// The most calls of one app registration at once, over all replicas.
    #[serde(default = "sixteen")]
    pub calls_at_once: u32,
    /// Longest address of a look-up: longer ones ask for more items at once. 1,000 to 16,000.
    #[serde(default = "two_thousand")]
    pub longest_address: usize,
    /// Property names, where a customised entity differs.
    #[serde(default)]
    pub fields: FieldNames,
    pub entra: EntraSettings,
}

impl TenantSettings {
    /// How long a list of variants is good.
    pub const VARIANTS_MAX_AGE: Duration = Duration::from_hours(1);
    /// The entity sets of on-hand stock and of variants, unless others are named.
    pub(crate) const USUAL_ENTITIES: (&str, &str) =
        ("WarehousesOnHandV2", "ReleasedProductVariantsV2");

    /// Settings that were published by another process, with this process' own sign-in; checked
    /// like those of a file.
    pub fn from_published(
        mut published: Table,
        entra: &EntraSettings,
    ) -> Result<Self, SettingsError> {
        // The section is required; its real content is put in below, secrets and all.
        let tenant_id = ("tenant_id".to_owned(), Value::String(String::new()));
        let sign_in = Value::Table(Table::from_iter([tenant_id]));
        published.insert("entra".to_owned(), sign_in);
        let mut tenant: Self = typed(Value::Table(published))?;
        tenant.entra = entra.clone();
        tenant.check("published")?;
        Ok(tenant)
    }

    /// How many of the calls at once prefetching leaves to live look-ups that use the same registration.
    pub fn calls_kept_for_live(&self) -> u32 {
        (self.calls_at_once / 4).max(1)
    }

    pub(super) fn check(&self, key: &str) -> Result<(), SettingsError> {
        let section = Section(key);
        let url = &self.environment_url;
        check_origin(url).map_err(|problem| section.error("environment_url", problem))?;
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
        for (name, holds, problem) in [
            (
                "environment_url",
                is_bare && url.fragment().is_none(),
                "must be the bare address of the environment, without /data",
            ),
            (
                "warehouses",
                !self.warehouses.is_empty(),
                "name at least one warehouse",
            ),
            (
                "longest_address",
                (1_000..=16_000).contains(&self.longest_address),
                "must be 1000 to 16000",
            ),
            (
                "calls_at_once",
                (2..=64).contains(&self.calls_at_once),
                "must be 2 to 64",
            ),
            (
                "refresh_interval",
                self.refresh_interval >= Duration::from_secs(1),
                "must be at least 1s",
            ),
        ] {
            section.require(holds, name, problem)?;
        }
        check_distinct(&self.warehouses).map_err(|problem| section.error("warehouses", problem))?;
        for (part, name) in [
            ("entity", &self.entity),
            ("variants_entity", &self.variants_entity),
        ] {
            let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            section.require(
                !name.is_empty() && name.bytes().all(is_name),
                part,
                format!("{name:?} is no entity set name"),
            )?;
        }
        self.entra.check(&format!("{key}.entra"))
    }
}

/// Each warehouse once, in whatever spelling: its stock would count twice.
pub(super) fn check_distinct(warehouses: &[WarehouseId]) -> Result<(), String> {
    let mut numbered = warehouses.iter().enumerate();
    match numbered.find(|(at, warehouse)| warehouses[..*at].contains(warehouse)) {
        Some((_, twice)) => Err(format!("{twice:?} is named twice")),
        None => Ok(()),
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuantityField {
    /// On hand less physical reservations.
    #[default]
    AvailableOnHand,
    /// Physically there.
    OnHand,
    /// Available on hand and still free of what is on its way in.
    TotalAvailable,
}

impl QuantityField {
    /// The word used in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AvailableOnHand => "available-on-hand",
            Self::OnHand => "on-hand",
            Self::TotalAvailable => "total-available",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PagingMode {
    /// By key: `ItemNumber gt '<last>'`. Fast at any depth, and nothing slips while data moves.
    #[default]
    Keyset,
    /// By `@odata.nextLink`, which is an offset.
    NextLink,
}

/// Property names of the on-hand entity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldNames {
    pub legal_entity: String,
    pub item_number: String,
    pub configuration: String,
    pub size: String,
    pub color: String,
    pub style: String,
    pub version: String,
    pub site: String,
    pub warehouse: String,
    pub available_on_hand: String,
    pub on_hand: String,
    pub reserved: String,
    pub ordered: String,
    pub total_available: String,
}

impl Default for FieldNames {
    fn default() -> Self {
        let name = str::to_owned;
        Self {
            legal_entity: name("dataAreaId"),
            item_number: name("ItemNumber"),
            configuration: name("ProductConfigurationId"),
            size: name("ProductSizeId"),
            color: name("ProductColorId"),
            style: name("ProductStyleId"),
            version: name("ProductVersionId"),
            site: name("InventorySiteId"),
            warehouse: name("InventoryWarehouseId"),
            available_on_hand: name("AvailableOnHandQuantity"),
            on_hand: name("OnHandQuantity"),
            reserved: name("ReservedOnHandQuantity"),
            ordered: name("OrderedQuantity"),
            total_available: name("TotalAvailableQuantity"),
        }
    }
}

fn fifteen_minutes() -> Duration {
    Duration::from_mins(15)
}

fn sixteen() -> u32 {
    16
}

fn two_thousand() -> usize {
    2_000
}

fn item_number() -> SkuMapping {
    SkuMapping::ItemNumber
}

fn on_hand_entity() -> String {
    TenantSettings::USUAL_ENTITIES.0.to_owned()
}

fn variants_entity() -> String {
    TenantSettings::USUAL_ENTITIES.1.to_owned()
}

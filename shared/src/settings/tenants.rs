//! `[[tenants]]`: what is read from which D365.

use super::forms::{address, duration, list, number};
use super::{EntraSettings, cross_checks};
use crate::stock::{LegalEntity, SkuMapping, TenantId, WarehouseId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
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
    #[serde(deserialize_with = "list::deserialize")]
    pub warehouses: Vec<WarehouseId>,
    /// Time from one snapshot's start to the next.
    #[serde(default = "fifteen_minutes", with = "duration")]
    pub refresh_interval: Duration,
    /// How SKUs are made.
    #[serde(default = "item_number")]
    pub sku_mapping: SkuMapping,
    /// Which of D365's quantities is "available".
    #[serde(default)]
    pub quantity: QuantityField,
    /// How pages follow each other.
    #[serde(default)]
    pub paging: PagingMode,
    /// The on-hand entity set.
    #[serde(default = "on_hand_entity")]
    pub entity: String,
    /// The entity set of released product variants.
    #[serde(default = "variants_entity")]
    pub variants_entity: String,
    /// The entity set of warehouses, for checking the configured ones.
    #[serde(default = "warehouses_entity")]
    pub warehouses_entity: String,
    /// How long a list of variants is good.
    #[serde(default = "one_hour", with = "duration")]
    pub variants_max_age: Duration,
    /// The most calls of one app registration at once, over all replicas.
    #[serde(default = "sixteen", deserialize_with = "number::deserialize")]
    pub calls_at_once: u32,
    /// How many of them prefetching leaves to live look-ups that use the same registration.
    #[serde(default = "four", deserialize_with = "number::deserialize")]
    pub calls_kept_for_live: u32,
    /// Longest address of a look-up: longer ones ask for more items at once. 1,000 to 16,000.
    #[serde(default = "two_thousand", deserialize_with = "number::deserialize")]
    pub longest_address: usize,
    /// Property names, where a customised entity differs.
    #[serde(default)]
    pub fields: FieldNames,
    /// How a token is got.
    pub entra: EntraSettings,
}

impl TenantSettings {
    /// The entity sets of on-hand stock and of variants, unless others are named.
    pub(crate) const USUAL_ENTITIES: (&str, &str) =
        ("WarehousesOnHandV2", "ReleasedProductVariantsV2");

    /// Settings that were published by another process, with this process' own sign-in; checked
    /// like those of a file.
    pub fn from_published(
        mut published: serde_json::Value,
        entra: &EntraSettings,
    ) -> Result<Self, String> {
        let sign_in = entra.clone();
        if let Some(fields) = published.as_object_mut() {
            // The section is required; its real content is put in below, secrets and all.
            fields.insert("entra".to_owned(), serde_json::json!({ "tenant_id": "" }));
        }
        let mut tenant: Self =
            serde_path_to_error::deserialize(published).map_err(|cause| cause.to_string())?;
        tenant.entra = sign_in;
        cross_checks::check_tenant("published", &tenant).map_err(|cause| cause.to_string())?;
        Ok(tenant)
    }
}

/// Which of D365's quantities is "available".
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

/// How pages follow each other.
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
#[expect(
    missing_docs,
    reason = "each field is named after the default property it holds"
)]
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

fn one_hour() -> Duration {
    Duration::from_hours(1)
}

fn sixteen() -> u32 {
    16
}

fn four() -> u32 {
    4
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

fn warehouses_entity() -> String {
    "Warehouses".to_owned()
}

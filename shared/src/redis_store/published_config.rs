//! What a worker publishes about its tenants for the API. Never a secret.
//!
//! Anybody who may write to Redis may have written it: of a tenant's hash only [`FIELDS`] are read.
//! Files, authorities and credentials are the reader's own.

use super::error::StoreError;
use super::store::StockStore;
use crate::settings::{
    EntraSettings, FieldNames, LineMeaning, MeaningParts, QuantityField, TenantSettings,
};
use crate::stock::{LegalEntity, SkuMapping, TenantId, WarehouseId};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;
use toml::{Table, Value};
use url::Url;

/// A tenant as a prefetcher published it: the settings without sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedTenant {
    pub id: TenantId,
    /// Field by field, as `redis-cli HGETALL` shows it.
    fields: HashMap<String, String>,
    /// Whether its keys are spelled by today's rule; an earlier version's may not be.
    pub is_respelled: bool,
}

/// The fields of a published tenant; others count for nothing.
const FIELDS: [&str; 10] = [
    "environment_url",
    "legal_entity",
    "warehouses",
    "refresh_interval",
    "sku_mapping",
    "quantity",
    "entity",
    "variants_entity",
    "calls_at_once",
    "fields",
];
const STRUCTURED: [&str; 2] = ["warehouses", "fields"];
/// Longest value of a field, in bytes: a thousand warehouses.
const LONGEST_VALUE: usize = 64 * 1024;
/// Tenants that are read.
const MOST_TENANTS: usize = 256;
/// Members of the set of tenants; one with more is none of ours.
const MOST_MEMBERS: usize = 100_000;

impl PublishedTenant {
    /// What of a tenant's settings is published.
    pub fn of(tenant: &TenantSettings) -> Self {
        let warehouses: Vec<&str> = tenant.warehouses.iter().map(WarehouseId::as_str).collect();
        let refresh_interval = format!("{}ms", tenant.refresh_interval.as_millis());
        let values = [
            tenant.environment_url.to_string(),
            tenant.legal_entity.to_string(),
            json!(warehouses).to_string(),
            refresh_interval,
            tenant.sku_mapping.to_string(),
            tenant.quantity.as_str().to_owned(),
            tenant.entity.clone(),
            tenant.variants_entity.clone(),
            tenant.calls_at_once.to_string(),
            json!(tenant.fields).to_string(),
        ];
        Self {
            id: tenant.id.clone(),
            fields: FIELDS.map(str::to_owned).into_iter().zip(values).collect(),
            is_respelled: true,
        }
    }

    /// The tenant's settings with the reader's own sign-in. What stands in Redis is checked like
    /// what stands in a file.
    pub fn with_sign_in(&self, entra: &EntraSettings) -> Result<TenantSettings, String> {
        let mut tree = Table::new();
        tree.insert("id".to_owned(), Value::String(self.id.to_string()));
        for (name, text) in &self.fields {
            let value = if STRUCTURED.contains(&name.as_str()) {
                serde_json::from_str(text).map_err(|cause| format!("{name}: {cause}"))?
            } else {
                Value::String(text.clone())
            };
            tree.insert(name.clone(), value);
        }
        TenantSettings::from_published(tree, entra).map_err(|cause| cause.to_string())
    }

    pub fn sku_mapping(&self) -> Option<SkuMapping> {
        self.fields
            .get("sku_mapping")
            .and_then(|text| Value::String(text.clone()).try_into().ok())
    }

    pub fn warehouses(&self) -> Vec<WarehouseId> {
        let names = self.fields.get("warehouses").map_or("[]", String::as_str);
        let names: Vec<String> = serde_json::from_str(names).unwrap_or_default();
        let mut warehouses: Vec<WarehouseId> = Vec::new();
        for warehouse in names
            .into_iter()
            .filter_map(|name| WarehouseId::parse(name).ok())
        {
            if !warehouses.contains(&warehouse) {
                warehouses.push(warehouse);
            }
        }
        warehouses
    }

    pub fn legal_entity(&self) -> Option<&str> {
        self.fields.get("legal_entity").map(String::as_str)
    }

    /// What a line read with these settings means; none if they cannot be read.
    pub fn line_meaning(&self) -> Option<LineMeaning> {
        let text = |name: &str| self.fields.get(name).map(String::as_str);
        let fields = match text("fields") {
            Some(names) => serde_json::from_str(names).ok()?,
            None => FieldNames::default(),
        };
        let url = match text("environment_url") {
            Some(url) => Some(Url::parse(url).ok()?),
            None => None,
        };
        let usual = TenantSettings::USUAL_ENTITIES;
        Some(LineMeaning::of(&MeaningParts {
            environment_url: url.as_ref(),
            legal_entity: &LegalEntity::parse(self.legal_entity()?).ok()?,
            entity: text("entity").unwrap_or(usual.0),
            quantity: text("quantity").unwrap_or(QuantityField::default().as_str()),
            sku_mapping: &match text("sku_mapping") {
                Some(_) => self.sku_mapping()?,
                None => SkuMapping::ItemNumber,
            },
            variants_entity: text("variants_entity").unwrap_or(usual.1),
            fields: &fields,
        }))
    }

    pub fn refresh_interval(&self) -> Option<Duration> {
        humantime::parse_duration(self.fields.get("refresh_interval")?).ok()
    }
}

impl StockStore {
    pub async fn publish(&self, tenant: &PublishedTenant) -> Result<(), StoreError> {
        let key = self.keys().config(&tenant.id);
        let mut pipeline = redis::pipe();
        pipeline
            .atomic()
            .cmd("DEL")
            .arg(&key)
            .ignore()
            .cmd("HSET")
            .arg(&key);
        for (name, value) in &tenant.fields {
            pipeline.arg(name).arg(value);
        }
        pipeline.ignore();
        pipeline
            .cmd("SADD")
            .arg(self.keys().tenants())
            .arg(tenant.id.as_str())
            .ignore();
        self.ask_all(&pipeline).await
    }

    /// A tenant as it was published last; none if it never was.
    pub async fn published_tenant(
        &self,
        id: &TenantId,
    ) -> Result<Option<PublishedTenant>, StoreError> {
        let key = self.keys().config(id);
        let records = self.short_fields(&[key], &FIELDS, LONGEST_VALUE).await?;
        let fields: HashMap<String, String> = records
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| Some((name.to_owned(), String::from_utf8(value).ok()?)))
            .collect();
        if fields.is_empty() {
            return Ok(None);
        }
        Ok(Some(PublishedTenant {
            is_respelled: self.is_respelled(id).await?,
            id: id.clone(),
            fields,
        }))
    }

    pub async fn published_tenants(&self) -> Result<Vec<PublishedTenant>, StoreError> {
        let set = self.keys().tenants();
        let members = match self.ask::<usize>(redis::cmd("SCARD").arg(&set)).await {
            Err(error) if error.is_no_right() => 0,
            members => members?,
        };
        if members > MOST_MEMBERS {
            return Err(StoreError::Misbehaved {
                what: "the published tenants",
            });
        }
        let ids: Vec<Vec<u8>> = self.ask(redis::cmd("SMEMBERS").arg(&set)).await?;
        let mut ids: Vec<TenantId> = ids
            .into_iter()
            .filter_map(|id| TenantId::parse(String::from_utf8(id).ok()?).ok())
            .collect();
        ids.sort();
        ids.truncate(MOST_TENANTS);
        let mut tenants = Vec::new();
        for id in ids {
            match self.published_tenant(&id).await {
                Ok(tenant) => tenants.extend(tenant),
                // One bad record does not hide the others.
                Err(error) if error.is_about_this_key() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(tenants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_published_is_what_is_read() {
        let tenant: TenantSettings = toml::from_str(
            "id = 'contoso'\nenvironment_url = 'https://contoso.operations.dynamics.com'\n\
             legal_entity = 'usmf'\nwarehouses = ['24']\n[entra]\ntenant_id = 't'",
        )
        .unwrap();
        let published = PublishedTenant::of(&tenant).fields;
        let published: BTreeSet<&str> = published.keys().map(String::as_str).collect();
        assert_eq!(published, FIELDS.into());
    }

    #[test]
    fn what_is_published_means_what_the_settings_mean() {
        for more in [
            json!({}),
            json!({ "fields": { "site": "Site" }, "quantity": "on-hand" }),
            json!({ "sku_mapping": "variants", "variants_entity": "Variants" }),
            json!({ "sku_mapping": "{ItemNumber}-{ProductSizeId}", "entity": "OnHand" }),
        ] {
            let mut tree = json!({
                "id": "contoso",
                "environment_url": "https://contoso.operations.dynamics.com",
                "legal_entity": "USMF",
                "warehouses": ["24"],
                "entra": { "tenant_id": "t", "client_id": "c", "client_secret": "s" },
            });
            for (name, value) in more.as_object().unwrap() {
                tree[name] = value.clone();
            }
            let settings: TenantSettings = serde_json::from_value(tree).unwrap();
            let published = PublishedTenant::of(&settings);
            assert_eq!(
                published.line_meaning(),
                Some(settings.line_meaning()),
                "{more}"
            );
        }
    }
}

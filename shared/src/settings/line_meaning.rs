//! What gives a stored line its meaning: the settings that decide which numbers it has and what its SKU
//! stands for.

use super::tenants::{FieldNames, TenantSettings};
use crate::stock::{Fingerprint, LegalEntity, SkuMapping};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use url::Url;

/// Settings and values. Lines read with one meaning prove nothing under another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineMeaning(Vec<(String, String)>);

/// The settings it is made of, as they stand in the file.
pub(crate) struct MeaningParts<'a> {
    pub(crate) environment_url: Option<&'a Url>,
    pub(crate) legal_entity: &'a LegalEntity,
    pub(crate) entity: &'a str,
    pub(crate) quantity: &'a str,
    pub(crate) sku_mapping: &'a SkuMapping,
    pub(crate) variants_entity: &'a str,
    pub(crate) fields: &'a FieldNames,
}

impl LineMeaning {
    /// Of two settings that mean the same the parts are the same. Names of fields count only where
    /// they are not the usual ones, so that a name that is added one day changes nothing.
    pub(crate) fn of(parts: &MeaningParts<'_>) -> Self {
        let url = parts.environment_url;
        let mut meaning = vec![
            (
                "environment_url".to_owned(),
                url.map_or_else(String::new, |url| url.origin().ascii_serialization()),
            ),
            (
                "legal_entity".to_owned(),
                parts.legal_entity.as_str().to_owned(),
            ),
            ("entity".to_owned(), parts.entity.to_owned()),
            ("quantity".to_owned(), parts.quantity.to_owned()),
            ("sku_mapping".to_owned(), parts.sku_mapping.to_string()),
        ];
        if *parts.sku_mapping == SkuMapping::Variants {
            let entity = parts.variants_entity.to_owned();
            meaning.push(("variants_entity".to_owned(), entity));
        }
        let usual = names_of(&FieldNames::default());
        for (field, name) in names_of(parts.fields) {
            if usual.get(&field) != Some(&name) {
                let name = name.as_str().unwrap_or_default().to_owned();
                meaning.push((format!("fields.{field}"), name));
            }
        }
        meaning.sort_unstable();
        Self(meaning)
    }

    /// Stands for it in Redis.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::digest(json!(self.0).to_string());
        let mut begin = [0; 8];
        begin.copy_from_slice(&digest[..8]);
        Fingerprint::of_bytes(begin)
    }

    /// The settings in which another one differs.
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let is_common = |part: &(String, String)| self.0.contains(part) && other.0.contains(part);
        let mut names: Vec<String> = (self.0.iter().chain(&other.0))
            .filter(|part| !is_common(part))
            .map(|(name, _)| name.clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn names_of(fields: &FieldNames) -> Map<String, Value> {
    match json!(fields) {
        Value::Object(names) => names,
        _ => Map::new(),
    }
}

impl TenantSettings {
    /// What a line read with these settings means.
    pub fn line_meaning(&self) -> LineMeaning {
        LineMeaning::of(&MeaningParts {
            environment_url: Some(&self.environment_url),
            legal_entity: &self.legal_entity,
            entity: &self.entity,
            quantity: self.quantity.as_str(),
            sku_mapping: &self.sku_mapping,
            variants_entity: &self.variants_entity,
            fields: &self.fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tenant(more: &Value) -> TenantSettings {
        let mut tree = json!({
            "id": "contoso",
            "environment_url": "https://contoso.operations.dynamics.com",
            "legal_entity": "usmf",
            "warehouses": ["24"],
            "entra": { "tenant_id": "t", "client_id": "c", "client_secret": "s" },
        });
        for (name, value) in more.as_object().unwrap() {
            tree[name] = value.clone();
        }
        serde_json::from_value(tree).unwrap()
    }

    #[test]
    fn it_changes_with_what_a_line_means_and_with_nothing_else() {
        let usual = tenant(&json!({})).line_meaning();
        for (more, differing) in [
            (json!({}), vec![]),
            (
                json!({ "warehouses": ["11", "24"], "refresh_interval": "1m" }),
                vec![],
            ),
            (json!({ "paging": "next-link", "calls_at_once": 8 }), vec![]),
            (json!({ "legal_entity": "USMF" }), vec![]),
            (
                json!({ "environment_url": "https://CONTOSO.operations.dynamics.com:443/" }),
                vec![],
            ),
            (json!({ "fields": {} }), vec![]),
            (json!({ "variants_entity": "Unused" }), vec![]),
            (json!({ "legal_entity": "demf" }), vec!["legal_entity"]),
            (
                json!({ "environment_url": "https://other.operations.dynamics.com" }),
                vec!["environment_url"],
            ),
            (json!({ "entity": "OtherOnHand" }), vec!["entity"]),
            (json!({ "quantity": "on-hand" }), vec!["quantity"]),
            (json!({ "fields": { "site": "Site" } }), vec!["fields.site"]),
            (
                json!({ "sku_mapping": "{ItemNumber}-{ProductColorId}" }),
                vec!["sku_mapping"],
            ),
            (
                json!({ "sku_mapping": "variants", "quantity": "on-hand" }),
                vec!["quantity", "sku_mapping", "variants_entity"],
            ),
        ] {
            let other = tenant(&more).line_meaning();
            assert_eq!(usual.differing(&other), differing, "{more}");
            assert_eq!(
                usual.fingerprint() == other.fingerprint(),
                differing.is_empty(),
                "{more}"
            );
        }
    }

    /// It stands in Redis: another one after an upgrade would make every shop cold.
    #[test]
    fn its_fingerprint_is_the_same_in_every_version() {
        let usual = tenant(&json!({})).line_meaning().fingerprint();
        assert_eq!(usual.to_string(), "ea55db5cc2803a6b");
    }
}

//! Entity sets and property names, as configured: environments differ in both.

use crate::d365::error::D365Error;
use crate::settings::{FieldNames, QuantityField, TenantSettings};

/// The on-hand entity of a tenant.
#[derive(Debug, Clone)]
pub(super) struct OnHandEntity {
    /// Entity set, as it stands in the address.
    pub(super) set: String,
    /// Property names. A dimension or the site may be empty: the entity has no such property
    /// (older versions lack the product version) and each row counts as empty there.
    pub(super) fields: FieldNames,
    /// The property that is "available".
    pub(super) available: String,
}

impl OnHandEntity {
    /// Takes the names from the settings and checks that each can stand in an address.
    pub(super) fn of(tenant: &TenantSettings) -> Result<Self, D365Error> {
        let fields = tenant.fields.clone();
        let available = match tenant.quantity {
            QuantityField::AvailableOnHand => &fields.available_on_hand,
            QuantityField::OnHand => &fields.on_hand,
            QuantityField::TotalAvailable => &fields.total_available,
        }
        .clone();
        for (key, name, may_be_empty) in [
            ("legal_entity", &fields.legal_entity, false),
            ("item_number", &fields.item_number, false),
            ("warehouse", &fields.warehouse, false),
            ("on_hand", &fields.on_hand, false),
            ("reserved", &fields.reserved, false),
            ("ordered", &fields.ordered, false),
            ("(the one named by quantity)", &available, false),
            ("configuration", &fields.configuration, true),
            ("size", &fields.size, true),
            ("color", &fields.color, true),
            ("style", &fields.style, true),
            ("version", &fields.version, true),
            ("site", &fields.site, true),
        ] {
            if !(may_be_empty && name.is_empty()) {
                check_name(&format!("fields.{key}"), name)?;
            }
        }
        Ok(Self {
            set: checked_set("entity", &tenant.entity)?,
            fields,
            available,
        })
    }

    /// The key in a fixed order, so that pages neither repeat nor drop rows. The company is left
    /// out: the filter holds it to one value.
    pub(super) fn order(&self) -> String {
        joined(self.key())
    }

    /// What is needed of a row: its key, so that it can be checked against the question, and the
    /// quantities. A whole row is several times as long.
    pub(super) fn select(&self) -> String {
        let fields = &self.fields;
        let quantities = [
            &self.available,
            &fields.on_hand,
            &fields.reserved,
            &fields.ordered,
        ];
        let company = [&fields.legal_entity];
        joined(company.into_iter().chain(self.key()).chain(quantities))
    }

    fn key(&self) -> [&String; 8] {
        let fields = &self.fields;
        [
            &fields.item_number,
            &fields.configuration,
            &fields.color,
            &fields.size,
            &fields.style,
            &fields.version,
            &fields.site,
            &fields.warehouse,
        ]
    }
}

/// Joins names with commas, each once, empty ones left out.
fn joined<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let mut once: Vec<&str> = Vec::new();
    for name in names {
        if !name.is_empty() && !once.contains(&name.as_str()) {
            once.push(name);
        }
    }
    once.join(",")
}

/// An entity set's name from the settings, if it can stand in an address.
pub(super) fn checked_set(key: &str, name: &str) -> Result<String, D365Error> {
    check_name(key, name).map(|()| name.to_owned())
}

/// `OData`'s simple identifiers: a letter or `_`, then letters, digits or `_`, at most 128.
fn check_name(key: &str, name: &str) -> Result<(), D365Error> {
    let is_simple = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && (1..=128).contains(&name.len());
    if is_simple {
        Ok(())
    } else {
        Err(D365Error::Setup {
            problem: format!(
                "{key} is {:?}; an entity set or property name has letters, digits and _ only",
                name.chars().take(64).collect::<String>()
            ),
        })
    }
}

#[cfg(test)]
impl Default for OnHandEntity {
    fn default() -> Self {
        let fields = FieldNames::default();
        Self {
            set: "WarehousesOnHandV2".to_owned(),
            available: fields.available_on_hand.clone(),
            fields,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_bend_an_address_is_refused_and_named() {
        let long = "A".repeat(129);
        for name in ["", "A/B", "A?x", "A B", "1A", "Ä", "A&$top=1", "..", &long] {
            let refusal = checked_set("entity", name).unwrap_err().to_string();
            assert!(refusal.contains("entity is"), "{refusal}");
        }
        for name in ["WarehousesOnHandV2", "_custom_1"] {
            assert_eq!(checked_set("entity", name).unwrap(), name);
        }
    }
}

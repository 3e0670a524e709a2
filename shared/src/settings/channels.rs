//! `[[channels]]`: what an ICM sales channel wants.

use super::error::{Section, SettingsError};
use super::forms::{duration, quantity};
use super::tenants::check_distinct;
use crate::stock::{
    ChannelId, ChannelPolicy, LevelBands, LiveFailurePolicy, Quantity, QuantityDisplay, TenantId,
    UnknownProductPolicy, WarehouseId,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSettings {
    pub id: ChannelId,
    pub tenant: TenantId,
    #[serde(default)]
    pub warehouses: Vec<WarehouseId>,
    /// What `inStock` says for absent and unknown products.
    #[serde(default)]
    pub unknown_product: UnknownProduct,
    /// Safety stock held back per warehouse.
    #[serde(default, with = "quantity")]
    pub buffer: Quantity,
    /// Whether replies carry the number itself.
    #[serde(default = "yes")]
    pub show_quantity: bool,
    #[serde(default)]
    pub levels: LevelSettings,
    /// When D365 does not answer an order check in time.
    #[serde(default)]
    pub live_failure: LiveFailureSettings,
}

/// What `inStock` says for absent and unknown products.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownProduct {
    #[default]
    OutOfStock,
    Unspecified,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LevelSettings {
    #[serde(with = "quantity")]
    pub low: Quantity,
    #[serde(with = "quantity")]
    pub medium: Quantity,
    #[serde(with = "quantity")]
    pub high: Quantity,
}

impl Default for LevelSettings {
    fn default() -> Self {
        let LevelBands { low, medium, high } = ChannelPolicy::default().levels;
        Self { low, medium, high }
    }
}

/// What an order check does without D365's answer.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(tag = "policy", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LiveFailureSettings {
    #[default]
    Reject,
    /// Grant what a young enough cached line covers.
    AcceptIfFresh {
        #[serde(with = "duration")]
        max_age: Duration,
        /// What must stay in stock.
        #[serde(default, with = "quantity")]
        buffer: Quantity,
    },
    /// Grant whatever is ordered.
    Accept,
}

impl ChannelSettings {
    pub(super) fn check(&self, key: &str) -> Result<(), SettingsError> {
        let section = Section(key);
        check_distinct(&self.warehouses).map_err(|problem| section.error("warehouses", problem))?;
        let levels = &self.levels;
        section.require(
            levels.low <= levels.medium && levels.medium <= levels.high,
            "levels",
            "low, medium and high must rise",
        )?;
        section.require(!self.buffer.is_negative(), "buffer", "may not be negative")
    }

    pub fn policy(&self) -> ChannelPolicy {
        ChannelPolicy {
            unknown_product: match self.unknown_product {
                UnknownProduct::OutOfStock => UnknownProductPolicy::OutOfStock,
                UnknownProduct::Unspecified => UnknownProductPolicy::Unspecified,
            },
            buffer: self.buffer,
            levels: LevelBands {
                low: self.levels.low,
                medium: self.levels.medium,
                high: self.levels.high,
            },
            display: if self.show_quantity {
                QuantityDisplay::Exact
            } else {
                QuantityDisplay::Hidden
            },
            live_failure: match self.live_failure {
                LiveFailureSettings::Reject => LiveFailurePolicy::Reject,
                LiveFailureSettings::AcceptIfFresh { max_age, buffer } => {
                    LiveFailurePolicy::AcceptIfFresh { max_age, buffer }
                }
                LiveFailureSettings::Accept => LiveFailurePolicy::Accept,
            },
        }
    }
}

fn yes() -> bool {
    true
}

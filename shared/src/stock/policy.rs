//! What a channel wants done with what is known.

use crate::stock::aggregate::clamp_to_sellable;
use crate::stock::quantity::Quantity;
use crate::stock::state::StockState;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// What `inStock` says for a product that is absent or unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownProductPolicy {
    /// Not sellable, number 0.
    #[default]
    OutOfStock,
    /// Sellable, amount not told (-1 in ICM's convention).
    Unspecified,
}

/// How the number is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QuantityDisplay {
    /// The quantity itself.
    #[default]
    Exact,
    /// -1 while there is some, 0 when there is none.
    Hidden,
}

/// How much there is, coarsely; the bands are the channel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum StockLevel {
    /// Nothing to sell.
    None,
    /// From the low band's bound.
    Low,
    /// From the medium band's bound.
    Medium,
    /// From the high band's bound.
    High,
}

/// Lower bounds of the level bands, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelBands {
    /// From here on LOW.
    pub low: Quantity,
    /// From here on MEDIUM.
    pub medium: Quantity,
    /// From here on HIGH.
    pub high: Quantity,
}

impl LevelBands {
    /// The band a quantity lies in.
    pub fn level_of(&self, quantity: Quantity) -> StockLevel {
        if quantity >= self.high {
            StockLevel::High
        } else if quantity >= self.medium {
            StockLevel::Medium
        } else if quantity >= self.low {
            StockLevel::Low
        } else {
            StockLevel::None
        }
    }
}

/// What an order check does when D365 does not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveFailurePolicy {
    /// No line is granted.
    Reject,
    /// A cached line is granted if it is young enough and the quantity leaves the buffer.
    AcceptIfFresh {
        /// Oldest acceptable age of the cached line.
        max_age: Duration,
        /// What must stay in stock after granting, beyond the channel's own buffer.
        buffer: Quantity,
    },
    /// Whatever was ordered is granted.
    Accept,
}

impl LiveFailurePolicy {
    /// The word used in settings and replies.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::AcceptIfFresh { .. } => "accept-if-fresh",
            Self::Accept => "accept",
        }
    }
}

/// Everything a channel decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelPolicy {
    /// For absent and unknown products.
    pub unknown_product: UnknownProductPolicy,
    /// Safety stock held back per warehouse.
    pub buffer: Quantity,
    /// Level bands.
    pub levels: LevelBands,
    /// Whether the number is shown.
    pub display: QuantityDisplay,
    /// When D365 does not answer an order check.
    pub live_failure: LiveFailurePolicy,
}

impl ChannelPolicy {
    /// What one warehouse offers: available less the buffer, never below zero.
    ///
    /// A difference that leaves the number range counts as nothing to sell.
    pub fn sellable(&self, available: Quantity) -> Quantity {
        available
            .checked_sub(self.buffer)
            .map_or(Quantity::ZERO, clamp_to_sellable)
    }

    /// Whether a line without a number is offered all the same.
    pub fn offers_without_number(&self, state: StockState) -> bool {
        matches!(state, StockState::Absent | StockState::Unknown)
            && self.unknown_product == UnknownProductPolicy::Unspecified
    }
}

impl Default for ChannelPolicy {
    fn default() -> Self {
        Self {
            unknown_product: UnknownProductPolicy::OutOfStock,
            buffer: Quantity::ZERO,
            levels: LevelBands {
                low: Quantity::from(1),
                medium: Quantity::from(50),
                high: Quantity::from(100),
            },
            display: QuantityDisplay::Exact,
            live_failure: LiveFailurePolicy::Reject,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bands_begin_where_the_storefront_begins_them() {
        let bands = ChannelPolicy::default().levels;
        for (quantity, level) in [
            ("0", StockLevel::None),
            ("0.5", StockLevel::None),
            ("1", StockLevel::Low),
            ("49.999", StockLevel::Low),
            ("50", StockLevel::Medium),
            ("100", StockLevel::High),
        ] {
            assert_eq!(
                bands.level_of(quantity.parse().unwrap()),
                level,
                "{quantity}"
            );
        }
    }

    #[test]
    fn the_buffer_is_held_back_and_never_makes_a_debt() {
        let policy = ChannelPolicy {
            buffer: Quantity::from(5),
            ..ChannelPolicy::default()
        };
        assert_eq!(policy.sellable(Quantity::from(7)), Quantity::from(2));
        assert_eq!(policy.sellable(Quantity::from(3)), Quantity::ZERO);
        assert_eq!(policy.sellable(Quantity::from(-3)), Quantity::ZERO);
    }
}

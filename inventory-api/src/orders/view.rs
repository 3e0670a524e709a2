//! What callers see of an order or reservation.

use super::record::{OrderState, Record};
use crate::stock::number::{Instant, Number};
use serde::Serialize;
use shared::redis_store::HeldSku;
use shared::stock::{HoldOwner, Quantity};
use utoipa::ToSchema;

/// How it stands: `held` its stock is held; `confirmed` the ERP has it, the hold ends with the first
/// number read after that; `released` it is over.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OrderStateWord {
    /// Its stock is held.
    Held,
    /// The ERP has it.
    Confirmed,
    /// It is over.
    Released,
}

/// One line of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HeldLine {
    /// The SKU.
    pub sku: String,
    /// Where it is held.
    pub warehouse_id: String,
    /// How much was granted.
    pub granted: Number,
    /// How much of it stands in the cache as held; it stops counting with the first number from
    /// after the confirmation, or at `until`.
    pub held: Number,
}

/// An order or a reservation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OrderView {
    /// Its id.
    pub id: String,
    /// How it stands.
    pub state: OrderStateWord,
    /// When it was placed.
    #[schema(required = true)]
    pub placed: Option<Instant>,
    /// Until when it holds stock at the latest.
    #[schema(required = true)]
    pub until: Option<Instant>,
    /// When the ERP confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub confirmed: Option<Instant>,
    /// Its lines, one per SKU and warehouse.
    pub data: Vec<HeldLine>,
}

impl OrderView {
    pub(super) fn of(owner: &HoldOwner, record: &Record, held: &[HeldSku]) -> Self {
        let still_held = |sku: &str, warehouse: &str| {
            held.iter()
                .filter(|held| held.sku.is_named_by(sku))
                .flat_map(|held| held.holds.iter().flatten())
                .filter(|hold| hold.owner == *owner && hold.warehouse.is_named_by(warehouse))
                .map(|hold| hold.quantity)
                .next()
                .unwrap_or_default()
        };
        Self {
            id: owner.id().to_string(),
            state: match record.state {
                OrderState::Held => OrderStateWord::Held,
                OrderState::Confirmed => OrderStateWord::Confirmed,
                OrderState::Released => OrderStateWord::Released,
            },
            placed: record.placed().map(Instant),
            until: record.until().map(Instant),
            confirmed: record.confirmed().map(Instant),
            data: record
                .lines
                .iter()
                .map(|line| HeldLine {
                    sku: line.sku.clone(),
                    warehouse_id: line.warehouse.clone(),
                    granted: Number(Quantity::parse(&line.quantity).unwrap_or_default()),
                    held: Number(still_held(&line.sku, &line.warehouse)),
                })
                .collect(),
        }
    }
}

/// What a rejection released of one SKU.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RejectedLine {
    /// The SKU.
    pub sku: String,
    /// How much was to be released.
    pub requested: Number,
    /// How much was: reservations hold no more.
    pub released: Number,
}

/// What a rejection released.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RejectionReply {
    /// One entry per distinct SKU, in the order of first mention.
    #[schema(min_items = 1)]
    pub data: Vec<RejectedLine>,
}

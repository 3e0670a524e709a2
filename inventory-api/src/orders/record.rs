//! What Redis keeps of an order or reservation, as JSON.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::redis_store::OrderText;
use shared::stock::{AsOf, Hold, HoldOwner, Quantity, Sku, WarehouseId};
use std::time::Duration;

/// The record of an order outlives its hold by this, so that a repeated submission is recognised.
const ORDER_KEPT: Duration = Duration::from_hours(24);
/// That of a reservation by this: once it is over nothing can be done with it.
const RESERVATION_KEPT: Duration = Duration::from_mins(10);

/// How long a record is kept that holds stock for so long yet.
pub(super) fn kept(owner: &HoldOwner, held: Duration) -> Duration {
    held.saturating_add(match owner {
        HoldOwner::Order(_) => ORDER_KEPT,
        HoldOwner::Reservation(_) | HoldOwner::Several(_) => RESERVATION_KEPT,
    })
}

/// How an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OrderState {
    /// Its stock is held.
    Held,
    /// The ERP has it.
    Confirmed,
    /// It was cancelled, or became an order.
    Released,
}

/// One line as it was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RecordLine {
    pub(super) sku: String,
    pub(super) warehouse: String,
    pub(super) quantity: String,
}

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) state: OrderState,
    placed: String,
    until: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    confirmed: Option<String>,
    /// The channel it came through, if it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) channel: Option<String>,
    /// Tells the same question from another one.
    pub(super) digest: String,
    pub(super) lines: Vec<RecordLine>,
}

impl Record {
    /// A new hold.
    pub(super) fn held(
        (digest, channel): (&str, Option<&str>),
        placed: AsOf,
        until: AsOf,
        granted: &[(Sku, WarehouseId, Quantity)],
    ) -> Self {
        Self {
            state: OrderState::Held,
            placed: placed.to_string(),
            until: until.to_string(),
            confirmed: None,
            channel: channel.map(str::to_owned),
            digest: digest.to_owned(),
            lines: granted
                .iter()
                .map(|(sku, warehouse, quantity)| RecordLine {
                    sku: sku.to_string(),
                    warehouse: warehouse.to_string(),
                    quantity: quantity.to_string(),
                })
                .collect(),
        }
    }

    /// The one that was read from Redis; none if there is none.
    pub(super) fn of(text: &OrderText) -> Option<Self> {
        Self::read(text.text.as_deref()?)
    }

    /// Reads one; none if the text is not a record.
    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Its text.
    pub(super) fn text(&self) -> String {
        // Plain fields of text: writing them cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// When it was placed.
    pub(super) fn placed(&self) -> Option<AsOf> {
        self.placed.parse().ok()
    }

    /// Until when it is held at the latest.
    pub(super) fn until(&self) -> Option<AsOf> {
        self.until.parse().ok()
    }

    /// When the ERP confirmed it.
    pub(super) fn confirmed(&self) -> Option<AsOf> {
        self.confirmed.as_ref()?.parse().ok()
    }

    /// Notes the confirmation; it holds until then at least.
    pub(super) fn confirm(&mut self, at: AsOf, until: AsOf) {
        self.state = OrderState::Confirmed;
        self.confirmed = Some(at.to_string());
        if self.until().is_none_or(|before| before < until) {
            self.until = until.to_string();
        }
    }

    /// What it holds: nothing once it was released.
    pub(super) fn holds(&self, owner: &HoldOwner) -> Vec<(Sku, Hold)> {
        let (Some(placed), Some(until)) = (self.placed(), self.until()) else {
            return Vec::new();
        };
        if self.state == OrderState::Released {
            return Vec::new();
        }
        let hold = |line: &RecordLine| {
            let hold = Hold {
                owner: owner.clone(),
                warehouse: WarehouseId::parse(line.warehouse.as_str()).ok()?,
                quantity: Quantity::parse(&line.quantity).ok()?,
                placed,
                until,
                confirmed: self.confirmed(),
            };
            Some((Sku::parse(line.sku.as_str()).ok()?, hold))
        };
        self.lines.iter().filter_map(hold).collect()
    }

    /// It is over. What it was about is of no use any more, and would be the largest part of it.
    pub(super) fn release(&mut self) {
        self.state = OrderState::Released;
        self.lines.clear();
    }

    /// The SKUs of its lines, each once.
    pub(super) fn skus(&self) -> Vec<Sku> {
        let mut skus: Vec<Sku> = self
            .lines
            .iter()
            .filter_map(|line| Sku::parse(line.sku.as_str()).ok())
            .collect();
        skus.sort();
        skus.dedup();
        skus
    }
}

/// Tells questions apart: SKUs with their quantities in any order, and the warehouses in theirs.
pub(super) fn digest_of<'a>(
    skus: impl Iterator<Item = &'a str>,
    requested: &[Quantity],
    warehouses: impl Iterator<Item = &'a str>,
) -> String {
    let mut lines: Vec<String> = skus
        .zip(requested)
        .map(|(sku, quantity)| format!("{quantity}\n{sku}\n"))
        .collect();
    lines.sort();
    let mut hasher = Sha256::new();
    for line in lines {
        hasher.update(line);
    }
    for warehouse in warehouses {
        hasher.update(format!("\n{warehouse}\n"));
    }
    let hash = hasher.finalize();
    let mut first = [0; 16];
    first.copy_from_slice(&hash[..16]);
    format!("{:032x}", u128::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::stock::HoldId;

    fn digest(lines: &[(&str, i64)], warehouses: &[&str]) -> String {
        let requested: Vec<Quantity> = lines.iter().map(|(_, of)| Quantity::from(*of)).collect();
        let skus = lines.iter().map(|(sku, _)| *sku);
        digest_of(skus, &requested, warehouses.iter().copied())
    }

    #[test]
    fn the_same_question_has_the_same_digest_and_no_other_has() {
        let one = digest(&[("A", 1), ("B", 2)], &["11"]);
        assert_eq!(one, digest(&[("B", 2), ("A", 1)], &["11"]));
        for other in [
            digest(&[("A", 2), ("B", 1)], &["11"]),
            digest(&[("A", 1)], &["11"]),
            digest(&[("A", 1), ("B", 2)], &["24"]),
            digest(&[("A", 1), ("B", 2)], &["11", "24"]),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let at = |ms| AsOf::from_unix_ms(ms).unwrap();
        let line = (
            Sku::parse("A|\"").unwrap(),
            WarehouseId::parse("11").unwrap(),
            "1.5".parse().unwrap(),
        );
        let mut record = Record::held(("d", Some("shop")), at(1_000), at(2_000), &[line]);
        assert_eq!(Record::read(&record.text()).unwrap(), record);
        record.confirm(at(1_500), at(1_900));
        let read = Record::read(&record.text()).unwrap();
        assert_eq!(
            (read.confirmed(), read.until()),
            (Some(at(1_500)), Some(at(2_000)))
        );
        let owner = HoldOwner::Order(HoldId::parse("O-1").unwrap());
        let holds = read.holds(&owner);
        assert_eq!((&holds[0].1.owner, holds[0].1.until), (&owner, at(2_000)));
        record.confirm(at(1_500), at(2_500));
        assert_eq!(record.until(), Some(at(2_500)));
        record.release();
        assert_eq!(record.holds(&owner), []);
        assert!(record.text().len() < 200, "{}", record.text());
        assert_eq!(Record::read("{}"), None);
    }
}

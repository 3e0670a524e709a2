//! D365's number of one SKU: what it is, and what it was when.

use super::house::{COMPANY, HouseError, WAREHOUSE};
use crate::oracle::micros;
use d365_simulator::{Simulator, StockChange, StockKey, UtcMillis};
use std::sync::Arc;

/// A number and since when it is true, in ms since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) since: i64,
    pub(super) number: i64,
}

/// The stock of one SKU in the simulator, which only its history changes.
#[derive(Debug)]
pub(super) struct Erp {
    simulator: Arc<Simulator>,
    key: StockKey,
    on_hand: i64,
    reserved: i64,
    steps: Vec<Step>,
}

impl Erp {
    /// The stock the world began with.
    pub(super) fn new(simulator: Arc<Simulator>, sku: &str, on_hand: i64) -> Self {
        Self {
            simulator,
            key: StockKey::of(COMPANY, sku, WAREHOUSE),
            on_hand,
            reserved: 0,
            steps: vec![Step {
                since: UtcMillis::BEGINNING.unix_millis(),
                number: on_hand,
            }],
        }
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn number(&self) -> i64 {
        self.on_hand - self.reserved
    }

    /// Goods come or go.
    pub(super) fn move_goods(&mut self, quantity: i64) -> Result<usize, HouseError> {
        self.on_hand += quantity;
        self.put()
    }

    /// Goods are promised to a sales order.
    pub(super) fn reserve(&mut self, quantity: i64) -> Result<usize, HouseError> {
        self.reserved += quantity;
        self.put()
    }

    /// Gives back the step from which on it is true.
    fn put(&mut self) -> Result<usize, HouseError> {
        let change = StockChange {
            on_hand: Some(self.on_hand.to_string()),
            reserved: Some(self.reserved.to_string()),
            ..StockChange::default()
        };
        let since = self.simulator.put_stock(&self.key, &change)?.unix_millis();
        let number = self.number();
        self.steps.push(Step { since, number });
        Ok(self.steps.len() - 1)
    }

    /// Whether the simulator's truth journal says the same.
    pub(super) fn agrees_with_journal(&self) -> Result<bool, HouseError> {
        let item = &self.key.item;
        let journal = self.simulator.journal(COMPANY, item, Some(WAREHOUSE))?;
        let told = journal.iter().map(|entry| {
            let available = entry.line.as_ref().map(|line| micros(&line.available));
            (entry.at.unix_millis(), available)
        });
        let known = self.steps.iter();
        Ok(told.eq(known.map(|step| (step.since, Some(step.number * 1_000_000)))))
    }
}

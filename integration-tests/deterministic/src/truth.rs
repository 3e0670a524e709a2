//! D365 as it truly is: every item's history, and the pages it would send at an instant.

use shared::d365::PageStart;
use shared::stock::{
    IdError, ItemNumber, OnHandRow, ProductDimensions, Quantities, Quantity, WarehouseId,
};
use std::collections::BTreeMap;

/// An item's stock from an instant on; none while it has no row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Since {
    from_ms: i64,
    /// The amount is a number of its own for every change, so that a number tells its time.
    amount: Option<i64>,
}

/// What was there when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Truth {
    warehouses: Vec<WarehouseId>,
    items: Vec<ItemNumber>,
    histories: BTreeMap<(usize, usize), Vec<Since>>,
    latest_amount: i64,
}

impl Truth {
    /// Empty warehouses.
    pub fn of(warehouses: usize, items: usize) -> Result<Self, IdError> {
        Ok(Self {
            warehouses: (1..=warehouses)
                .map(|n| WarehouseId::parse(format!("W{n}")))
                .collect::<Result<_, _>>()?,
            items: (1..=items)
                .map(|n| ItemNumber::parse(format!("I{n:02}")))
                .collect::<Result<_, _>>()?,
            ..Self::default()
        })
    }

    /// The warehouses.
    pub fn warehouses(&self) -> &[WarehouseId] {
        &self.warehouses
    }

    /// The items that may have stock.
    pub fn items(&self) -> &[ItemNumber] {
        &self.items
    }

    /// The place of a warehouse.
    pub fn warehouse_at(&self, name: &str) -> Option<usize> {
        self.warehouses.iter().position(|w| w.as_str() == name)
    }

    /// From now on the item has stock, of an amount never seen before.
    pub fn changes(&mut self, warehouse: usize, item: usize, from_ms: i64) {
        self.latest_amount += 1;
        let amount = Some(self.latest_amount);
        self.set(warehouse, item, Since { from_ms, amount });
    }

    /// From now on the item has no row.
    pub fn vanishes(&mut self, warehouse: usize, item: usize, from_ms: i64) {
        let amount = None;
        self.set(warehouse, item, Since { from_ms, amount });
    }

    fn set(&mut self, warehouse: usize, item: usize, since: Since) {
        self.histories
            .entry((warehouse, item))
            .or_default()
            .push(since);
    }

    /// The amount at an instant; none if there was no row.
    pub fn amount(&self, warehouse: usize, item: usize, at_ms: i64) -> Option<i64> {
        let history = self.histories.get(&(warehouse, item))?;
        let since = history.iter().rev().find(|since| since.from_ms <= at_ms)?;
        since.amount
    }

    /// How many items have stock.
    pub fn present(&self, warehouse: usize, at_ms: i64) -> usize {
        let items = 0..self.items.len();
        items
            .filter(|item| self.amount(warehouse, *item, at_ms).is_some())
            .count()
    }

    /// The rows of an item: every third item comes in two.
    pub fn rows(&self, warehouse: usize, item: usize, at_ms: i64) -> Vec<OnHandRow> {
        let Some(amount) = self.amount(warehouse, item, at_ms) else {
            return Vec::new();
        };
        let parts: &[(&str, i64)] = if item % 3 == 2 {
            &[("red", 1), ("blue", amount - 1)]
        } else {
            &[("", amount)]
        };
        let row = |(color, available): &(&str, i64)| OnHandRow {
            item: self.items[item].clone(),
            dimensions: ProductDimensions {
                color: (*color).into(),
                ..ProductDimensions::default()
            },
            site: None,
            warehouse: self.warehouses[warehouse].clone(),
            quantities: Quantities {
                available: Quantity::from(*available),
                ..Quantities::default()
            },
        };
        parts.iter().map(row).collect()
    }

    /// A page as it would be sent at an instant, in the order of items.
    pub fn page(
        &self,
        (warehouse, start, up_to): (usize, &PageStart, Option<&str>),
        page_size: usize,
        at_ms: i64,
    ) -> Vec<OnHandRow> {
        let (after, only, skip) = match start {
            PageStart::AfterItem(item) => (Some(item.as_str()), None, 0),
            PageStart::WithinItem { item, skip } => (
                None,
                Some(item.as_str()),
                usize::try_from(*skip).unwrap_or(0),
            ),
            PageStart::First | PageStart::Link(_) => (None, None, 0),
        };
        let is_asked_for = |item: &str| {
            after.is_none_or(|after| item > after)
                && only.is_none_or(|only| item == only)
                && (only.is_some() || up_to.is_none_or(|up_to| item <= up_to))
        };
        (0..self.items.len())
            .filter(|item| is_asked_for(self.items[*item].as_str()))
            .flat_map(|item| self.rows(warehouse, item, at_ms))
            .skip(skip)
            .take(page_size)
            .collect()
    }
}

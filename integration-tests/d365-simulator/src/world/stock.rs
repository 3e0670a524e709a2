//! Everything the simulated environment knows, and changing its stock: put, delete, sell.
//!
//! Every change goes into the journal. It must never forget one without saying from when on its journal
//! is complete.

use rust_decimal::Decimal;

use crate::clock::UtcMillis;
use crate::world::collation::{self, Text};
use crate::world::company::Company;
use crate::world::company::Warehouse;
use crate::world::dimensions::{DimensionTable, Dimensions, DimensionsId};
use crate::world::item::{Quantities, Row, Variant, Version};
use crate::world::random::Random;
use crate::world::stock_change::{StockChange, StockKey, WorldError};

/// Everything the simulated environment knows.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) companies: Vec<Company>,
    pub(super) dimensions: DimensionTable,
    journal_complete_since: UtcMillis,
    journal_length: usize,
    journal_limit: usize,
}

impl World {
    /// A world without companies.
    pub(crate) fn empty(journal_limit: usize) -> Self {
        Self {
            companies: Vec::new(),
            dimensions: DimensionTable::default(),
            journal_complete_since: UtcMillis::BEGINNING,
            journal_length: 0,
            journal_limit,
        }
    }

    /// Companies in the order of their ids.
    pub(crate) fn companies(&self) -> &[Company] {
        &self.companies
    }

    pub(crate) fn company(&self, id: &str) -> Option<&Company> {
        let wanted = collation::fold(id);
        self.companies
            .iter()
            .find(|company| company.id().folded() == wanted)
    }

    pub(crate) fn dimensions(&self, id: DimensionsId) -> &Dimensions {
        self.dimensions.of(id)
    }

    /// From this instant on the journal holds every change.
    pub(crate) fn journal_complete_since(&self) -> UtcMillis {
        self.journal_complete_since
    }
}

impl World {
    /// Gives a combination of an item's dimensions a number; the item is added if it is new.
    pub(crate) fn release(&mut self, key: &StockKey, number: &str) -> Result<(), WorldError> {
        key.check()?;
        let dimensions = self.dimensions.id_of(key.dimensions());
        let company = self.company_to_change(&key.company);
        let item = company.item_place(&key.item, &key.item);
        company.items[item].variants.push(Variant {
            number: Text::new(number),
            dimensions,
        });
        Ok(())
    }

    /// Sets the quantities of a row; company, item, warehouse and row are added if they are new.
    pub(crate) fn put(
        &mut self,
        key: &StockKey,
        change: &StockChange,
        now: UtcMillis,
    ) -> Result<(), WorldError> {
        // Checked before anything is added, so that a refused change leaves no trace.
        key.check()?;
        change.apply_to(&mut Quantities::default())?;
        let dimensions = self.dimensions.id_of(key.dimensions());
        let company = self.company_to_change(&key.company);
        let (warehouse, site) = company.place_of(&key.warehouse, &key.site);
        if let Some(managed) = change.managed {
            company.warehouses[usize::from(warehouse)].managed = managed;
        }
        let item = company.item_place(&key.item, change.name.as_deref().unwrap_or(&key.item));
        let rows = &mut company.items[item].rows;
        let found = rows
            .iter()
            .position(|row| row.is(dimensions, warehouse, site));
        let Some(found) = found else {
            let mut quantities = Quantities::default();
            change.apply_to(&mut quantities)?;
            let row = Row {
                dimensions,
                site,
                warehouse,
                now: Version {
                    since: now,
                    quantities: Some(quantities),
                },
                past: Vec::new(),
            };
            self.insert_row(&key.company, item, row);
            return Ok(());
        };
        let mut quantities = rows[found].now.quantities.unwrap_or_default();
        change.apply_to(&mut quantities)?;
        rows[found].become_true(now, Some(quantities));
        self.count_change(now);
        Ok(())
    }

    /// Removes a row, as D365's clean-up jobs do.
    pub(crate) fn delete(&mut self, key: &StockKey, now: UtcMillis) -> Result<(), WorldError> {
        let no_such_row = || WorldError::NoSuchRow {
            item: key.item.clone(),
            warehouse: key.warehouse.clone(),
        };
        let dimensions = self.dimensions.id_of(key.dimensions());
        let company = self
            .company_mut(&key.company)
            .ok_or_else(|| WorldError::UnknownCompany(key.company.clone()))?;
        let warehouse = company
            .warehouse_place(&key.warehouse)
            .ok_or_else(no_such_row)?;
        let (_, site) = company.place_of(&key.warehouse, &key.site);
        let folded = collation::fold(&key.item);
        let item = *company.index.get(folded.as_ref()).ok_or_else(no_such_row)?;
        let row = company.items[item as usize]
            .rows
            .iter_mut()
            .find(|row| row.is(dimensions, warehouse, site) && row.now.quantities.is_some())
            .ok_or_else(no_such_row)?;
        row.become_true(now, None);
        self.count_change(now);
        Ok(())
    }

    /// One random event in one row of a company: mostly a sale, now and then a reservation or a delivery.
    /// Returns whether a row was found to change.
    pub(crate) fn trade(&mut self, company: &str, random: &mut Random, now: UtcMillis) -> bool {
        let Some(company) = self.company_mut(company) else {
            return false;
        };
        let item = random.below(company.items.len());
        let Some(item) = company.items.get_mut(item) else {
            return false;
        };
        let row = random.below(item.rows.len());
        let Some(row) = item.rows.get_mut(row) else {
            return false;
        };
        let Some(mut quantities) = row.now.quantities else {
            return false;
        };
        match random.below(10) {
            0 => quantities.on_hand += Decimal::from(10 + random.below(40)),
            1 => quantities.reserved += Decimal::ONE,
            _ => quantities.on_hand -= Decimal::from(1 + random.below(3)),
        }
        row.become_true(now, Some(quantities));
        self.count_change(now);
        true
    }

    pub(super) fn insert_row(&mut self, company: &str, item: usize, row: Row) {
        let dimensions = &self.dimensions;
        let folded = collation::fold(company);
        let Some(company) = self
            .companies
            .iter_mut()
            .find(|known| known.id().folded() == folded)
        else {
            return;
        };
        let order = |row: &Row| dimensions.of(row.dimensions).folded();
        let key = (order(&row), row.site, row.warehouse);
        let rows = &mut company.items[item].rows;
        let place = rows.partition_point(|other| (order(other), other.site, other.warehouse) < key);
        rows.insert(place, row);
    }

    /// The company to put stock into, added if it is new.
    pub(super) fn company_to_change(&mut self, id: &str) -> &mut Company {
        let folded = collation::fold(id);
        let place = self
            .companies
            .partition_point(|known| known.id().folded() < folded.as_ref());
        if self
            .companies
            .get(place)
            .is_none_or(|known| known.id().folded() != folded)
        {
            self.companies.insert(place, Company::new(id));
        }
        &mut self.companies[place]
    }

    fn company_mut(&mut self, id: &str) -> Option<&mut Company> {
        let folded = collation::fold(id);
        self.companies
            .iter_mut()
            .find(|company| company.id().folded() == folded)
    }

    /// A journal that is full forgets everything before now.
    fn count_change(&mut self, now: UtcMillis) {
        self.journal_length += 1;
        if self.journal_length <= self.journal_limit {
            return;
        }
        for item in self
            .companies
            .iter_mut()
            .flat_map(|company| &mut company.items)
        {
            for row in &mut item.rows {
                row.past = Vec::new();
            }
            item.rows.retain(|row| row.now.quantities.is_some());
        }
        self.journal_length = 0;
        self.journal_complete_since = now;
    }
}

impl Company {
    /// Place of a warehouse and of the row's site; both are added if they are new.
    fn place_of(&mut self, warehouse: &str, site: &str) -> (u16, u16) {
        let warehouse = self.warehouse_place(warehouse).unwrap_or_else(|| {
            let site = self.site_place(if site.is_empty() { "1" } else { site });
            self.add_warehouse(Warehouse {
                id: Text::new(warehouse),
                site,
                managed: false,
                listed: !warehouse.is_empty(),
            })
        });
        let site = if site.is_empty() {
            self.warehouse(warehouse).site
        } else {
            self.site_place(site)
        };
        (warehouse, site)
    }
}

impl Row {
    fn is(&self, dimensions: DimensionsId, warehouse: u16, site: u16) -> bool {
        self.dimensions == dimensions && self.warehouse == warehouse && self.site == site
    }

    fn become_true(&mut self, now: UtcMillis, quantities: Option<Quantities>) {
        let before = std::mem::replace(
            &mut self.now,
            Version {
                since: now,
                quantities,
            },
        );
        self.past.push(before);
    }
}

#[cfg(test)]
mod tests;

//! Reading the truth: what was on hand at an instant, and how a row got there.

use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::item::{Quantities, Row};
use super::{Company, Item, World, WorldError, collation};
use crate::clock::UtcMillis;

/// One on-hand row as it was at an instant. Quantities are decimal text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthLine {
    /// Legal entity.
    pub company: String,
    /// Item number.
    pub item: String,
    /// Product color.
    pub color: String,
    /// Product configuration.
    pub configuration: String,
    /// Product size.
    pub size: String,
    /// Product style.
    pub style: String,
    /// Product version.
    pub version: String,
    /// Inventory site.
    pub site: String,
    /// Inventory warehouse.
    pub warehouse: String,
    /// `AvailableOnHandQuantity`.
    pub available: String,
    /// `OnHandQuantity`.
    pub on_hand: String,
    /// `ReservedOnHandQuantity`.
    pub reserved: String,
    /// `OrderedQuantity`.
    pub ordered: String,
    /// `ReservedOrderedQuantity`.
    pub reserved_ordered: String,
    /// `AvailableOrderedQuantity`.
    pub available_ordered: String,
    /// `OnOrderQuantity`.
    pub on_order: String,
    /// `TotalAvailableQuantity`.
    pub total_available: String,
    /// These quantities are true since this instant.
    pub since: UtcMillis,
}

/// Some of the lines, and the item to go on behind; none: there are no more.
#[derive(Debug, Default)]
pub(crate) struct TruthPart {
    pub(crate) lines: Vec<TruthLine>,
    pub(crate) last: Option<String>,
}

/// One step of a row's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// When the step happened; 1970 for what the world began with.
    pub at: UtcMillis,
    /// What was true from then on; none: the row was gone. Site, warehouse and dimensions tell which row.
    pub line: Option<TruthLine>,
    /// Product color, configuration, size, style, version and site of the row.
    pub row: [String; 6],
}

/// One released product variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantLine {
    /// Legal entity.
    pub company: String,
    /// Number of the product master.
    pub item: String,
    /// Number of the variant: the SKU people know.
    pub variant: String,
    /// Product color.
    pub color: String,
    /// Product configuration.
    pub configuration: String,
    /// Product size.
    pub size: String,
    /// Product style.
    pub style: String,
    /// Product version.
    pub version: String,
}

/// One warehouse of a company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarehouseLine {
    /// Legal entity.
    pub company: String,
    /// Warehouse id.
    pub warehouse: String,
    /// Its site.
    pub site: String,
    /// Its name.
    pub name: String,
    /// `Standard`, `Quarantine` or `Transit`.
    pub kind: String,
    /// Number of on-hand rows at this moment.
    pub rows: usize,
}

impl World {
    /// Every on-hand row of a company (of one warehouse, if named) as it was at an instant, by item.
    pub(crate) fn truth(
        &self,
        company: &str,
        warehouse: Option<&str>,
        at: UtcMillis,
    ) -> Result<Vec<TruthLine>, WorldError> {
        self.truth_part(company, warehouse, at, None, usize::MAX)
            .map(|part| part.lines)
    }

    /// The on-hand rows of a company (of one warehouse, if named) as they were at an instant, by item: those of
    /// the first so many items behind `after`, an item number in folded form.
    pub(crate) fn truth_part(
        &self,
        company: &str,
        warehouse: Option<&str>,
        at: UtcMillis,
        after: Option<&str>,
        items: usize,
    ) -> Result<TruthPart, WorldError> {
        if at < self.journal_complete_since() {
            return Err(WorldError::JournalTooShort(self.journal_complete_since()));
        }
        let company = self.known(company)?;
        let warehouse = warehouse.map(|id| company.warehouse_place(id));
        let wanted = |row: &&Row| warehouse.is_none_or(|place| place == Some(row.warehouse));
        let mut part = TruthPart::default();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        for item in company.items_between(start, Bound::Unbounded).take(items) {
            part.last = Some(item.number.folded().to_owned());
            for row in item.rows.iter().filter(wanted) {
                if let Some(version) = row.at(at)
                    && let Some(quantities) = &version.quantities
                {
                    part.lines
                        .push(self.line(company, item, row, quantities, version.since));
                }
            }
        }
        Ok(part)
    }

    /// Everything that happened to an item (in one warehouse, if named), oldest first.
    pub(crate) fn journal(
        &self,
        company: &str,
        item: &str,
        warehouse: Option<&str>,
    ) -> Result<Vec<JournalEntry>, WorldError> {
        let company = self.known(company)?;
        let warehouse = warehouse.map(|id| company.warehouse_place(id));
        let Some(item) = company.item(&collation::fold(item)) else {
            return Ok(Vec::new());
        };
        let mut entries = Vec::new();
        for row in &item.rows {
            if warehouse.is_some_and(|place| place != Some(row.warehouse)) {
                continue;
            }
            let set = self.dimensions(row.dimensions);
            for version in row.versions() {
                let line = version
                    .quantities
                    .as_ref()
                    .map(|quantities| self.line(company, item, row, quantities, version.since));
                entries.push(JournalEntry {
                    at: version.since,
                    line,
                    row: [
                        &set.color,
                        &set.configuration,
                        &set.size,
                        &set.style,
                        &set.version,
                        company.site(row.site),
                    ]
                    .map(|text| text.raw().to_owned()),
                });
            }
        }
        entries.sort_by_key(|entry| entry.at);
        Ok(entries)
    }

    /// The released variants of a company.
    pub(crate) fn variant_lines(&self, company: &str) -> Result<Vec<VariantLine>, WorldError> {
        let company = self.known(company)?;
        let lines = company.items().flat_map(|item| {
            item.variants.iter().map(|variant| {
                let set = self.dimensions(variant.dimensions);
                VariantLine {
                    company: company.id().raw().to_owned(),
                    item: item.number.raw().to_owned(),
                    variant: variant.number.raw().to_owned(),
                    color: set.color.raw().to_owned(),
                    configuration: set.configuration.raw().to_owned(),
                    size: set.size.raw().to_owned(),
                    style: set.style.raw().to_owned(),
                    version: set.version.raw().to_owned(),
                }
            })
        });
        Ok(lines.collect())
    }

    /// The warehouses of all companies, without the blank one.
    pub(crate) fn warehouse_lines(&self) -> Vec<WarehouseLine> {
        let mut lines = Vec::new();
        for company in &self.companies {
            let mut rows = vec![0_usize; company.warehouses.len()];
            for row in company.items.iter().flat_map(|item| &item.rows) {
                rows[usize::from(row.warehouse)] += usize::from(row.quantities().is_some());
            }
            for (warehouse, rows) in company.warehouses.iter().zip(rows) {
                if warehouse.listed {
                    lines.push(WarehouseLine {
                        company: company.id().raw().to_owned(),
                        warehouse: warehouse.id.raw().to_owned(),
                        site: company.site(warehouse.site).raw().to_owned(),
                        name: warehouse.name.to_string(),
                        kind: warehouse.kind.to_owned(),
                        rows,
                    });
                }
            }
        }
        lines
    }

    fn known(&self, company: &str) -> Result<&Company, WorldError> {
        self.company(company)
            .ok_or_else(|| WorldError::UnknownCompany(company.to_owned()))
    }

    fn line(
        &self,
        company: &Company,
        item: &Item,
        row: &Row,
        quantities: &Quantities,
        since: UtcMillis,
    ) -> TruthLine {
        let set = self.dimensions(row.dimensions);
        let number = |decimal: rust_decimal::Decimal| decimal.normalize().to_string();
        TruthLine {
            company: company.id().raw().to_owned(),
            item: item.number.raw().to_owned(),
            color: set.color.raw().to_owned(),
            configuration: set.configuration.raw().to_owned(),
            size: set.size.raw().to_owned(),
            style: set.style.raw().to_owned(),
            version: set.version.raw().to_owned(),
            site: company.site(row.site).raw().to_owned(),
            warehouse: company.warehouse(row.warehouse).id.raw().to_owned(),
            available: number(quantities.available()),
            on_hand: number(quantities.on_hand),
            reserved: number(quantities.reserved),
            ordered: number(quantities.ordered),
            reserved_ordered: number(quantities.reserved_ordered),
            available_ordered: number(quantities.available_ordered()),
            on_order: number(quantities.on_order),
            total_available: number(quantities.total_available()),
            since,
        }
    }
}

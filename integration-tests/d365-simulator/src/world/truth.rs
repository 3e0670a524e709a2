//! Reading the truth: what was on hand at an instant, and how a row got there.

use serde::Serialize;

use crate::clock::UtcMillis;
use crate::world::collation;
use crate::world::company::Company;
use crate::world::item::Item;
use crate::world::item::{Quantities, Row};
use crate::world::stock::World;
use crate::world::stock_change::WorldError;

/// One on-hand row as it was at an instant. Quantities are decimal text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TruthLine {
    pub company: String,
    pub item: String,
    pub color: String,
    pub configuration: String,
    pub size: String,
    pub style: String,
    pub version: String,
    pub site: String,
    pub warehouse: String,
    pub available: String,
    /// `OnHandQuantity`.
    pub on_hand: String,
    pub reserved: String,
    pub ordered: String,
    /// These quantities are true since this instant.
    pub since: UtcMillis,
}

/// One step of a row's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// When the step happened; 1970 for what the world began with.
    pub at: UtcMillis,
    /// What was true from then on; none: the row was gone. Site, warehouse and dimensions tell which row.
    pub line: Option<TruthLine>,
    /// Product color, configuration, size, style, version and site of the row.
    pub row: [String; 6],
}

/// One released product variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantLine {
    pub company: String,
    /// Number of the product master.
    pub item: String,
    /// Number of the variant: the SKU people know.
    pub variant: String,
    pub color: String,
    pub configuration: String,
    pub size: String,
    pub style: String,
    pub version: String,
}

/// One warehouse of a company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WarehouseLine {
    pub company: String,
    /// Warehouse id.
    pub warehouse: String,
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
        if at < self.journal_complete_since() {
            return Err(WorldError::JournalTooShort(self.journal_complete_since()));
        }
        let company = self.known(company)?;
        let warehouse = warehouse.map(|id| company.warehouse_place(id));
        let wanted = |row: &&Row| warehouse.is_none_or(|place| place == Some(row.warehouse));
        let mut lines = Vec::new();
        for item in company.items() {
            for row in item.rows.iter().filter(wanted) {
                if let Some(version) = row.at(at)
                    && let Some(quantities) = &version.quantities
                {
                    lines.push(self.line(company, item, row, quantities, version.since));
                }
            }
        }
        Ok(lines)
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
            since,
        }
    }
}

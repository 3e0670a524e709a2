//! The warehouses D365 knows: for checking the configured ones, and token, company and privileges
//! with them.

use crate::d365::D365Error;
use crate::d365::carried_error::refuse_carried_error;
use crate::d365::filter::Filter;
use crate::d365::on_hand_page::bad_row;
use crate::d365::query::Query;
use crate::stock::{LegalEntity, WarehouseId};
use serde::Deserialize;

/// The question for all warehouses of a company.
pub(in crate::d365) fn warehouses_query(legal_entity: &LegalEntity) -> Result<Query, D365Error> {
    let filter = Filter::equals("dataAreaId", legal_entity.as_str())?;
    Ok(Query::cross_company(&filter)
        .with("$orderby", "WarehouseId")
        .with("$select", "dataAreaId,WarehouseId"))
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "dataAreaId")]
    company: Option<String>,
    #[serde(rename = "WarehouseId")]
    warehouse: Option<String>,
}

/// The warehouse a row names, if it is one of this company.
pub(in crate::d365) fn warehouse_of(
    number: u64,
    json: &[u8],
    legal_entity: &LegalEntity,
) -> Result<Option<WarehouseId>, D365Error> {
    refuse_carried_error(json)?;
    let row: Row =
        serde_json::from_slice(json).map_err(|cause| bad_row(number, &cause.to_string()))?;
    Ok(row
        .company
        .filter(|company| legal_entity.is_named_by(company))
        .and(row.warehouse)
        .and_then(|warehouse| WarehouseId::parse(warehouse).ok()))
}

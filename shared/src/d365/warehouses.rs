//! The warehouses D365 knows: for checking the configured ones, and token, company and privileges
//! with them.

use crate::d365::error::D365Error;
use crate::d365::filter::Filter;
use crate::d365::members::Members;
use crate::d365::query::Query;
use crate::stock::{LegalEntity, WarehouseId};

/// The question for all warehouses of a company.
pub(super) fn warehouses_query(legal_entity: &LegalEntity) -> Result<Query, D365Error> {
    let filter = Filter::equals("dataAreaId", legal_entity.as_str())?;
    Ok(Query::cross_company(&filter)
        .with("$orderby", "WarehouseId")
        .with("$select", "dataAreaId,WarehouseId"))
}

/// The warehouse a row names, if it is one of this company. The error says what is wrong with the row.
pub(super) fn warehouse_of(
    row: &str,
    legal_entity: &LegalEntity,
) -> Result<Option<WarehouseId>, String> {
    let members = Members::read(row)?;
    members.refuse_error_beside("")?;
    let company = members.text("dataAreaId")?.unwrap_or_default();
    let warehouse = members.text("WarehouseId")?.unwrap_or_default();
    let is_asked_for = legal_entity.is_named_by(&company);
    Ok(WarehouseId::parse(warehouse).ok().filter(|_| is_asked_for))
}

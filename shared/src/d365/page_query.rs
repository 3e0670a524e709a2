//! The question for one page of a warehouse.

use crate::d365::entity::OnHandEntity;
use crate::d365::filter::Filter;
use crate::d365::query::Query;
use crate::d365::{D365Error, PageQuery, PageStart};
use crate::settings::PagingMode;
use crate::stock::LegalEntity;

/// The query of a page that does not begin at a link.
///
/// By key: `$top` rows after the last whole item, so that depth costs nothing and nothing slips
/// while data moves. By link: no `$top`, since with one D365 sends no link; its own page size
/// (10,000) applies. Inside one item rows are counted with `$skip` in both modes.
pub(in crate::d365) fn page_query(
    entity: &OnHandEntity,
    legal_entity: &LegalEntity,
    paging: PagingMode,
    page: &PageQuery,
) -> Result<Query, D365Error> {
    let fields = &entity.fields;
    let mut filter = Filter::equals(&fields.legal_entity, legal_entity.as_str())?
        .and(&Filter::equals(&fields.warehouse, page.warehouse.as_str())?);
    let mut skip = None;
    match &page.start {
        PageStart::First | PageStart::Link(_) => {}
        PageStart::AfterItem(item) => {
            filter = filter.and(&Filter::after(&fields.item_number, item.as_str())?);
        }
        PageStart::WithinItem { item, skip: rows } => {
            filter = filter.and(&Filter::is_exactly(&fields.item_number, item.as_str())?);
            skip = Some(*rows);
        }
    }
    if let (Some(item), PageStart::First | PageStart::AfterItem(_)) = (&page.up_to, &page.start) {
        filter = filter.and(&Filter::up_to(&fields.item_number, item.as_str())?);
    }
    let mut query = Query::cross_company(&filter)
        .with("$orderby", &entity.order())
        .with("$select", &entity.select());
    if paging == PagingMode::Keyset || skip.is_some() {
        query = query.with("$top", &page.page_size.clamp(1, 10_000).to_string());
    }
    if let Some(rows) = skip {
        query = query.with("$skip", &rows.to_string());
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::FieldNames;
    use crate::stock::{ItemNumber, WarehouseId};

    fn entity() -> OnHandEntity {
        OnHandEntity {
            set: "WarehousesOnHandV2".to_owned(),
            available: FieldNames::default().available_on_hand,
            fields: FieldNames::default(),
        }
    }

    fn decoded(paging: PagingMode, start: PageStart) -> Vec<(String, String)> {
        let page = PageQuery {
            warehouse: WarehouseId::parse("2'1").unwrap(),
            start,
            up_to: None,
            page_size: 500,
        };
        let company = LegalEntity::parse("USMF").unwrap();
        let query = page_query(&entity(), &company, paging, &page).unwrap();
        url::Url::parse(&format!("http://h/?{query}"))
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect()
    }

    fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
        pairs
            .iter()
            .find(|(option, _)| option == name)
            .map(|(_, value)| value.as_str())
    }

    #[test]
    fn the_first_page_names_company_warehouse_order_and_columns() {
        let pairs = decoded(PagingMode::Keyset, PageStart::First);
        assert_eq!(value(&pairs, "cross-company"), Some("true"));
        assert_eq!(
            value(&pairs, "$filter"),
            Some("dataAreaId eq 'usmf' and InventoryWarehouseId eq '2''1'")
        );
        assert_eq!(
            value(&pairs, "$orderby"),
            Some(
                "ItemNumber,ProductConfigurationId,ProductColorId,ProductSizeId,ProductStyleId,\
                 ProductVersionId,InventorySiteId,InventoryWarehouseId"
            )
        );
        assert_eq!(
            value(&pairs, "$select"),
            Some(
                "dataAreaId,ItemNumber,ProductConfigurationId,ProductColorId,ProductSizeId,\
                 ProductStyleId,ProductVersionId,InventorySiteId,InventoryWarehouseId,\
                 AvailableOnHandQuantity,OnHandQuantity,ReservedOnHandQuantity,OrderedQuantity"
            )
        );
        assert_eq!(value(&pairs, "$top"), Some("500"));
        assert_eq!(value(&pairs, "$skip"), None);
    }

    #[test]
    fn a_later_page_begins_after_the_last_item_whatever_its_number() {
        let item = ItemNumber::parse(" A*'1").unwrap();
        let pairs = decoded(PagingMode::Keyset, PageStart::AfterItem(item));
        assert_eq!(
            value(&pairs, "$filter"),
            Some(
                "dataAreaId eq 'usmf' and InventoryWarehouseId eq '2''1' and \
                 ItemNumber gt ' A*''1'"
            )
        );
    }

    #[test]
    fn inside_an_item_rows_are_skipped() {
        let item = ItemNumber::parse("T-SHIRT").unwrap();
        let start = PageStart::WithinItem { item, skip: 500 };
        let pairs = decoded(PagingMode::NextLink, start);
        assert!(
            value(&pairs, "$filter")
                .unwrap()
                .ends_with("ItemNumber eq 'T-SHIRT'")
        );
        assert_eq!(value(&pairs, "$skip"), Some("500"));
        assert_eq!(value(&pairs, "$top"), Some("500"));
    }

    #[test]
    fn by_link_the_server_decides_the_page_size() {
        let pairs = decoded(PagingMode::NextLink, PageStart::First);
        assert_eq!(value(&pairs, "$top"), None);
    }

    #[test]
    fn a_property_named_twice_is_selected_once_and_an_empty_name_not_at_all() {
        let mut entity = entity();
        entity.available.clone_from(&entity.fields.on_hand);
        entity.fields.version.clear();
        assert!(!entity.order().contains("Version"));
        assert_eq!(entity.select().matches("OnHandQuantity").count(), 2);
    }
}

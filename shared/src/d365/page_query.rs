//! The question for one page of a warehouse.

use crate::d365::entity::OnHandEntity;
use crate::d365::error::D365Error;
use crate::d365::filter::Filter;
use crate::d365::query::Query;
use crate::d365::source::{PageQuery, PageStart};
use crate::settings::PagingMode;
use crate::stock::LegalEntity;

/// The query of a page that does not begin at a link.
///
/// By key: `$top` rows after the last whole item, so that depth costs nothing and nothing slips
/// while data moves. By link: no `$top`, since with one D365 sends no link; its own page size
/// (10,000) applies. Inside one item rows are counted with `$skip` in both modes.
pub(super) fn page_query(
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
    use crate::stock::{ItemNumber, WarehouseId};

    const ORDER: &str = "ItemNumber,ProductConfigurationId,ProductColorId,ProductSizeId,\
                         ProductStyleId,ProductVersionId,InventorySiteId,InventoryWarehouseId";
    const SELECT: &str = "dataAreaId,ItemNumber,ProductConfigurationId,ProductColorId,ProductSizeId,\
                          ProductStyleId,ProductVersionId,InventorySiteId,InventoryWarehouseId,\
                          AvailableOnHandQuantity,OnHandQuantity,ReservedOnHandQuantity,\
                          OrderedQuantity";

    #[test]
    fn a_page_names_company_warehouse_place_order_and_columns() {
        let item = |text: &str| ItemNumber::parse(text).unwrap();
        let inside = PageStart::WithinItem {
            item: item("T-SHIRT"),
            skip: 500,
        };
        let top = ("$top", "500");
        for (paging, start, up_to, place, counted) in [
            (PagingMode::Keyset, PageStart::First, None, "", &[top][..]),
            // The server decides the page size.
            (PagingMode::NextLink, PageStart::First, None, "", &[]),
            (
                PagingMode::Keyset,
                PageStart::AfterItem(item(" A*'1")),
                Some("B*"),
                " and ItemNumber gt ' A*''1' and ItemNumber le 'B*'",
                &[top],
            ),
            (
                PagingMode::NextLink,
                inside,
                Some("Z"),
                " and ItemNumber eq 'T-SHIRT'",
                &[top, ("$skip", "500")],
            ),
        ] {
            let page = PageQuery {
                warehouse: WarehouseId::parse("2'1").unwrap(),
                start,
                up_to: up_to.map(item),
                page_size: 500,
            };
            let company = LegalEntity::parse("USMF").unwrap();
            let query = page_query(&OnHandEntity::default(), &company, paging, &page).unwrap();
            let url = url::Url::parse(&format!("http://h/?{query}")).unwrap();
            let filter = format!("dataAreaId eq 'usmf' and InventoryWarehouseId eq '2''1'{place}");
            let mut expected = vec![
                ("cross-company", "true"),
                ("$filter", &filter),
                ("$orderby", ORDER),
                ("$select", SELECT),
            ];
            expected.extend(counted);
            let found: Vec<(String, String)> = url.query_pairs().into_owned().collect();
            let found: Vec<(&str, &str)> = found
                .iter()
                .map(|(name, value)| (&**name, &**value))
                .collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_property_named_twice_is_selected_once_and_an_empty_name_not_at_all() {
        let mut entity = OnHandEntity::default();
        entity.available.clone_from(&entity.fields.on_hand);
        entity.fields.version.clear();
        assert!(!entity.order().contains("Version"));
        assert_eq!(entity.select().matches("OnHandQuantity").count(), 2);
    }
}

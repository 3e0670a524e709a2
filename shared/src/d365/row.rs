//! PURE: one row of an on-hand page, read by configured property names.

use crate::d365::entity::OnHandEntity;
use crate::d365::members::Members;
use crate::stock::{
    ItemNumber, OnHandRow, ProductDimensions, Quantities, Quantity, SiteId, Spelling, WarehouseId,
};
use std::borrow::Cow;

/// A row as D365 sent it, not yet compared with the question.
#[derive(Debug)]
pub(super) struct RawRow<'a> {
    /// `dataAreaId`
    pub(super) company: Cow<'a, str>,
    /// `ItemNumber`
    pub(super) item: Cow<'a, str>,
    /// `InventoryWarehouseId`; "" for rows of no warehouse.
    pub(super) warehouse: Cow<'a, str>,
    site: Cow<'a, str>,
    dimensions: ProductDimensions,
    quantities: Quantities,
}

impl<'a> RawRow<'a> {
    /// Reads a row's JSON. The error says in words what is wrong, naming the property.
    pub(super) fn read(json: &'a str, entity: &OnHandEntity) -> Result<Self, String> {
        let members = Members::read(json)?;
        members.refuse_error_beside("")?;
        let text = |property: &str| {
            if property.is_empty() {
                // The entity has no such property.
                return Ok(Cow::Borrowed(""));
            }
            members
                .text(property)?
                .ok_or_else(|| format!("{property} is missing"))
        };
        let dimension = |property: &str| text(property).map(|text| Spelling::from(text.as_ref()));
        let number = |property: &str| match members.only(property)? {
            Some(json) => read_number(json).map_err(|problem| format!("{property} {problem}")),
            None => Err(format!("{property} is missing")),
        };
        let fields = &entity.fields;
        Ok(Self {
            company: text(&fields.legal_entity)?,
            item: text(&fields.item_number)?,
            warehouse: text(&fields.warehouse)?,
            site: text(&fields.site)?,
            dimensions: ProductDimensions {
                configuration: dimension(&fields.configuration)?,
                size: dimension(&fields.size)?,
                color: dimension(&fields.color)?,
                style: dimension(&fields.style)?,
                version: dimension(&fields.version)?,
            },
            quantities: Quantities {
                available: number(&entity.available)?,
                on_hand: number(&fields.on_hand)?,
                reserved: number(&fields.reserved)?,
                ordered: number(&fields.ordered)?,
            },
        })
    }

    /// The row in our words, everything as D365 spells it. None for an item number or a warehouse
    /// nobody could ask for (empty, over-long, control characters).
    pub(super) fn into_row(self) -> Option<OnHandRow> {
        Some(OnHandRow {
            item: ItemNumber::parse(self.item).ok()?,
            dimensions: self.dimensions,
            site: SiteId::parse(self.site).ok(),
            warehouse: WarehouseId::parse(self.warehouse).ok()?,
            quantities: self.quantities,
        })
    }
}

fn read_number(json: &str) -> Result<Quantity, String> {
    match json.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Quantity::parse(json).map_err(|cause| cause.to_string()),
        Some(b'n') => Err("is null".to_owned()),
        _ => Err("is not a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(available: &str) -> OnHandEntity {
        let mut entity = OnHandEntity::default();
        entity.fields.version.clear();
        available.clone_into(&mut entity.available);
        entity
    }

    fn json(item: &str, available: &str) -> String {
        format!(
            r#"{{"@odata.etag":"W/\"x\"","dataAreaId":"usmf","ItemNumber":{item},"ProductColorId":"Black","ProductConfigurationId":null,"ProductSizeId":"","ProductStyleId":"\u00e4\"","InventorySiteId":"2","InventoryWarehouseId":"21","AvailableOnHandQuantity":{available},"Extra":{{"a":[1]}},"OnHandQuantity":-12.500,"ReservedOnHandQuantity":5,"OrderedQuantity":1E2}}"#
        )
    }

    fn row(json: &str) -> Result<Option<OnHandRow>, String> {
        RawRow::read(json, &entity("AvailableOnHandQuantity")).map(RawRow::into_row)
    }

    #[test]
    fn a_row_is_read_exactly() {
        let number = |text: &str| text.parse::<Quantity>().unwrap();
        let expected = OnHandRow {
            item: ItemNumber::parse(" A-1").unwrap(),
            dimensions: ProductDimensions {
                color: "Black".into(),
                style: "ä\"".into(),
                ..ProductDimensions::default()
            },
            site: Some(SiteId::parse("2").unwrap()),
            warehouse: WarehouseId::parse("21").unwrap(),
            quantities: Quantities {
                available: number("7.000001"),
                on_hand: number("-12.5"),
                reserved: number("5"),
                ordered: number("100"),
            },
        };
        assert_eq!(row(&json("\" A-1\"", "7.000001")), Ok(Some(expected)));
        // One property can be two quantities.
        let json = json("\"A\"", "7");
        let read = RawRow::read(&json, &entity("OnHandQuantity")).unwrap();
        assert_eq!(read.quantities.available, read.quantities.on_hand);
    }

    #[test]
    fn a_row_that_is_not_whole_is_an_error_that_names_the_property() {
        let available = |wrong: &str| json("\"A\"", wrong);
        let without = available("7").replace("OrderedQuantity", "Other");
        for (json, problem) in [
            (available("null"), "AvailableOnHandQuantity is null"),
            (
                available("\"7\""),
                "AvailableOnHandQuantity is not a number",
            ),
            (available("{}"), "AvailableOnHandQuantity is not a number"),
            (available("1e99"), "AvailableOnHandQuantity"),
            (
                available("1,\"AvailableOnHandQuantity\":1"),
                "AvailableOnHandQuantity occurs twice",
            ),
            (
                available("1,\"ItemNumber\":\"A\""),
                "ItemNumber occurs twice",
            ),
            (available("1,\"@odata.error\":null"), "carries an error"),
            (
                available("1,\"X\":{\"a\":[{\"error\":1}]}"),
                "carries an error",
            ),
            (
                r#"{"error":{"code":"","message":"x"}}"#.to_owned(),
                "carries an error",
            ),
            (without, "OrderedQuantity is missing"),
            (json("5", "7"), "ItemNumber is not a text"),
            ("1".to_owned(), "an object"),
            ("{}{}".to_owned(), "trailing"),
        ] {
            let refused = row(&json).unwrap_err();
            assert!(refused.contains(problem), "{json}: {refused}");
        }
    }

    #[test]
    fn a_row_of_an_item_nobody_can_ask_for_is_no_row() {
        for item in ["\"\"", "\"  \"", "null", "\"a\\u0000b\""] {
            assert_eq!(row(&json(item, "1")), Ok(None), "{item}");
        }
    }
}

//! One row of an on-hand page, read by configured property names.

use crate::d365::carried_error::{carried, check_inside, is_error};
use crate::d365::entity::OnHandEntity;
use crate::stock::{
    ItemNumber, OnHandRow, ProductDimensions, Quantities, Quantity, SiteId, WarehouseId,
};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

const COMPANY: usize = 0;
const ITEM: usize = 1;
const CONFIGURATION: usize = 2;
const SIZE: usize = 3;
const COLOR: usize = 4;
const STYLE: usize = 5;
const VERSION: usize = 6;
const SITE: usize = 7;
const WAREHOUSE: usize = 8;
const TEXTS: usize = 9;

const AVAILABLE: usize = 0;
const ON_HAND: usize = 1;
const RESERVED: usize = 2;
const ORDERED: usize = 3;
const NUMBERS: usize = 4;

/// Which property goes where. A property may serve two places: "available" can be `OnHandQuantity`.
#[derive(Debug)]
pub(in crate::d365) struct RowReader {
    properties: Vec<Property>,
}

#[derive(Debug)]
struct Property {
    name: String,
    texts: Vec<usize>,
    numbers: Vec<usize>,
}

/// A row as D365 sent it, not yet compared with the question.
#[derive(Debug)]
pub(in crate::d365) struct RawRow<'a> {
    texts: [Option<Cow<'a, str>>; TEXTS],
    numbers: [Option<Quantity>; NUMBERS],
}

impl RowReader {
    /// Reads rows of this entity.
    pub(in crate::d365) fn of(entity: &OnHandEntity) -> Self {
        let fields = &entity.fields;
        let mut reader = Self {
            properties: Vec::new(),
        };
        for (at, name) in [
            (COMPANY, &fields.legal_entity),
            (ITEM, &fields.item_number),
            (CONFIGURATION, &fields.configuration),
            (SIZE, &fields.size),
            (COLOR, &fields.color),
            (STYLE, &fields.style),
            (VERSION, &fields.version),
            (SITE, &fields.site),
            (WAREHOUSE, &fields.warehouse),
        ] {
            // An empty name: the entity has no such property.
            if !name.is_empty() {
                reader.property(name).texts.push(at);
            }
        }
        for (at, name) in [
            (AVAILABLE, &entity.available),
            (ON_HAND, &fields.on_hand),
            (RESERVED, &fields.reserved),
            (ORDERED, &fields.ordered),
        ] {
            reader.property(name).numbers.push(at);
        }
        reader
    }

    fn property(&mut self, name: &str) -> &mut Property {
        let at = self
            .properties
            .iter()
            .position(|property| property.name == name)
            .unwrap_or_else(|| {
                self.properties.push(Property {
                    name: name.to_owned(),
                    texts: Vec::new(),
                    numbers: Vec::new(),
                });
                self.properties.len() - 1
            });
        &mut self.properties[at]
    }

    /// Reads a row's JSON. The error says in words what is wrong, naming the property.
    pub(in crate::d365) fn read<'a>(&self, json: &'a [u8]) -> Result<RawRow<'a>, String> {
        let mut row = RawRow {
            texts: Default::default(),
            numbers: Default::default(),
        };
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        deserializer
            .deserialize_map(RowVisitor {
                reader: self,
                row: &mut row,
            })
            .and_then(|()| deserializer.end())
            .map_err(|cause| cause.to_string())?;
        for property in &self.properties {
            let is_missing = property.texts.iter().any(|at| row.texts[*at].is_none())
                || property.numbers.iter().any(|at| row.numbers[*at].is_none());
            if is_missing {
                return Err(format!("{} is missing", property.name));
            }
        }
        Ok(row)
    }
}

impl RawRow<'_> {
    fn text(&self, at: usize) -> &str {
        self.texts[at].as_deref().unwrap_or_default()
    }

    fn number(&self, at: usize) -> Quantity {
        // Every number was there, or the reader had refused the row.
        self.numbers[at].unwrap_or_default()
    }

    /// `dataAreaId`
    pub(in crate::d365) fn company(&self) -> &str {
        self.text(COMPANY)
    }

    /// `InventoryWarehouseId`; "" for rows of no warehouse.
    pub(in crate::d365) fn warehouse(&self) -> &str {
        self.text(WAREHOUSE)
    }

    /// `ItemNumber`
    pub(in crate::d365) fn item(&self) -> &str {
        self.text(ITEM)
    }

    /// The row in our words, everything as D365 spells it. None for an item number or a warehouse
    /// nobody could ask for (empty, over-long, control characters).
    pub(in crate::d365) fn into_row(self) -> Option<OnHandRow> {
        Some(OnHandRow {
            item: ItemNumber::parse(self.text(ITEM)).ok()?,
            dimensions: ProductDimensions {
                configuration: self.text(CONFIGURATION).into(),
                size: self.text(SIZE).into(),
                color: self.text(COLOR).into(),
                style: self.text(STYLE).into(),
                version: self.text(VERSION).into(),
            },
            site: SiteId::parse(self.text(SITE)).ok(),
            warehouse: WarehouseId::parse(self.text(WAREHOUSE)).ok()?,
            quantities: Quantities {
                available: self.number(AVAILABLE),
                on_hand: self.number(ON_HAND),
                reserved: self.number(RESERVED),
                ordered: self.number(ORDERED),
            },
        })
    }
}

struct RowVisitor<'r, 'a> {
    reader: &'r RowReader,
    row: &'r mut RawRow<'a>,
}

impl<'a> Visitor<'a> for RowVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(property) = members.next_key_seed(PropertyName(self.reader))? {
            let raw: &'a RawValue = members.next_value()?;
            let Some(property) = property else {
                check_inside(raw)?;
                continue;
            };
            let name = &property.name;
            let is_repeated = property
                .texts
                .iter()
                .any(|at| self.row.texts[*at].is_some())
                || property
                    .numbers
                    .iter()
                    .any(|at| self.row.numbers[*at].is_some());
            if is_repeated {
                return Err(A::Error::custom(format_args!("{name} occurs twice")));
            }
            if !property.numbers.is_empty() {
                let number = read_number(raw.get())
                    .map_err(|problem| A::Error::custom(format_args!("{name} {problem}")))?;
                for at in &property.numbers {
                    self.row.numbers[*at] = Some(number);
                }
            }
            for at in &property.texts {
                let text = read_text(raw.get())
                    .ok_or_else(|| A::Error::custom(format_args!("{name} is not a text")))?;
                self.row.texts[*at] = Some(text);
            }
        }
        Ok(())
    }
}

fn read_number(json: &str) -> Result<Quantity, String> {
    match json.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Quantity::parse(json).map_err(|cause| cause.to_string()),
        Some(b'n') => Err("is null".to_owned()),
        _ => Err("is not a number".to_owned()),
    }
}

/// A JSON text; null counts as empty, as D365 writes both.
fn read_text(json: &str) -> Option<Cow<'_, str>> {
    match json.as_bytes().first() {
        Some(b'n') => Some(Cow::Borrowed("")),
        Some(b'"') => {
            let inner = &json[1..json.len() - 1];
            if inner.contains('\\') {
                serde_json::from_str(json).ok().map(Cow::Owned)
            } else {
                Some(Cow::Borrowed(inner))
            }
        }
        _ => None,
    }
}

/// Finds the property a member's name belongs to; a row that is an error is none.
struct PropertyName<'r>(&'r RowReader);

impl<'a, 'r> DeserializeSeed<'a> for PropertyName<'r> {
    type Value = Option<&'r Property>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'r> Visitor<'_> for PropertyName<'r> {
    type Value = Option<&'r Property>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a property name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let mut properties = self.0.properties.iter();
        match properties.find(|property| property.name == name) {
            None if is_error(name) => Err(E::custom(carried(name))),
            property => Ok(property),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::FieldNames;

    fn reader(available: &str) -> RowReader {
        let mut fields = FieldNames::default();
        fields.version.clear();
        RowReader::of(&OnHandEntity {
            set: "Set".to_owned(),
            fields,
            available: available.to_owned(),
        })
    }

    fn row(item: &str, available: &str) -> String {
        format!(
            r#"{{"@odata.etag":"W/\"x\"","dataAreaId":"usmf","ItemNumber":{item},"ProductColorId":"Black","ProductConfigurationId":null,"ProductSizeId":"","ProductStyleId":"\u00e4\"","InventorySiteId":"2","InventoryWarehouseId":"21","AvailableOnHandQuantity":{available},"Extra":{{"a":[1]}},"OnHandQuantity":-12.500,"ReservedOnHandQuantity":5,"OrderedQuantity":1E2}}"#
        )
    }

    #[test]
    fn a_row_is_read_exactly() {
        let json = row("\" A-1\"", "7.000001");
        let reader = reader("AvailableOnHandQuantity");
        let raw = reader.read(json.as_bytes()).unwrap();
        assert_eq!(
            (raw.company(), raw.warehouse(), raw.item()),
            ("usmf", "21", " A-1")
        );
        let row = raw.into_row().unwrap();
        assert_eq!(row.item.as_str(), " A-1");
        assert_eq!(row.dimensions.color.as_str(), "Black");
        assert_eq!(row.dimensions.configuration.as_str(), "");
        assert_eq!(row.dimensions.style.as_str(), "ä\"");
        assert_eq!(row.dimensions.version.as_str(), "");
        assert_eq!(row.site, Some(SiteId::parse("2").unwrap()));
        let quantities = row.quantities;
        assert_eq!(quantities.available.to_string(), "7.000001");
        assert_eq!(quantities.on_hand.to_string(), "-12.5");
        assert_eq!(quantities.reserved.to_string(), "5");
        assert_eq!(quantities.ordered.to_string(), "100");
    }

    #[test]
    fn one_property_can_be_two_quantities() {
        let json = row("\"A\"", "7");
        let reader = reader("OnHandQuantity");
        let raw = reader.read(json.as_bytes()).unwrap();
        let row = raw.into_row().unwrap();
        assert_eq!(row.quantities.available, row.quantities.on_hand);
    }

    #[test]
    fn a_quantity_that_is_none_is_an_error_that_names_the_property() {
        let reader = reader("AvailableOnHandQuantity");
        for wrong in [
            "null",
            "\"7\"",
            "true",
            "[]",
            "{}",
            "792281625142643375935439503350",
            "1e99",
            "1,\"AvailableOnHandQuantity\":2",
        ] {
            let problem = reader.read(row("\"A\"", wrong).as_bytes()).unwrap_err();
            assert!(problem.contains("AvailableOnHandQuantity"), "{problem}");
        }
        let without = row("\"A\"", "7").replace("OrderedQuantity", "Other");
        let problem = reader.read(without.as_bytes()).unwrap_err();
        assert_eq!(problem, "OrderedQuantity is missing");
        let problem = reader.read(row("5", "7").as_bytes()).unwrap_err();
        assert!(problem.contains("ItemNumber is not a text"), "{problem}");
        for broken in ["{", "{\"a\":}", "{\"a\" 1}", "{}{}", "{\"ItemNumber\":nul}"] {
            assert!(reader.read(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(reader.read(b"{\"ItemNumber\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_row_that_carries_an_error_is_none_however_whole_it_looks() {
        let reader = reader("AvailableOnHandQuantity");
        let good = row("\"A\"", "7");
        for extra in [
            r#""error":{"message":"x"}"#,
            r#""@odata.error":null"#,
            r#""ItemNumber@odata.error":"x""#,
            r#""Extra2":{"a":[{"error":1}]}"#,
            r#""ItemNumber":"B""#,
            r#""ItemNumber":"A""#,
            r#""dataAreaId":null"#,
        ] {
            let bad = format!("{},{extra}}}", good.trim_end_matches('}'));
            assert!(reader.read(bad.as_bytes()).is_err(), "{bad}");
        }
        let error = br#"{"error":{"code":"","message":"x"}}"#;
        let problem = reader.read(error).unwrap_err();
        assert!(problem.contains("carries an error"), "{problem}");
    }

    #[test]
    fn a_row_of_an_item_nobody_can_ask_for_is_no_row() {
        let reader = reader("AvailableOnHandQuantity");
        for item in ["\"\"", "\"  \"", "null", "\"a\\u0000b\""] {
            let json = row(item, "1");
            let raw = reader.read(json.as_bytes()).unwrap();
            assert_eq!(raw.into_row(), None, "{item}");
        }
    }
}

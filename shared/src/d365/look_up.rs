//! A live question for some items, and what its answer proves.

use crate::d365::entity::OnHandEntity;
use crate::d365::error::D365Error;
use crate::d365::filter::Filter;
use crate::d365::query::{Query, encoded_length};
use crate::d365::row::RawRow;
use crate::settings::FieldNames;
use crate::stock::{ItemNumber, LegalEntity, OnHandRow, WarehouseId, comparison_key};
use std::collections::{BTreeSet, HashMap};

/// Most items of one request with an ordinary address: what a client in the field uses.
const MOST_ITEMS: usize = 25;
/// An ordinary address: safe under the defaults of common servers.
const ORDINARY_ADDRESS: usize = 2_000;
/// Most items of one request, however long its address may be.
const MOST_ITEMS_EVER: usize = 200;
/// What an address holds besides warehouses and items, with default names and a long host name.
const FIXED_PART: usize = 640;

/// How many items an address of this length may carry.
fn most_items(longest_address: usize) -> usize {
    (MOST_ITEMS * longest_address / ORDINARY_ADDRESS).clamp(1, MOST_ITEMS_EVER)
}

/// Splits items into groups that fit one request each: an address of at most `longest_address`
/// characters, and at most 25 items for each 2,000 of them. One item always fits.
pub fn look_up_chunks(
    items: &[ItemNumber],
    warehouses: &[WarehouseId],
    longest_address: usize,
) -> Vec<Vec<ItemNumber>> {
    let fields = FieldNames::default();
    let fixed = FIXED_PART + warehouses_length(&fields.warehouse, warehouses);
    chunks_that_fit(items, &fields.item_number, fixed, longest_address)
}

/// As [`look_up_chunks`], with the true lengths of this environment's address and names.
pub(super) fn exact_chunks(
    items: &[ItemNumber],
    warehouses: &[WarehouseId],
    entity: &OnHandEntity,
    legal_entity: &LegalEntity,
    set_url_length: usize,
    longest_address: usize,
) -> Result<Vec<Vec<ItemNumber>>, D365Error> {
    let around = look_up_query(entity, legal_entity, &[], warehouses)?;
    let fixed = set_url_length + 1 + around.to_string().len();
    Ok(chunks_that_fit(
        items,
        &entity.fields.item_number,
        fixed,
        longest_address,
    ))
}

fn chunks_that_fit(
    items: &[ItemNumber],
    field: &str,
    fixed: usize,
    longest_address: usize,
) -> Vec<Vec<ItemNumber>> {
    let most_items = most_items(longest_address);
    let mut chunks: Vec<Vec<ItemNumber>> = Vec::new();
    let mut length = usize::MAX;
    for item in items {
        let term = term_length(field, item.as_str());
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < most_items && length + term <= longest_address => {
                chunk.push(item.clone());
                length += term;
            }
            _ => {
                chunks.push(vec![item.clone()]);
                length = fixed + term;
            }
        }
    }
    chunks
}

fn warehouses_length(field: &str, warehouses: &[WarehouseId]) -> usize {
    warehouses
        .iter()
        .map(|warehouse| term_length(field, warehouse.as_str()))
        .sum()
}

/// `field eq 'value' or ` once it stands in an address.
fn term_length(field: &str, value: &str) -> usize {
    encoded_length(field)
        + encoded_length(" eq '' or ")
        + encoded_length(value)
        + value.matches('\'').count() * encoded_length("'")
}

/// The question for all rows of these items in these warehouses.
pub(super) fn look_up_query(
    entity: &OnHandEntity,
    legal_entity: &LegalEntity,
    items: &[ItemNumber],
    warehouses: &[WarehouseId],
) -> Result<Query, D365Error> {
    let fields = &entity.fields;
    let filter = Filter::equals(&fields.legal_entity, legal_entity.as_str())?
        .and(&Filter::equals_any(
            &fields.warehouse,
            warehouses.iter().map(WarehouseId::as_str),
        )?)
        .and(&Filter::equals_any(
            &fields.item_number,
            items.iter().map(ItemNumber::as_str),
        )?);
    Ok(Query::cross_company(&filter)
        .with("$orderby", &entity.order())
        .with("$select", &entity.select()))
}

/// Collects the rows of one answer and compares each with the question.
#[derive(Debug)]
pub(super) struct EchoCheck<'q> {
    entity: &'q OnHandEntity,
    legal_entity: &'q LegalEntity,
    warehouses: &'q [WarehouseId],
    /// By comparison key.
    items: HashMap<&'q str, &'q ItemNumber>,
    found: BTreeSet<&'q ItemNumber>,
    /// Rows that were asked for.
    pub(super) rows: Vec<OnHandRow>,
    /// Rows that were not.
    pub(super) dropped_rows: u64,
    unproved: BTreeSet<&'q ItemNumber>,
    proves_nothing: bool,
}

impl<'q> EchoCheck<'q> {
    /// Expects rows of these items in these warehouses of this company.
    pub(super) fn new(
        entity: &'q OnHandEntity,
        legal_entity: &'q LegalEntity,
        warehouses: &'q [WarehouseId],
        items: &'q [ItemNumber],
    ) -> Self {
        Self {
            entity,
            legal_entity,
            warehouses,
            items: items.iter().map(|item| (item.key(), item)).collect(),
            found: BTreeSet::new(),
            rows: Vec::new(),
            dropped_rows: 0,
            unproved: items.iter().filter(|item| item.is_doubtful()).collect(),
            proves_nothing: false,
        }
    }

    /// Takes a row. The error says what is wrong with it.
    pub(super) fn take(&mut self, row: &str) -> Result<(), String> {
        let raw = RawRow::read(row, self.entity)?;
        let item = self.items.get(&*comparison_key(&raw.item)).copied();
        let is_asked_for = self.legal_entity.is_named_by(&raw.company)
            && (self.warehouses.iter()).any(|warehouse| warehouse.is_named_by(&raw.warehouse));
        match (item, raw.into_row()) {
            (Some(item), Some(row)) if is_asked_for => {
                self.found.insert(item);
                self.rows.push(row);
            }
            (item, _) => self.drop_row(item),
        }
        Ok(())
    }

    /// A row that nobody asked for. It casts doubt on its item; if that was not asked for either, D365
    /// understood the question in a way we do not know, and no absence is proved.
    fn drop_row(&mut self, item: Option<&'q ItemNumber>) {
        self.dropped_rows += 1;
        match item {
            Some(item) => {
                self.unproved.insert(item);
            }
            None => self.proves_nothing = true,
        }
    }

    /// Items whose absence this answer does not prove: doubtful ones among them, and those a doubtful
    /// one that was found may be.
    pub(super) fn unproved(&self) -> Vec<ItemNumber> {
        let mut unproved = self.unproved.clone();
        let missing = self.items.values().copied();
        unproved.extend(missing.filter(|item| {
            let is_in_doubt = || self.found.iter().any(|found| item.may_be(found));
            !self.found.contains(item) && (self.proves_nothing || is_in_doubt())
        }));
        unproved.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use url::Url;

    fn items(texts: &[&str]) -> Vec<ItemNumber> {
        let parsed = texts.iter().map(|text| ItemNumber::parse(*text).unwrap());
        parsed.collect()
    }

    fn warehouses(texts: &[&str]) -> Vec<WarehouseId> {
        let parsed = texts.iter().map(|text| WarehouseId::parse(*text).unwrap());
        parsed.collect()
    }

    fn company() -> LegalEntity {
        LegalEntity::parse("usmf").unwrap()
    }

    fn row(company: &str, item: &str, warehouse: &str) -> String {
        serde_json::json!({
            "dataAreaId": company, "ItemNumber": item, "ProductColorId": "",
            "ProductConfigurationId": "", "ProductSizeId": "", "ProductStyleId": "",
            "ProductVersionId": "", "InventorySiteId": "1", "InventoryWarehouseId": warehouse,
            "AvailableOnHandQuantity": 1, "OnHandQuantity": 1, "ReservedOnHandQuantity": 0,
            "OrderedQuantity": 0,
        })
        .to_string()
    }

    #[test]
    fn a_row_that_was_not_asked_for_leaves_doubt() {
        // Asked for in warehouses 11 and Wh; rows; how many count; whose absence is not proved.
        for (asked, rows, counted, unproved) in [
            (
                &["A", "B"][..],
                &[("usmf", "A", "11"), ("USMF", "A", "Wh")][..],
                2,
                &[][..],
            ),
            // Another spelling is the one asked for.
            (&["A-1", "B"], &[("usmf ", "a-1", "wh")], 1, &[]),
            (&["A-1", "B"], &[("usmf", "A-1 ", "WH  ")], 1, &[]),
            // Another company or warehouse: its item is in doubt.
            (&["A", "B"], &[("dat", "A", "11")], 0, &["A"]),
            (&["A", "B"], &[("usmf", "A", "12")], 0, &["A"]),
            (&["A", "B"], &[("usmf", "A", "")], 0, &["A"]),
            // A row nobody can explain: all that is missing is in doubt.
            (
                &["A", "B", "C"],
                &[("usmf", "A", "11"), ("usmf", "Z", "11")],
                1,
                &["B", "C"],
            ),
            // Doubtful items, and those they may be.
            (&["straße", "café", "B"], &[], 0, &["café", "straße"]),
            (&["café", "B"], &[("usmf", "CAFÉ", "11")], 1, &["café"]),
            (
                &["straße", "STRASSE", "B"],
                &[("usmf", "straße", "11")],
                1,
                &["STRASSE", "straße"],
            ),
        ] {
            let entity = OnHandEntity::default();
            let (company, places, asked) = (company(), warehouses(&["11", "Wh"]), items(asked));
            let mut check = EchoCheck::new(&entity, &company, &places, &asked);
            for (company, item, warehouse) in rows {
                check.take(&row(company, item, warehouse)).unwrap();
            }
            let mut expected = items(unproved);
            expected.sort();
            assert_eq!(check.unproved(), expected, "{asked:?} {rows:?}");
            assert_eq!(check.rows.len(), counted, "{rows:?}");
            assert_eq!(
                check.dropped_rows,
                (rows.len() - counted) as u64,
                "{rows:?}"
            );
        }
    }

    #[test]
    fn an_item_with_a_wildcard_is_refused() {
        let question = look_up_query(
            &OnHandEntity::default(),
            &company(),
            &items(&["A*"]),
            &warehouses(&["1"]),
        );
        assert!(matches!(question, Err(D365Error::Unaskable { .. })));
    }

    proptest! {
        #[test]
        fn chunks_hold_every_item_once_in_order_and_fit_an_address(
            texts in prop::collection::vec("[A-Z' %ä]{0,39}[A-Z%ä]", 0..80),
            warehouse_texts in prop::collection::vec("[A-Z']{1,10}", 1..20),
            longest in 1_000_usize..16_000,
        ) {
            let items: Vec<_> = texts.iter().map(|t| ItemNumber::parse(t.as_str()).unwrap()).collect();
            let warehouses: Vec<_> =
                warehouse_texts.iter().map(|t| WarehouseId::parse(t.as_str()).unwrap()).collect();
            let host = "https://contoso-quality-assurance.sandbox.operations.eu.dynamics.com";
            let set_url = format!("{host}/data/WarehousesOnHandV2");
            let rough = look_up_chunks(&items, &warehouses, longest);
            let exact =
                exact_chunks(&items, &warehouses, &OnHandEntity::default(), &company(), set_url.len(), longest)
                    .unwrap();
            for chunks in [rough, exact] {
                prop_assert_eq!(&chunks.concat(), &items);
                for chunk in chunks {
                    prop_assert!((1..=most_items(longest)).contains(&chunk.len()));
                    let query = look_up_query(&OnHandEntity::default(), &company(), &chunk, &warehouses).unwrap();
                    let url = Url::parse(&format!("{set_url}?{query}")).unwrap();
                    prop_assert!(chunk.len() == 1 || url.as_str().len() <= longest);
                }
            }
        }
    }

    #[test]
    fn ordinary_items_go_out_twenty_five_at_a_time() {
        let numbers = (0..60).map(|number| ItemNumber::parse(format!("D{number:09}")).unwrap());
        let items: Vec<_> = numbers.collect();
        let lengths: Vec<usize> = look_up_chunks(&items, &warehouses(&["11", "24"]), 2_000)
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(lengths, [25, 25, 10]);
        assert_eq!(most_items(8_000), 100);
        assert_eq!(most_items(1_000_000), 200);
    }
}

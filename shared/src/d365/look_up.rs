//! A live question for some items, and what its answer proves.

use crate::d365::D365Error;
use crate::d365::entity::OnHandEntity;
use crate::d365::filter::Filter;
use crate::d365::on_hand_page::{RowReader, bad_row};
use crate::d365::query::{Query, encoded_length};
use crate::process::guards::{self, Guard};
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
pub(in crate::d365) fn exact_chunks(
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
pub(in crate::d365) fn look_up_query(
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
pub(in crate::d365) struct EchoCheck<'q> {
    reader: &'q RowReader,
    legal_entity: &'q LegalEntity,
    warehouses: &'q [WarehouseId],
    /// By comparison key.
    items: HashMap<&'q str, &'q ItemNumber>,
    found: BTreeSet<&'q ItemNumber>,
    /// Rows that were asked for.
    pub(in crate::d365) rows: Vec<OnHandRow>,
    /// Rows that were not.
    pub(in crate::d365) dropped_rows: u64,
    unproved: BTreeSet<&'q ItemNumber>,
    proves_nothing: bool,
}

impl<'q> EchoCheck<'q> {
    /// Expects rows of these items in these warehouses of this company.
    pub(in crate::d365) fn new(
        reader: &'q RowReader,
        legal_entity: &'q LegalEntity,
        warehouses: &'q [WarehouseId],
        items: &'q [ItemNumber],
    ) -> Self {
        Self {
            reader,
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

    /// Takes a row, whose number is told in errors.
    pub(in crate::d365) fn take(&mut self, number: u64, json: &[u8]) -> Result<(), D365Error> {
        let raw = self
            .reader
            .read(json)
            .map_err(|problem| bad_row(number, &problem))?;
        let item = self.items.get(&*comparison_key(raw.item())).copied();
        let item =
            item.filter(|item| !guards::is_off(Guard::RowEcho) || item.as_str() == raw.item());
        let is_asked_for = self.legal_entity.is_named_by(raw.company())
            && (self.warehouses.iter()).any(|warehouse| warehouse.is_named_by(raw.warehouse()));
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
    pub(in crate::d365) fn unproved(&self) -> Vec<ItemNumber> {
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

    fn entity() -> OnHandEntity {
        let fields = FieldNames::default();
        OnHandEntity {
            set: "WarehousesOnHandV2".to_owned(),
            available: fields.available_on_hand.clone(),
            fields,
        }
    }

    fn items(texts: &[&str]) -> Vec<ItemNumber> {
        texts
            .iter()
            .map(|text| ItemNumber::parse(*text).unwrap())
            .collect()
    }

    fn warehouses(texts: &[&str]) -> Vec<WarehouseId> {
        texts
            .iter()
            .map(|text| WarehouseId::parse(*text).unwrap())
            .collect()
    }

    fn company() -> LegalEntity {
        LegalEntity::parse("usmf").unwrap()
    }

    fn row(company: &str, item: &str, warehouse: &str) -> Vec<u8> {
        serde_json::json!({
            "dataAreaId": company, "ItemNumber": item, "ProductColorId": "",
            "ProductConfigurationId": "", "ProductSizeId": "", "ProductStyleId": "",
            "ProductVersionId": "", "InventorySiteId": "1", "InventoryWarehouseId": warehouse,
            "AvailableOnHandQuantity": 1, "OnHandQuantity": 1, "ReservedOnHandQuantity": 0,
            "OrderedQuantity": 0,
        })
        .to_string()
        .into_bytes()
    }

    fn checked(asked: &[&str], rows: &[(&str, &str, &str)]) -> (usize, u64, Vec<ItemNumber>) {
        checked_in(&["11", "24"], asked, rows)
    }

    fn checked_in(
        places: &[&str],
        asked: &[&str],
        rows: &[(&str, &str, &str)],
    ) -> (usize, u64, Vec<ItemNumber>) {
        let reader = RowReader::of(&entity());
        let (company, warehouses, asked) = (company(), warehouses(places), items(asked));
        let mut check = EchoCheck::new(&reader, &company, &warehouses, &asked);
        for (number, (company, item, warehouse)) in (1..).zip(rows) {
            check.take(number, &row(company, item, warehouse)).unwrap();
        }
        (check.rows.len(), check.dropped_rows, check.unproved())
    }

    #[test]
    fn rows_that_were_asked_for_are_kept_and_absence_is_proved() {
        let answer = checked(&["A", "B"], &[("usmf", "A", "11"), ("USMF", "A", "24")]);
        assert_eq!(answer, (2, 0, vec![]));
    }

    #[test]
    fn a_row_in_another_spelling_is_the_one_asked_for() {
        for spelling in ["a-1", "A-1 "] {
            for warehouse in ["wh", "WH  "] {
                let rows = [("usmf ", spelling, warehouse)];
                let answer = checked_in(&["Wh"], &["A-1", "B"], &rows);
                assert_eq!(answer, (1, 0, vec![]), "{spelling:?}");
            }
        }
    }

    #[test]
    fn absence_of_a_doubtful_item_is_not_proved() {
        let asked = ["Stra\u{df}e", "caf\u{e9}", "B"];
        let doubtful = items(&["Stra\u{df}e", "caf\u{e9}"]);
        assert_eq!(checked(&asked, &[]), (0, 0, sorted(doubtful.clone())));
        let answer = checked(&asked, &[("usmf", "CAF\u{c9}", "11")]);
        assert_eq!(answer, (1, 0, sorted(doubtful)));
        // Nor that of an item the doubtful one may be.
        let asked = ["Stra\u{df}e", "STRASSE", "B"];
        let answer = checked(&asked, &[("usmf", "Stra\u{df}e", "11")]);
        assert_eq!(answer, (1, 0, sorted(items(&["Stra\u{df}e", "STRASSE"]))));
    }

    fn sorted(mut items: Vec<ItemNumber>) -> Vec<ItemNumber> {
        items.sort();
        items
    }

    #[test]
    fn a_row_of_another_warehouse_or_company_leaves_doubt_about_its_item() {
        for (company, warehouse) in [("dat", "11"), ("usmf", "12"), ("usmf", "")] {
            let answer = checked(&["A", "B"], &[(company, "A", warehouse)]);
            assert_eq!(answer, (0, 1, items(&["A"])));
        }
    }

    #[test]
    fn a_row_nobody_can_explain_leaves_doubt_about_all_that_is_missing() {
        let rows = [("usmf", "A", "11"), ("usmf", "Z", "11")];
        assert_eq!(checked(&["A", "B", "C"], &rows), (1, 1, items(&["B", "C"])));
    }

    #[test]
    fn an_item_with_a_wildcard_is_refused() {
        let question = look_up_query(&entity(), &company(), &items(&["A*"]), &warehouses(&["1"]));
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
                exact_chunks(&items, &warehouses, &entity(), &company(), set_url.len(), longest)
                    .unwrap();
            for chunks in [rough, exact] {
                prop_assert_eq!(&chunks.concat(), &items);
                for chunk in chunks {
                    prop_assert!((1..=most_items(longest)).contains(&chunk.len()));
                    let query = look_up_query(&entity(), &company(), &chunk, &warehouses).unwrap();
                    let url = Url::parse(&format!("{set_url}?{query}")).unwrap();
                    prop_assert!(chunk.len() == 1 || url.as_str().len() <= longest);
                }
            }
        }
    }

    #[test]
    fn ordinary_items_go_out_twenty_five_at_a_time() {
        let texts: Vec<String> = (0..60).map(|number| format!("D{number:09}")).collect();
        let items: Vec<_> = texts
            .iter()
            .map(|text| ItemNumber::parse(text.as_str()).unwrap())
            .collect();
        let lengths: Vec<usize> = look_up_chunks(&items, &warehouses(&["11", "24"]), 2_000)
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(lengths, [25, 25, 10]);
        assert_eq!(most_items(8_000), 100);
        assert_eq!(most_items(1_000_000), 200);
    }
}

//! A live question for some items, and what its answer proves.

use crate::d365::D365Error;
use crate::d365::entity::OnHandEntity;
use crate::d365::filter::Filter;
use crate::d365::on_hand_page::{RowReader, bad_row};
use crate::d365::query::{Query, encoded_length};
use crate::process::guards::{self, Guard};
use crate::settings::FieldNames;
use crate::stock::{ItemNumber, LegalEntity, OnHandRow, WarehouseId};
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
    items: HashMap<&'q str, &'q ItemNumber>,
    // Asked items by what D365's comparison makes of them.
    alike: HashMap<String, Vec<&'q ItemNumber>>,
    found: BTreeSet<ItemNumber>,
    /// Rows that were asked for.
    pub(in crate::d365) rows: Vec<OnHandRow>,
    /// Rows that were not.
    pub(in crate::d365) dropped_rows: u64,
    unproved: BTreeSet<ItemNumber>,
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
        let mut alike: HashMap<String, Vec<&ItemNumber>> = HashMap::new();
        for item in items {
            alike.entry(folded(item.as_str())).or_default().push(item);
        }
        Self {
            reader,
            legal_entity,
            warehouses,
            items: items.iter().map(|item| (item.as_str(), item)).collect(),
            alike,
            found: BTreeSet::new(),
            rows: Vec::new(),
            dropped_rows: 0,
            unproved: BTreeSet::new(),
            proves_nothing: false,
        }
    }

    /// Takes a row, whose number is told in errors.
    pub(in crate::d365) fn take(&mut self, number: u64, json: &[u8]) -> Result<(), D365Error> {
        let raw = self
            .reader
            .read(json)
            .map_err(|problem| bad_row(number, &problem))?;
        let asked_item = self.items.get(raw.item()).copied().or_else(|| {
            let alike = self.alike.get(&folded(raw.item()))?;
            guards::is_off(Guard::RowEcho).then(|| alike[0])
        });
        let asked_warehouse = self
            .warehouses
            .iter()
            .find(|warehouse| warehouse.as_str() == raw.warehouse());
        if let (Some(item), Some(warehouse)) = (asked_item, asked_warehouse)
            && self.legal_entity.is_named_by(raw.company())
            && let Some(mut row) = raw.into_row(warehouse.clone())
        {
            row.item = item.clone();
            self.found.insert(item.clone());
            self.rows.push(row);
            return Ok(());
        }
        self.drop_row(number, json)
    }

    /// A row that nobody asked for. It casts doubt on the item it looks like; if it looks like
    /// none, D365 understood the question in a way we do not know, and no absence is proved.
    fn drop_row(&mut self, number: u64, json: &[u8]) -> Result<(), D365Error> {
        self.dropped_rows += 1;
        let raw = self
            .reader
            .read(json)
            .map_err(|problem| bad_row(number, &problem))?;
        match self.alike.get(&folded(raw.item())) {
            Some(items) => self.unproved.extend(items.iter().copied().cloned()),
            None => self.proves_nothing = true,
        }
        Ok(())
    }

    /// Items whose absence this answer does not prove.
    pub(in crate::d365) fn unproved(&self) -> Vec<ItemNumber> {
        let mut unproved = self.unproved.clone();
        if self.proves_nothing {
            let missing = self.items.values().copied();
            unproved.extend(missing.filter(|item| !self.found.contains(*item)).cloned());
        }
        unproved.into_iter().collect()
    }
}

/// What D365's database takes for equal: letter case and trailing blanks do not count.
fn folded(text: &str) -> String {
    text.trim_end_matches(' ').to_lowercase()
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
        let reader = RowReader::of(&entity());
        let (company, warehouses, asked) = (company(), warehouses(&["11", "24"]), items(asked));
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
    fn a_row_that_differs_in_case_or_trailing_blanks_is_dropped_and_leaves_doubt() {
        for look_alike in ["a-1", "A-1 "] {
            let answer = checked(&["A-1", "B"], &[("usmf", look_alike, "11")]);
            assert_eq!(answer, (0, 1, items(&["A-1"])), "{look_alike:?}");
        }
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
            texts in prop::collection::vec("[A-Z' %ä]{1,40}", 0..80),
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

use super::*;
use crate::d365::entity::OnHandEntity;
use crate::settings::FieldNames;
use futures_util::{FutureExt, stream};
use proptest::prelude::*;
use std::fmt::Write;

const NEXT: &str = "https://contoso.example/data/WarehousesOnHandV2?$skip=7";

fn expectation() -> PageExpectation {
    let fields = FieldNames::default();
    PageExpectation {
        reader: Arc::new(RowReader::of(&OnHandEntity {
            set: "WarehousesOnHandV2".to_owned(),
            available: fields.available_on_hand.clone(),
            fields,
        })),
        legal_entity: LegalEntity::parse("USMF").unwrap(),
        warehouse: WarehouseId::parse("21").unwrap(),
        set_url: Url::parse("https://contoso.example/data/WarehousesOnHandV2").unwrap(),
    }
}

fn read(pieces: Vec<Vec<u8>>) -> (Vec<OnHandRow>, Result<PageEnd, D365Error>) {
    let pieces = pieces.into_iter().map(|piece| Ok(Bytes::from(piece)));
    let mut items = on_hand_page(expectation(), stream::iter(pieces).boxed());
    let mut rows = Vec::new();
    loop {
        match items.next().now_or_never().unwrap() {
            Some(Ok(PageItem::Rows(some))) => {
                assert!((1..=ROWS_AT_ONCE).contains(&some.len()));
                rows.extend(some);
            }
            Some(Ok(PageItem::End(end))) => {
                assert!(items.next().now_or_never().unwrap().is_none());
                return (rows, Ok(end));
            }
            Some(Err(error)) => return (rows, Err(error)),
            None => panic!("the stream ended without an end"),
        }
    }
}

#[derive(Debug, Clone)]
struct Wire {
    company: &'static str,
    warehouse: &'static str,
    item: String,
    color: String,
    available: String,
}

fn any_wire() -> impl Strategy<Value = Wire> {
    (
        prop_oneof![4 => Just("usmf"), 1 => Just("USMF"), 1 => Just("dat")],
        prop_oneof![4 => Just("21"), 1 => Just(""), 1 => Just("22")],
        "[ A-Z'\"\\\\{}\\[\\],:äß🦀]{0,11}[A-Zß]",
        "[a-z\"{}]{0,4}",
        prop_oneof![Just("0"), Just("-3"), Just("7.50"), Just("1E2")],
    )
        .prop_map(|(company, warehouse, item, color, available)| Wire {
            company,
            warehouse,
            item,
            color,
            available: available.to_owned(),
        })
}

fn page(rows: &[Wire], blanks: &str, link_first: bool) -> String {
    let mut body = format!("{{{blanks}\"@odata.context\":\"c#[]{{}}\",");
    let link = format!("\"@odata.nextLink\"{blanks}:\"{NEXT}\"");
    if link_first {
        write!(body, "{link},{blanks}").unwrap();
    }
    write!(body, "\"value\"{blanks}:{blanks}[").unwrap();
    for (at, row) in rows.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        write!(
            body,
            "{comma}{blanks}{{\"@odata.etag\":\"W/\\\"x\\\"\",{blanks}\"dataAreaId\":{:?},\
             \"ItemNumber\":{},\"ProductColorId\":{},\"ProductConfigurationId\":\"\",\
             \"ProductSizeId\":null,\"ProductStyleId\":\"\",\"ProductVersionId\":\"\",\
             \"InventorySiteId\":\"2\",\"InventoryWarehouseId\":{:?},\
             \"AvailableOnHandQuantity\":{},\"OnHandQuantity\":1,\"ReservedOnHandQuantity\":0,\
             \"OrderedQuantity\":0.00}}{blanks}",
            row.company,
            serde_json::to_string(&row.item).unwrap(),
            serde_json::to_string(&row.color).unwrap(),
            row.warehouse,
            row.available,
        )
        .unwrap();
    }
    body.push(']');
    if !link_first {
        write!(body, "{blanks},{link}").unwrap();
    }
    body.push('}');
    body
}

fn cut_at(body: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| body[pair[0]..pair[1]].to_vec())
        .collect()
}

proptest! {
    #[test]
    fn the_cut_of_the_bytes_does_not_change_the_rows(
        wires in prop::collection::vec(any_wire(), 0..12),
        blanks in prop_oneof![Just(""), Just(" \r\n\t")],
        link_first in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let body = page(&wires, blanks, link_first);
        let (rows, end) = read(cut_at(body.as_bytes(), &cuts));
        let end = end.unwrap();
        let asked: Vec<&Wire> = wires
            .iter()
            .filter(|wire| wire.warehouse == "21" && wire.company.eq_ignore_ascii_case("usmf"))
            .collect();
        prop_assert_eq!(end.rows, wires.len() as u64);
        prop_assert_eq!(end.dropped_rows, (wires.len() - asked.len()) as u64);
        prop_assert_eq!(
            end.next_link.as_ref().map(NextLink::as_str),
            Some("/data/WarehousesOnHandV2?$skip=7")
        );
        prop_assert_eq!(rows.len(), asked.len());
        for (row, wire) in rows.iter().zip(asked) {
            prop_assert_eq!(row.item.as_str(), &wire.item);
            prop_assert_eq!(row.dimensions.color.as_str(), &wire.color);
            prop_assert_eq!(
                row.quantities.available,
                wire.available.parse().unwrap()
            );
        }
    }

    #[test]
    fn a_body_cut_short_anywhere_is_an_error(
        wires in prop::collection::vec(any_wire(), 0..4),
        link_first in any::<bool>(),
        end in any::<prop::sample::Index>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let body = page(&wires, "", link_first);
        let short = &body.as_bytes()[..end.index(body.len())];
        let (_, end) = read(cut_at(short, &cuts));
        let is_bad = matches!(end, Err(D365Error::BadAnswer { .. }));
        prop_assert!(is_bad, "{:?}", end);
    }
}

#[test]
fn a_row_whose_item_nobody_can_ask_for_is_not_a_foreign_one() {
    let wire = |item: &str| Wire {
        company: "usmf",
        warehouse: "21",
        item: item.to_owned(),
        color: String::new(),
        available: "1".to_owned(),
    };
    let body = page(&[wire("A"), wire("A\t1"), wire("")], "", false);
    let (rows, end) = read(vec![body.into_bytes()]);
    let end = end.unwrap();
    assert_eq!((rows.len(), end.rows), (1, 3));
    assert_eq!((end.nameless_rows, end.dropped_rows), (2, 0));
}

#[test]
fn a_broken_connection_is_an_error_even_after_whole_rows() {
    let wire = Wire {
        company: "usmf",
        warehouse: "21",
        item: "A".to_owned(),
        color: String::new(),
        available: "1".to_owned(),
    };
    let body = page(&[wire], "", false);
    let broken = Err(D365Error::Connection {
        cause: "reset".to_owned(),
    });
    let pieces = stream::iter([Ok(Bytes::from(body)), broken]);
    let mut items = on_hand_page(expectation(), pieces.boxed());
    let first = items.next().now_or_never().unwrap();
    assert!(
        matches!(first, Some(Err(D365Error::Connection { .. }))),
        "{first:?}"
    );
    assert!(items.next().now_or_never().unwrap().is_none());
}

#[test]
fn a_long_page_leaves_in_bounded_pieces_in_order() {
    let wires: Vec<Wire> = (0..1_201)
        .map(|number| Wire {
            company: "usmf",
            warehouse: "21",
            item: format!("I{number:05}"),
            color: String::new(),
            available: number.to_string(),
        })
        .collect();
    let (rows, end) = read(vec![page(&wires, "", true).into_bytes()]);
    assert_eq!(end.unwrap().rows, 1_201);
    assert!(rows.is_sorted_by(|a, b| a.item < b.item));
    assert_eq!(rows.len(), 1_201);
}

#[test]
fn a_bad_row_is_named_by_number_and_property() {
    let body = br#"{"value":[{"dataAreaId":"usmf","AvailableOnHandQuantity":null}]}"#;
    let (_, end) = read(vec![body.to_vec()]);
    let problem = end.unwrap_err().to_string();
    assert!(problem.contains("row 1"), "{problem}");
    assert!(
        problem.contains("AvailableOnHandQuantity is null"),
        "{problem}"
    );
}

#[test]
fn a_link_to_another_host_spoils_the_page() {
    let body = br#"{"value":[],"@odata.nextLink":"https://evil.example/data/WarehousesOnHandV2"}"#;
    let (_, end) = read(vec![body.to_vec()]);
    assert!(end.unwrap_err().to_string().contains("evil.example"));
}

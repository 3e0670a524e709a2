use super::*;
use crate::clock::UtcMillis;
use crate::odata::entities::EntitySet;
use crate::odata::errors::ODataError;
use crate::odata::select::{Search, select};
use crate::world::{StockChange, StockKey, World};

const SET: EntitySet = EntitySet::WarehousesOnHand;

fn world() -> World {
    let mut world = World::empty(1000);
    let rows = [
        ("A", "11", "10", "0"),
        ("B", "11", "-3", "0"),
        ("C", "24", "0.5", "0"),
        ("a'b", "24", "7", "2"),
        ("a''b", "24", "7", "7"),
        (" lead", "11", "1", "0"),
        ("Müller", "", "4", "0"),
    ];
    for (item, warehouse, on_hand, reserved) in rows {
        let change = StockChange {
            reserved: Some(reserved.into()),
            managed: Some(warehouse == "24"),
            ..StockChange::on_hand(on_hand)
        };
        world
            .put(
                &StockKey::of("usmf", item, warehouse),
                &change,
                UtcMillis::BEGINNING,
            )
            .unwrap();
    }
    world
}

/// Items that fulfil a filter, found the short way and by looking at every row.
fn found(filter: &str) -> Vec<String> {
    let world = world();
    let condition = parse(filter, SET).unwrap();
    let items = |filter: Option<&Expression>| -> Vec<_> {
        let search = Search {
            set: SET,
            filter,
            order: &[],
            only_company: None,
            skip: 0,
            take: 1000,
            count: false,
            shuffle: None,
        };
        select(&world, &search).rows.into_iter().collect()
    };
    let names = |rows: &[crate::odata::entities::SetRow<'_>]| -> Vec<String> {
        rows.iter()
            .map(|row| row.item.unwrap().number.raw().to_owned())
            .collect()
    };
    let short = names(&items(Some(&condition)));
    let all: Vec<_> = items(None)
        .into_iter()
        .filter(|row| matches(&condition, row))
        .collect();
    assert_eq!(
        short,
        names(&all),
        "the short way finds the same for {filter}"
    );
    short
}

fn refused(filter: &str) -> String {
    parse(filter, SET).unwrap_err().to_string()
}

#[test]
fn and_binds_closer_than_or() {
    let left = found("ItemNumber eq 'A' or ItemNumber eq 'B' and InventoryWarehouseId eq '24'");
    assert_eq!(left, ["A"]);
    let grouped =
        found("(ItemNumber eq 'A' or ItemNumber eq 'C') and InventoryWarehouseId eq '24'");
    assert_eq!(grouped, ["C"]);
}

#[test]
fn not_binds_closer_than_everything() {
    assert_eq!(
        found("not (ItemNumber eq 'A') and InventoryWarehouseId eq '11'"),
        [" lead", "B"]
    );
    assert!(
        refused("not ItemNumber eq 'A'")
            .contains("operand type 'Edm.String' for operator kind 'Not'")
    );
}

#[test]
fn products_bind_closer_than_sums_and_sums_than_comparisons() {
    assert_eq!(found("OnHandQuantity add 2 mul 3 eq 16"), ["A"]);
    assert_eq!(found("(OnHandQuantity add 2) mul 3 eq 36"), ["A"]);
    assert_eq!(
        found("OnHandQuantity sub ReservedOnHandQuantity eq 0"),
        ["a''b"]
    );
    assert_eq!(found("OnHandQuantity eq -3"), ["B"]);
    assert_eq!(found("-OnHandQuantity eq 3.0"), ["B"]);
    assert_eq!(
        found("OnHandQuantity mod 4 eq 3 and OnHandQuantity div 7 eq 1"),
        ["a''b", "a'b"]
    );
    assert_eq!(found("OnHandQuantity divby 0 eq 1"), [""; 0]);
}

#[test]
fn a_doubled_quote_is_one_quote() {
    assert_eq!(found("ItemNumber eq 'a''b'"), ["a'b"]);
    assert_eq!(found("ItemNumber eq 'a''''b'"), ["a''b"]);
    assert!(refused("ItemNumber eq 'a'b'").contains("unterminated string literal"));
    assert!(refused("ItemNumber eq 'a' b").contains("Syntax error"));
}

#[test]
fn comparison_ignores_case_and_trailing_blanks_and_counts_leading_ones() {
    assert_eq!(found("ItemNumber eq 'MÜLLER'"), ["Müller"]);
    assert_eq!(found("dataAreaId eq 'USMF' and ItemNumber eq 'a'"), ["A"]);
    assert_eq!(found("ItemNumber eq 'lead'"), [""; 0]);
    assert_eq!(found("ItemNumber eq ' lead'"), [" lead"]);
    assert_eq!(found("ItemNumber eq 'A '"), ["A"]);
    assert_eq!(found("InventoryWarehouseId eq ''"), ["Müller"]);
    assert_eq!(
        found("InventoryWarehouseId ne '' and ItemNumber lt 'B'"),
        [" lead", "A", "a''b", "a'b"]
    );
}

#[test]
fn bounds_work_from_both_sides() {
    assert_eq!(found("ItemNumber gt 'b'"), ["C", "Müller"]);
    assert_eq!(found("ItemNumber ge 'b'"), ["B", "C", "Müller"]);
    assert_eq!(
        found("'B' ge ItemNumber and 'A' lt ItemNumber"),
        ["a''b", "a'b", "B"]
    );
    assert_eq!(found("ItemNumber gt 'B' and ItemNumber lt 'A'"), [""; 0]);
    assert_eq!(found("ItemNumber gt 'B' and ItemNumber lt 'B'"), [""; 0]);
    assert_eq!(found("ItemNumber eq 'A' and ItemNumber eq 'B'"), [""; 0]);
    assert_eq!(
        found("ItemNumber gt 'C' or (ItemNumber eq 'C' and InventoryWarehouseId ge '24')"),
        ["C", "Müller"]
    );
    assert_eq!(found("not (ItemNumber gt 'A')"), [" lead", "A"]);
}

#[test]
fn a_star_is_a_wildcard_in_eq_and_ne_only() {
    assert_eq!(found("ItemNumber eq '*b'"), ["a''b", "a'b", "B"]);
    assert_eq!(found("ItemNumber eq 'A*'"), ["A", "a''b", "a'b"]);
    assert_eq!(found("ItemNumber eq 'a*''b'"), ["a''b", "a'b"]);
    assert_eq!(found("ItemNumber eq '*LL*'"), ["Müller"]);
    assert_eq!(found("ItemNumber eq '**'").len(), 7);
    assert_eq!(
        found("ItemNumber ne '*b' and ItemNumber gt 'A'"),
        ["C", "Müller"]
    );
    assert_eq!(found("ItemNumber gt '*'").len(), 6);
}

#[test]
fn enums_take_eq_and_ne_only() {
    let yes = "Microsoft.Dynamics.DataEntities.NoYes'Yes'";
    assert_eq!(
        found(&format!("AreWarehouseManagementProcessesUsed eq {yes}")),
        ["a''b", "a'b", "C"]
    );
    assert_eq!(
        found(&format!("AreWarehouseManagementProcessesUsed ne {yes}")).len(),
        4
    );
    assert!(
        refused(&format!("AreWarehouseManagementProcessesUsed gt {yes}")).contains("incompatible")
    );
    assert!(refused("AreWarehouseManagementProcessesUsed eq 'Yes'").contains("incompatible"));
    assert!(
        refused("AreWarehouseManagementProcessesUsed eq Other.Enum'Yes'").contains("enumeration")
    );
}

#[test]
fn null_equals_nothing_here() {
    assert_eq!(found("ProductName eq null"), [""; 0]);
    assert_eq!(found("ProductName ne null").len(), 7);
}

#[test]
fn what_the_product_does_not_support_is_refused() {
    assert!(refused("ItemNumber in ('A','B')").contains("'in'"));
    assert!(refused("AreWarehouseManagementProcessesUsed has X.Y'Yes'").contains("'has'"));
    assert!(refused("contains(ItemNumber,'A')").contains("'contains'"));
    assert!(refused("startswith(ItemNumber,'A') eq true").contains("'startswith'"));
}

#[test]
fn nonsense_is_refused() {
    for filter in [
        "",
        "ItemNumber",
        "'A'",
        "ItemNumber eq",
        "eq 'A'",
        "ItemNumber eq 'A' and",
        "(ItemNumber eq 'A'",
        "ItemNumber eq 'A')",
        "ItemNumber = 'A'",
        "ItemNumber eq \"A\"",
        "ItemNumber eq 5",
        "OnHandQuantity eq '5'",
        "OnHandQuantity eq 5x",
        "ItemNumber eq 'A' ItemNumber eq 'B'",
        "ItemNumber EQ 'A'",
        "ItemNumber eq 'A' && true",
        "ItemNumber add 'x' eq 'Ax'",
        "OnHandQuantity",
        "5 eq 5 eq 5",
        "{ItemNumber eq 'A'}",
        "a eq\u{0}'b'",
    ] {
        assert!(
            matches!(
                parse(filter, SET),
                Err(ODataError::InvalidQuery(_) | ODataError::UnknownProperty { .. })
            ),
            "{filter:?}"
        );
    }
}

#[test]
fn nesting_and_length_are_bounded() {
    let deep = format!("{}ItemNumber eq 'A'{}", "(".repeat(5000), ")".repeat(5000));
    assert!(parse(&deep, SET).is_err());
    let negated = format!("{}(ItemNumber eq 'A')", "not ".repeat(2000));
    assert!(parse(&negated, SET).is_err());
    let long = vec!["ItemNumber eq 'A'"; 600].join(" or ");
    assert!(refused(&long).contains("node count"));
    let chunk = vec!["ItemNumber eq 'A'"; 400].join(" or ");
    assert_eq!(found(&chunk), ["A"]);
    let sum = format!("OnHandQuantity eq 0{}", " add 1".repeat(990));
    assert_eq!(found(&sum), [""; 0]);
}

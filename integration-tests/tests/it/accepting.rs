//! An operator believes a snapshot that the guard does not.

use crate::house::{House, world};
use d365_simulator::StockKey;
use std::process::Output;

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

async fn accept(house: &House, more: &[&str]) -> (bool, String) {
    let mut arguments = vec!["accept", "24", "--by", "the warehouse manager"];
    arguments.extend(more);
    let output = house.worker(&arguments).await;
    (output.status.success(), said(&output))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_really_became_small_is_accepted_and_only_then_are_its_items_absent() {
    let house = House::with(world(300), &["24"]).await;
    let (accepted, why) = accept(&house, &[]).await;
    assert!(!accepted && why.contains("nothing was read"), "{why}");
    house.snapshot().await;
    let (accepted, why) = accept(&house, &[]).await;
    assert!(!accepted && why.contains("not quarantined"), "{why}");

    // Two thirds of the warehouse are sold out and taken off the books.
    let rows = house.d365().truth("usmf", Some("24"), None).unwrap();
    let mut gone = None;
    for row in rows.iter().filter(|row| row.color.is_empty()) {
        if gone.is_none() || row.item.ends_with(['1', '2', '3', '4', '5', '6']) {
            let key = StockKey::of("usmf", &row.item, "24");
            if house.d365().delete_stock(&key).is_ok() {
                gone = Some(row.item.clone());
            }
        }
    }
    let gone = gone.unwrap();
    let quarantined = house.worker(&["once"]).await;
    assert!(!quarantined.status.success());
    assert!(said(&quarantined).contains("below 90 %"), "{quarantined:?}");
    let (mut service, api) = house.api().await;
    let state = async || {
        let reply = api.fast("24", &[&gone]).await.unwrap();
        reply.line(&gone).unwrap()["state"].clone()
    };
    assert_eq!(
        state().await,
        "PRESENT",
        "nothing is absent by a cycle in doubt"
    );

    let (accepted, why) = accept(&house, &["--generation", "1"]).await;
    assert!(!accepted && why.contains("is 2"), "{why}");
    let (accepted, why) = accept(&house, &["--generation", "2"]).await;
    assert!(accepted, "{why}");
    assert_eq!(state().await, "SUSPECT", "one snapshot has missed it");
    // The guard has learned the new size, and a second snapshot proves the absence.
    house.snapshot().await;
    assert_eq!(state().await, "ABSENT");

    let history = house.worker(&["history", "24"]).await;
    let text = String::from_utf8(history.stdout).unwrap();
    let entries: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let states: Vec<&str> = entries
        .iter()
        .map(|entry| entry["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["complete", "complete", "quarantined", "complete"]);
    assert_eq!(entries[1]["accepted_by"], "the warehouse manager");
    assert_eq!(entries[1]["generation"], 2);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_another_warehouse_are_never_accepted_and_nothing_only_with_a_word() {
    use d365_simulator::{Action, FaultSpec, Kind};
    let house = House::with(world(100), &["24"]).await;
    house.snapshot().await;
    let foreign = Action::WrongWarehouse {
        warehouse: "11".to_owned(),
        every: 7,
    };
    for (action, plain, with_word) in [
        (foreign, "cannot be accepted", false),
        (Action::Empty, "--even-if-empty", true),
    ] {
        house.d365().add_fault(FaultSpec::on(Kind::Page, action));
        assert!(!house.worker(&["once"]).await.status.success());
        house.d365().clear_faults();
        let (accepted, why) = accept(&house, &[]).await;
        assert!(!accepted && why.contains(plain), "{why}");
        let (accepted, why) = accept(&house, &["--even-if-empty"]).await;
        assert_eq!(accepted, with_word, "{why}");
    }
}

//! An operator believes a snapshot that the guard does not.

use d365_simulator::{Action, FaultSpec, Kind};
use integration_tests::test_bed::{Failure, TestBed, world};
use serde_json::Value;

async fn accept(bed: &TestBed, more: &[&str]) -> Result<(bool, String), Failure> {
    let mut arguments = vec!["accept", "24", "--by", "the warehouse manager"];
    arguments.extend(more);
    let ended = bed.tool(&arguments).await?;
    let text = String::from_utf8([ended.stdout, ended.stderr].concat())?;
    Ok((ended.status.success(), text))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warehouse_that_really_became_small_is_accepted_and_only_then_are_its_items_absent()
-> Result<(), Failure> {
    let bed = TestBed::start(world(300), &["24"]).await?;
    let (accepted, why) = accept(&bed, &[]).await?;
    assert!(!accepted && why.contains("nothing was read"), "{why}");
    bed.snapshot().await?;
    let (accepted, why) = accept(&bed, &[]).await?;
    assert!(!accepted && why.contains("not quarantined"), "{why}");

    // Two thirds of the warehouse are sold out and taken off the books.
    let rows = bed.d365().truth("usmf", Some("24"), None)?;
    let mut plain = rows.iter().filter(|row| row.color.is_empty());
    let gone = plain.next().ok_or("the world is empty")?.item.clone();
    bed.remove(&gone, "24")?;
    for row in plain.filter(|row| row.item.ends_with(['1', '2', '3', '4', '5', '6'])) {
        // Some have dimensions besides colours and stay.
        let _ = bed.remove(&row.item, "24");
    }
    let quarantined = bed.tool(&["once"]).await?;
    assert!(!quarantined.status.success());
    let said = String::from_utf8([quarantined.stdout, quarantined.stderr].concat())?;
    assert!(said.contains("below 90 %"), "{said}");
    let (mut service, api) = bed.api().await?;
    let state = async || -> Result<Value, Failure> {
        let reply = api.fast("24", &[&gone]).await?;
        Ok(reply.json["data"][0]["state"].clone())
    };
    assert_eq!(state().await?, "PRESENT", "absent by a cycle in doubt");

    let (accepted, why) = accept(&bed, &["--generation", "1"]).await?;
    assert!(!accepted && why.contains("is 2"), "{why}");
    let (accepted, why) = accept(&bed, &["--generation", "2"]).await?;
    assert!(accepted, "{why}");
    assert_eq!(state().await?, "SUSPECT", "one snapshot has missed it");
    // The guard has learned the new size, and a second snapshot proves the absence.
    bed.snapshot().await?;
    assert_eq!(state().await?, "ABSENT");

    let history = bed.tool(&["history", "24"]).await?;
    let entries = String::from_utf8(history.stdout)?;
    let entries: Vec<Value> = entries
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let states: Vec<&Value> = entries.iter().map(|entry| &entry["state"]).collect();
    assert_eq!(states, ["complete", "complete", "quarantined", "complete"]);
    assert_eq!(entries[1]["accepted_by"], "the warehouse manager");
    assert_eq!(entries[1]["generation"], 2);
    service.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_another_warehouse_are_never_accepted_and_an_empty_one_only_with_its_flag()
-> Result<(), Failure> {
    let bed = TestBed::start(world(100), &["24"]).await?;
    bed.snapshot().await?;
    let foreign = Action::WrongWarehouse {
        warehouse: "11".to_owned(),
        every: 7,
    };
    for (action, plain, with_flag) in [
        (foreign, "cannot be accepted", false),
        (Action::Empty, "--even-if-empty", true),
    ] {
        bed.d365().add_fault(FaultSpec::on(Kind::Page, action));
        assert!(!bed.tool(&["once"]).await?.status.success());
        bed.d365().clear_faults();
        let (accepted, why) = accept(&bed, &[]).await?;
        assert!(!accepted && why.contains(plain), "{why}");
        let (accepted, why) = accept(&bed, &["--even-if-empty"]).await?;
        assert_eq!(accepted, with_flag, "{why}");
    }
    Ok(())
}

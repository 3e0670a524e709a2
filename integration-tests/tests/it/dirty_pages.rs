//! What D365 sends when it is broken never becomes a zero or an absence.

use crate::house::{House, world};
use d365_simulator::{Action, CutPoint, FaultSpec, Kind};
use std::collections::BTreeMap;

/// Everything FAST says about these SKUs, without what changes by itself.
async fn said(house: &House, skus: &[String]) -> BTreeMap<String, (String, String)> {
    let (mut service, api) = house.api().await;
    let mut said = BTreeMap::new();
    for skus in skus.chunks(500) {
        let skus: Vec<&str> = skus.iter().map(String::as_str).collect();
        let reply = api.fast("24", &skus).await.unwrap();
        for line in reply.json["data"].as_array().unwrap() {
            let state = line["state"].as_str().unwrap().to_owned();
            let number = line["availableStock"].to_string();
            said.insert(line["sku"].as_str().unwrap().to_owned(), (state, number));
        }
    }
    service.stop().await.unwrap();
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_becomes_zero_or_absent_by_a_broken_answer() {
    let mut d365 = world(600);
    d365.page_size = 100;
    let mut house = House::with(d365, &["24"]).await;
    house.reconfigure(|config| "[worker]\npage_size = 100\n".clone_into(&mut config.more));
    house.snapshot().await;
    let watermark = house.feed("24").await["watermark"].clone();
    let rows = house.d365().truth("usmf", Some("24"), None).unwrap();
    let skus: Vec<String> = rows.into_iter().map(|row| row.item).collect();
    let good = said(&house, &skus).await;
    assert!(good.values().all(|(state, _)| state == "PRESENT"));

    let html = |kind: &str| Action::Html {
        content_type: kind.to_owned(),
    };
    let faults: Vec<(&str, FaultSpec, &str, &str)> = vec![
        (
            "half a page",
            FaultSpec::on(
                Kind::Page,
                Action::Cut {
                    after: CutPoint::Rows(40),
                },
            ),
            "partial",
            "page 1",
        ),
        (
            "half a body",
            FaultSpec::on(Kind::Page, Action::BadJson),
            "partial",
            "page 1",
        ),
        (
            "HTML with 200",
            FaultSpec::on(Kind::Page, html("text/html")),
            "partial",
            "page 1",
        ),
        (
            "HTML that lies",
            FaultSpec::on(Kind::Page, html("application/json")),
            "partial",
            "page 1",
        ),
        (
            "an error on the way",
            FaultSpec::on(Kind::Page, Action::ServerError),
            "partial",
            "500",
        ),
        (
            "no permission",
            FaultSpec::on(Kind::Page, Action::Forbidden),
            "partial",
            "403",
        ),
        (
            "another company",
            FaultSpec::on(
                Kind::Page,
                Action::WrongCompany {
                    company: "dat".to_owned(),
                },
            ),
            "quarantined",
            "another company or warehouse",
        ),
        (
            "another warehouse mixed in",
            FaultSpec::on(
                Kind::Page,
                Action::WrongWarehouse {
                    warehouse: "11".to_owned(),
                    every: 7,
                },
            ),
            "quarantined",
            "another company or warehouse",
        ),
        (
            "nothing at all",
            FaultSpec::on(Kind::Page, Action::Empty),
            "quarantined",
            "no rows",
        ),
        (
            "half the warehouse",
            FaultSpec::on(Kind::Page, Action::Halve),
            "quarantined",
            "below 90 %",
        ),
        (
            "no token",
            FaultSpec::on(Kind::Token, Action::Unauthorized),
            "partial",
            "token",
        ),
    ];
    for (name, fault, state, reason) in faults {
        house.d365().clear_faults();
        house.d365().add_fault(fault);
        let done = house.worker(&["once"]).await;
        assert!(!done.status.success(), "{name}");
        assert!(
            house.d365().faults()[0].fired > 0,
            "{name}: the fault did not happen"
        );
        let feed = house.feed("24").await;
        assert_eq!(feed["state"], state, "{name}: {feed:?}");
        assert!(feed["reason"].contains(reason), "{name}: {feed:?}");
        assert_eq!(feed["watermark"], watermark, "{name}: the watermark moved");
        assert_eq!(said(&house, &skus).await, good, "{name}");
    }
    // Healthy again, the feed is as before.
    house.d365().clear_faults();
    house.snapshot().await;
    let feed = house.feed("24").await;
    assert_eq!(feed["state"], "complete");
    assert!(
        feed["watermark"] > watermark && !feed.contains_key("reason"),
        "{feed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_fails_once_is_read_again_and_nothing_is_lost() {
    let mut d365 = world(400);
    d365.page_size = 50;
    let mut house = House::with(d365, &["24"]).await;
    house.reconfigure(|config| "[worker]\npage_size = 50\n".clone_into(&mut config.more));
    let cut = FaultSpec::on(
        Kind::Page,
        Action::Cut {
            after: CutPoint::Rows(20),
        },
    );
    house.d365().add_fault(cut.nth(3));
    house
        .d365()
        .add_fault(FaultSpec::on(Kind::Page, Action::ServerError).nth(5));
    house.snapshot().await;
    assert!(house.d365().faults().iter().all(|fault| fault.fired == 1));
    let rows = house.d365().truth("usmf", Some("24"), None).unwrap();
    let feed = house.feed("24").await;
    assert_eq!(feed["rows"], rows.len().to_string(), "{feed:?}");
}

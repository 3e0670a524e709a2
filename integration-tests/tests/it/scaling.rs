//! Workers come and go while a cycle is under way.

use d365_simulator::{Kind, LoadModel};
use integration_tests::eventually::eventually;
use integration_tests::test_bed::{Failure, TestBed, most_at_once, world};
use std::collections::BTreeSet;

const WAREHOUSES: [&str; 2] = ["11", "24"];
const PAGE_MS: u64 = 150;

/// Workers that hold parts now.
async fn holders(bed: &TestBed) -> Result<usize, Failure> {
    let parts: Vec<String> = bed.redis(&["KEYS", "inv:contoso:shard:*#*"]).await?;
    let mut holders = BTreeSet::new();
    for part in parts {
        holders.extend(bed.hash(&part).await?.remove("holder"));
    }
    Ok(holders.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go_during_a_cycle_and_no_page_is_read_twice() -> Result<(), Failure> {
    let mut d365 = world(5_000);
    d365.load.base_ms = PAGE_MS / 5;
    let bed = TestBed::configured(d365, &WAREHOUSES, |config| {
        config.more =
            "[worker]\npage_size = 100\nlease = \"5s\"\nshard_time = \"100ms\"\n".to_owned();
        "1h".clone_into(&mut config.refresh_interval);
    })
    .await?;
    // Read once, so that it is known where to split the warehouses; pages take longer from now on.
    bed.snapshot().await?;
    bed.d365().set_load(LoadModel {
        base_ms: PAGE_MS,
        ..LoadModel::default()
    });
    for warehouse in WAREHOUSES {
        bed.make_due(warehouse).await?;
    }
    let before = bed.last_request();
    let mut workers = vec![bed.worker("first").await?];
    for number in 2..=6 {
        workers.push(bed.worker(&format!("worker {number}")).await?);
    }
    eventually("several workers read", async || {
        (holders(&bed).await.ok()? >= 3).then_some(())
    })
    .await?;
    for worker in &mut workers[..4] {
        worker.stop().await?;
    }
    for warehouse in WAREHOUSES {
        let feed = eventually("the second snapshot", async || {
            let feed = bed.feed(warehouse).await.ok()?;
            (feed.get("sealed")? == "2").then_some(feed)
        })
        .await?;
        assert_eq!(feed["state"], "complete", "{feed:?}");
        let truth = bed.d365().truth("usmf", Some(warehouse), None)?;
        assert_eq!(feed["rows"], truth.len().to_string(), "{warehouse}");
    }
    let pages = bed.requests(Kind::Page, before);
    let addresses: BTreeSet<&String> = pages.iter().map(|page| &page.address).collect();
    assert_eq!(addresses.len(), pages.len(), "a page was read twice");
    assert!((2..=12).contains(&most_at_once(&pages)));
    for worker in &mut workers[4..] {
        worker.stop().await?;
        worker.assert_log_clean(&[])?;
    }
    Ok(())
}

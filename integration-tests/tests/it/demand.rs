//! What is asked for is read again between snapshots.

use d365_simulator::Kind;
use integration_tests::eventually::eventually;
use integration_tests::test_bed::{Failure, TestBed, world};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_gets_younger_between_snapshots_and_the_rest_does_not()
-> Result<(), Failure> {
    let bed = TestBed::configured(world(2_000), &["24"], |config| {
        "1m".clone_into(&mut config.refresh_interval);
        config.more =
            "[worker]\npage_size = 50\ndemand_share = 50\ndemand_target_age = \"4s\"\n".to_owned();
    })
    .await?;
    let mut worker = bed.worker("worker").await?;
    bed.complete_since(0, Duration::from_mins(1)).await?;
    let (_service, api) = bed.api().await?;
    let items = bed.items("24")?;
    let (wanted, ignored) = (&items[100..120], &items[500..520]);
    let began = bed.now();
    eventually("younger lines", async || {
        let lines = bed.lines(&api, "24", wanted).await.ok()?;
        let is_younger = |as_of: Option<i64>| as_of.is_some_and(|as_of| as_of > began + 2_000);
        lines
            .iter()
            .all(|line| is_younger(line.as_of))
            .then_some(())
    })
    .await?;
    let others = bed.lines(&api, "24", ignored).await?;
    assert!(others.iter().all(|line| line.as_of < Some(began)));
    assert!(!bed.requests(Kind::Lookup, 0).is_empty());
    worker.stop().await?;
    Ok(())
}

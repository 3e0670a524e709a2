//! Settings that change what a stored line means, under the same tenant id.

use d365_simulator::{StockChange, StockKey};
use integration_tests::api_client::ApiClient;
use integration_tests::eventually::eventually;
use integration_tests::test_bed::{Failure, TestBed, number, world};

const SKUS: [&str; 3] = ["USMF-1", "BOTH-1", "DEMF-1"];

type States = Vec<(String, f64)>;

/// State and number of each SKU; nothing where the service says that it knows nothing.
async fn states(api: &ApiClient) -> Result<States, Failure> {
    let reply = api.fast("24", &SKUS).await?;
    if reply.status == 503 {
        let code = reply.error_code();
        assert_eq!(code, Some("inventory.cache.cold.error"), "{}", reply.text);
        return Ok(Vec::new());
    }
    let lines = reply.json["data"].as_array().ok_or("no lines")?.iter();
    let state = |line: &serde_json::Value| {
        let state = line["state"].as_str()?.to_owned();
        Some((state, line["availableStock"].as_f64()?))
    };
    Ok(lines.filter_map(state).collect())
}

fn expected(states: [(&str, f64); 3]) -> States {
    states
        .map(|(state, number)| (state.to_owned(), number))
        .to_vec()
}

/// Waits until the API says this; it may never say that on the way.
async fn becomes(api: &ApiClient, wanted: &States, never: &States) -> Result<(), Failure> {
    eventually("the company's stock", async || {
        let states = states(api).await.ok()?;
        assert!(never.is_empty() || states != *never, "{states:?}");
        (states == *wanted).then_some(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_change_of_the_company_nothing_of_the_old_one_is_told() -> Result<(), Failure> {
    let mut bed = TestBed::configured(world(60), &["24"], |config| {
        "1s".clone_into(&mut config.refresh_interval);
    })
    .await?;
    for (company, sku, on_hand) in [
        ("usmf", "USMF-1", "40"),
        ("usmf", "BOTH-1", "5"),
        ("demf", "BOTH-1", "9"),
        ("demf", "DEMF-1", "70"),
    ] {
        let key = StockKey::of(company, sku, "24");
        bed.d365().put_stock(&key, &StockChange::on_hand(on_hand))?;
    }
    let of_usmf = expected([("PRESENT", 40.0), ("PRESENT", 5.0), ("ABSENT", 0.0)]);
    let of_demf = expected([("ABSENT", 0.0), ("PRESENT", 9.0), ("PRESENT", 70.0)]);
    let _old_worker = bed.worker("old").await?;
    let (_old_service, old) = bed.api().await?;
    becomes(&old, &of_usmf, &Vec::new()).await?;

    bed.reconfigure(|config| "demf".clone_into(&mut config.legal_entity))?;
    let check = String::from_utf8(bed.tool(&["check"]).await?.stdout)?;
    assert!(check.contains("24 read with other settings"), "{check}");
    let (_new_service, new) = bed.api().await?;
    assert_eq!(
        states(&new).await?,
        [],
        "what is stored is not of this company"
    );
    let exact = new.exact("24", &["BOTH-1"]).await?;
    assert_eq!(exact.json["data"][0]["availableStock"], 9);
    assert_eq!(
        exact.json["meta"]["writeThrough"], "failed",
        "{}",
        exact.text
    );
    assert_eq!(
        states(&old).await?,
        of_usmf,
        "the old company's lines are its own"
    );

    // A rolling change: the old worker runs on for a while.
    let mut new_worker = bed.worker("new").await?;
    becomes(&new, &of_demf, &of_usmf).await?;
    let before = bed.feed("24").await?;
    eventually("the new company is read on", async || {
        let states = states(&old).await.ok()?;
        assert_eq!(states, [], "the old one has no feed any more");
        let feed = bed.feed("24").await.ok()?;
        assert_eq!(feed["settings"], before["settings"], "the workers fight");
        let is_read_on = number(&feed, "generation") > number(&before, "generation") + 2;
        is_read_on.then_some(())
    })
    .await?;
    let published = bed.hash("inv:contoso:config").await?;
    assert_eq!(published["legal_entity"], "demf");
    assert_eq!(states(&new).await?, of_demf);

    // And back again: only the old worker is left.
    new_worker.stop().await?;
    becomes(&old, &of_usmf, &of_demf).await?;
    assert_eq!(states(&new).await?, []);
    Ok(())
}

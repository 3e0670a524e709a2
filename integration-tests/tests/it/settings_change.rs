//! Settings that change what a stored line means, under the same tenant id.

use crate::house::{House, world};
use d365_simulator::{StockChange, StockKey};
use integration_tests::api_client::{ApiClient, Reply};
use integration_tests::eventually::eventually;

const SKUS: [&str; 3] = ["USMF-1", "BOTH-1", "DEMF-1"];

async fn ask(api: &ApiClient) -> Reply {
    api.fast("24", &SKUS).await.unwrap()
}

/// State and number of each SKU; nothing where the service says that it knows nothing.
fn told(reply: &Reply) -> Vec<(String, f64)> {
    if reply.status == 503 {
        assert_eq!(
            reply.error_code(),
            Some("inventory.cache.cold.error"),
            "{}",
            reply.text
        );
        return Vec::new();
    }
    let line = |sku: &str| {
        let line = reply.line(sku).unwrap();
        let state = line["state"].as_str().unwrap().to_owned();
        (state, line["availableStock"].as_f64().unwrap())
    };
    SKUS.map(line).to_vec()
}

fn states(told: &[(&str, f64)]) -> Vec<(String, f64)> {
    let owned = |(state, number): &(&str, f64)| ((*state).to_owned(), *number);
    told.iter().map(owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_change_of_the_company_nothing_of_the_old_one_is_told() {
    let mut house = House::with(world(60), &["24"]).await;
    for (company, sku, on_hand) in [
        ("usmf", "USMF-1", "40"),
        ("usmf", "BOTH-1", "5"),
        ("demf", "BOTH-1", "9"),
        ("demf", "DEMF-1", "70"),
    ] {
        let key = StockKey::of(company, sku, "24");
        let stock = StockChange::on_hand(on_hand);
        house.d365().put_stock(&key, &stock).unwrap();
    }
    house.reconfigure(|config| "1s".clone_into(&mut config.refresh_interval));
    let _old_worker = house.running_worker("old").await;
    let (_old_service, old) = house.api().await;
    let of_usmf = states(&[("PRESENT", 40.0), ("PRESENT", 5.0), ("ABSENT", 0.0)]);
    let is_told = async |api: &ApiClient, wanted: &[(String, f64)], never: &[(String, f64)]| {
        eventually("the company's stock is told", async || {
            let told = told(&ask(api).await);
            assert!(never.is_empty() || told != never, "{told:?}");
            (told == wanted).then_some(())
        })
        .await
        .unwrap();
    };
    is_told(&old, &of_usmf, &[]).await;

    house.reconfigure(|config| "demf".clone_into(&mut config.legal_entity));
    let check = house.worker(&["check"]).await;
    let check = String::from_utf8(check.stdout).unwrap();
    assert!(check.contains("24 read with other settings"), "{check}");
    let (_new_service, new) = house.api().await;
    assert_eq!(
        told(&ask(&new).await),
        [],
        "what is stored is not of this company"
    );
    let exact = new.exact("24", &["BOTH-1"]).await.unwrap();
    assert_eq!(exact.line("BOTH-1").unwrap()["availableStock"], 9);
    assert_eq!(
        exact.json["meta"]["writeThrough"], "failed",
        "{}",
        exact.text
    );
    assert_eq!(
        told(&ask(&old).await),
        of_usmf,
        "the old company's lines are its own"
    );

    // A rolling change: the old worker runs on for a while.
    let mut new_worker = house.running_worker("new").await;
    let of_demf = states(&[("ABSENT", 0.0), ("PRESENT", 9.0), ("PRESENT", 70.0)]);
    is_told(&new, &of_demf, &of_usmf).await;
    let feed = house.feed("24").await;
    let (settings, generation) = (
        &feed["settings"],
        feed["generation"].parse::<u64>().unwrap(),
    );
    eventually("the new company is read on", async || {
        assert_eq!(
            told(&ask(&old).await),
            [],
            "the old one has no feed any more"
        );
        let feed = house.feed("24").await;
        assert_eq!(feed["settings"], *settings, "the workers fight");
        (feed["generation"].parse::<u64>().unwrap() > generation + 2).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(
        house.hash("inv:contoso:config").await["legal_entity"],
        "demf"
    );
    assert_eq!(told(&ask(&new).await), of_demf);

    // And back again: only the old worker is left.
    new_worker.stop().await.unwrap();
    is_told(&old, &of_usmf, &of_demf).await;
    assert_eq!(told(&ask(&new).await), []);
}

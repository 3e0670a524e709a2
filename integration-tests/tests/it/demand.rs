//! What is asked for is read again between snapshots, inside its budget.

use crate::house::{House, world};
use d365_simulator::Kind;
use integration_tests::eventually::eventually;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_gets_younger_than_snapshots_make_it_and_costs_a_fifth_at_most() {
    let mut d365 = world(2_000);
    d365.sales_per_second = 50.0;
    let mut house = House::with(d365, &["11", "24"]).await;
    house.reconfigure(|config| {
        "20s".clone_into(&mut config.refresh_interval);
        config.more =
            "[worker]\npage_size = 50\ndemand_share = 20\ndemand_target_age = \"4s\"\n".to_owned();
    });
    let mut workers = [
        house.running_worker("one").await,
        house.running_worker("other").await,
    ];
    for warehouse in ["11", "24"] {
        eventually("the first snapshot", async || {
            let feed = house.feed(warehouse).await;
            (feed.get("state").map(String::as_str) == Some("complete")).then_some(())
        })
        .await
        .unwrap();
    }
    let (_service, api) = house.api().await;
    let rows = house.d365().truth("usmf", Some("24"), None).unwrap();
    let items: Vec<&str> = rows.iter().skip(100).map(|row| row.item.as_str()).collect();
    let (wanted, ignored) = (&items[..40], &items[500..540]);
    // Asked for all the time, while snapshots come and go.
    let age = async |skus: &[&str]| -> Vec<u64> {
        let reply = api.fast("24", skus).await.unwrap();
        let lines = reply.json["data"].as_array().unwrap();
        let age = |line: &serde_json::Value| line["ageSeconds"].as_u64().unwrap();
        lines.iter().map(age).collect()
    };
    let before = house.d365().requests(0).last().unwrap().seq;
    let sealed_before: u64 = house.feed("24").await["sealed"].parse().unwrap();
    let (mut oldest_wanted, mut oldest_ignored) = (Vec::new(), 0);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for round in 0..300 {
        ticks.tick().await;
        let ages = age(wanted).await;
        // The first flush and pass come first.
        if round > 120 {
            oldest_wanted.push(ages.into_iter().max().unwrap());
        }
        if round % 10 == 0 {
            oldest_ignored = oldest_ignored.max(age(ignored).await.into_iter().max().unwrap());
        }
    }
    let sealed: u64 = house.feed("24").await["sealed"].parse().unwrap();
    let requests = house.d365().requests(before);
    let count = |kind: Kind| requests.iter().filter(|r| r.kind == kind).count();
    let (pages, look_ups) = (count(Kind::Page), count(Kind::Lookup));
    oldest_wanted.sort_unstable();
    let p99 = oldest_wanted[oldest_wanted.len() * 99 / 100];
    println!(
        "asked for: p99 {p99} s; others: up to {oldest_ignored} s; {look_ups} look-ups beside {pages} pages"
    );
    assert!(look_ups > 0);
    // A fifth of the pages of one and a half intervals, and what the bucket held at the begin.
    let pages_of_a_cycle: usize = {
        let (one, other) = (house.feed("11").await, house.feed("24").await);
        one["pages"].parse::<usize>().unwrap() + other["pages"].parse::<usize>().unwrap()
    };
    let allowed = pages_of_a_cycle * 20 * 30 / 20 / 100 + 4;
    assert!(look_ups <= allowed, "{look_ups}, allowed {allowed}");
    assert!(p99 <= 6, "{p99}");
    assert!(
        oldest_ignored > 12,
        "{oldest_ignored}: the others are as old as snapshots leave them"
    );
    assert!(sealed > sealed_before, "snapshots keep their pace");
    for worker in &mut workers {
        worker.stop().await.unwrap();
    }
}

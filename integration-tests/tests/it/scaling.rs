//! Workers come, go and die while a cycle is under way.

use crate::house::{House, world};
use d365_simulator::{Kind, LoadModel, RequestRecord, UtcMillis};
use integration_tests::api_client::ApiClient;
use integration_tests::binaries::Service;
use integration_tests::eventually::eventually;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const WAREHOUSES: [&str; 2] = ["11", "24"];

/// A house whose warehouses were read once, so that it is known where to split them; pages take
/// this long from now on, five times as long as then.
async fn house_of_parts(items: usize, part: &str, page: Duration) -> House {
    let mut d365 = world(items);
    let page_ms = u64::try_from(page.as_millis()).unwrap();
    d365.load.base_ms = page_ms / 5;
    let mut house = House::with(d365, &WAREHOUSES).await;
    house.reconfigure(|config| {
        config.more =
            format!("[worker]\npage_size = 100\nlease = \"5s\"\nshard_time = \"{part}\"\n");
        "1h".clone_into(&mut config.refresh_interval);
    });
    house.snapshot().await;
    for warehouse in WAREHOUSES {
        let key = format!("inv:contoso:ranges:{warehouse}");
        let borders: usize = command(&house, &["LLEN", &key]).await.parse().unwrap();
        assert!(borders >= 1, "warehouse {warehouse} has {borders} borders");
    }
    house.d365().set_load(LoadModel {
        base_ms: page_ms,
        ..LoadModel::default()
    });
    for warehouse in WAREHOUSES {
        command(&house, &["ZADD", "inv:contoso:due", "0", warehouse]).await;
    }
    house
}

/// The answer to a command that answers with one number or text.
async fn command(house: &House, words: &[&str]) -> String {
    let mut connection = house.redis.connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(word);
    }
    match command.query_async(&mut connection).await.unwrap() {
        redis::Value::Int(number) => number.to_string(),
        redis::Value::BulkString(text) => String::from_utf8(text).unwrap(),
        other => format!("{other:?}"),
    }
}

async fn id_of(worker: &Service) -> String {
    let client = ApiClient::new(&worker.url()).unwrap();
    let status = client
        .fetch("/inventoryPrefetcher/v1/status")
        .await
        .unwrap();
    status.json["workerId"].as_str().unwrap().to_owned()
}

/// Parts under way: their names and what is noted about them.
async fn parts(house: &House) -> Vec<(String, BTreeMap<String, String>)> {
    let mut connection = house.redis.connection().await.unwrap();
    let shards: Vec<String> = redis::cmd("ZRANGE")
        .arg("inv:contoso:due")
        .arg(0)
        .arg(-1)
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut parts = Vec::new();
    for shard in shards.into_iter().filter(|shard| shard.contains('#')) {
        let record = house.hash(&format!("inv:contoso:shard:{shard}")).await;
        parts.push((shard, record));
    }
    parts
}

/// Waits for the second snapshot of each warehouse and compares it with the truth.
async fn all_complete(house: &House) {
    for warehouse in WAREHOUSES {
        let feed = eventually("the second snapshot", async || {
            let feed = house.feed(warehouse).await;
            (feed.get("sealed").map(String::as_str) == Some("2")).then_some(feed)
        })
        .await
        .unwrap();
        assert_eq!(feed["state"], "complete", "{feed:?}");
        let truth = house.d365().truth("usmf", Some(warehouse), None).unwrap();
        assert_eq!(feed["rows"], truth.len().to_string(), "{warehouse}");
        assert_eq!(feed["watermark"], feed["started"]);
        // Every line was written by this cycle, and there is none besides.
        let items: BTreeSet<&str> = truth.iter().map(|line| line.item.as_str()).collect();
        let mut connection = house.redis.connection().await.unwrap();
        let mut pipeline = redis::pipe();
        for item in &items {
            pipeline
                .cmd("HGET")
                .arg(format!("inv:contoso:stock:{}", key_of(item)))
                .arg(warehouse);
        }
        let lines: Vec<String> = pipeline.query_async(&mut connection).await.unwrap();
        let of_this_cycle = lines
            .iter()
            .filter(|line| line.ends_with("|snap:2"))
            .count();
        assert_eq!(of_this_cycle, items.len(), "{warehouse}");
    }
}

/// An item number as Redis' names spell it: upper case letter by letter, no trailing blanks.
fn key_of(item: &str) -> String {
    let upper = |letter: char| {
        let mut upper = letter.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(single), None) => single,
            _ => letter,
        }
    };
    item.trim_end_matches(' ').chars().map(upper).collect()
}

fn pages_since(house: &House, seq: u64) -> Vec<RequestRecord> {
    let mut requests = house.d365().requests(seq);
    requests.retain(|request| request.kind == Kind::Page);
    requests
}

fn last_seq(house: &House) -> u64 {
    house.d365().requests(0).last().map_or(0, |last| last.seq)
}

fn twice(pages: &[RequestRecord]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    pages
        .iter()
        .map(|page| page.address.as_str())
        .filter(|address| !seen.insert(*address))
        .collect()
}

fn most_at_once(pages: &[RequestRecord]) -> i64 {
    let mut changes: Vec<(i64, i64)> = pages
        .iter()
        .flat_map(|page| {
            let end = page.answered.map_or(i64::MAX, UtcMillis::unix_millis);
            [(page.started.unix_millis(), 1), (end, -1)]
        })
        .collect();
    // What ends in a millisecond ends before what begins in it: clocks tell no finer.
    changes.sort_unstable();
    let mut now = 0;
    changes
        .iter()
        .map(|(_, change)| {
            now += change;
            now
        })
        .max()
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_part_of_a_killed_worker_is_read_on_by_another() {
    let house = house_of_parts(5_000, "500ms", Duration::from_millis(150)).await;
    let before = last_seq(&house);
    let mut killed = house.running_worker("killed").await;
    let mut other = house.running_worker("other").await;
    let id = id_of(&killed).await;
    let (part, cursor) = eventually("the worker has noted how far it is", async || {
        let parts = parts(&house).await;
        parts.into_iter().find_map(|(part, record)| {
            let is_its = record.get("holder") == Some(&id);
            let cursor = record.get("cursor").filter(|_| is_its)?;
            Some((part, cursor.clone()))
        })
    })
    .await
    .unwrap();
    killed.process().kill().unwrap();
    let killed_at = house.d365().now();
    let at_kill = last_seq(&house);
    println!("killed while it held {part}, noted up to {cursor}");
    let resumed = eventually("another worker takes the part", async || {
        let record = house.hash(&format!("inv:contoso:shard:{part}")).await;
        let holder = record.get("holder").filter(|holder| **holder != id)?;
        Some(holder.clone())
    })
    .await
    .unwrap();
    let waited_ms = house.d365().now().unix_millis() - killed_at.unix_millis();
    println!("taken over by {resumed} after {waited_ms} ms");
    // The lease of five seconds, and as much again for a busy machine.
    assert!(waited_ms < 10_000, "{waited_ms}");
    all_complete(&house).await;

    // Only the pages since the last note are read again, and only of what it held.
    let pages = pages_since(&house, before);
    let again: BTreeSet<&str> = twice(&pages).into_iter().collect();
    println!("{} pages, {} of them twice", pages.len(), again.len());
    let after_kill: BTreeSet<&str> = pages
        .iter()
        .filter(|page| page.seq > at_kill)
        .map(|page| page.address.as_str())
        .collect();
    assert!(again.is_subset(&after_kill), "{again:?}");
    // Two parts were in its hands, each noted every second: about seven pages of 150 ms each.
    assert!(again.len() <= 20, "{}", again.len());
    other.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go_during_a_cycle_and_no_page_is_read_twice() {
    let house = house_of_parts(10_000, "100ms", Duration::from_millis(150)).await;
    let before = last_seq(&house);
    let mut workers = vec![house.running_worker("first").await];
    eventually("the cycle is under way", async || {
        (!pages_since(&house, before).is_empty()).then_some(())
    })
    .await
    .unwrap();
    for number in 2..=8 {
        workers.push(house.running_worker(&format!("worker {number}")).await);
    }
    let holders = eventually("several workers read", async || {
        let parts = parts(&house).await;
        let holders: BTreeSet<String> = parts
            .into_iter()
            .filter_map(|(_, mut record)| record.remove("holder"))
            .collect();
        (holders.len() >= 4).then_some(holders.len())
    })
    .await
    .unwrap();
    let left_to_read = parts(&house).await.len();
    for worker in &mut workers[..6] {
        worker.stop().await.unwrap();
    }
    println!("{holders} workers held parts; {left_to_read} parts were left when six of eight went");
    all_complete(&house).await;
    let pages = pages_since(&house, before);
    let again = twice(&pages);
    let at_once = most_at_once(&pages);
    println!("{} pages, at most {at_once} at once", pages.len());
    assert!(again.is_empty(), "{again:?}");
    assert!((2..=12).contains(&at_once), "{at_once}");
    for worker in &mut workers[6..] {
        worker.stop().await.unwrap();
        worker.assert_log_clean(&[]).unwrap();
    }
}

//! What the worker's commands tell people.

use crate::house::{House, world};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, RetryAfter, ThrottleBody};
use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// An awkward name, so that the commands must be quoted well.
const SKU: &str = "O'NEIL-7";

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_what_is_stored_and_its_commands_show_the_same() {
    let house = House::with(world(60), &["11", "24"]).await;
    let before = text(&house.worker(&["explain", SKU]).await);
    assert!(
        before.contains("nothing is stored for this SKU") && before.contains("state: UNKNOWN"),
        "{before}"
    );
    house.snapshot().await;
    let explained = text(&house.worker(&["explain", SKU]).await);
    let key = format!("inv:contoso:stock:{SKU}");
    let stored = house.hash(&key).await;
    assert!(!stored.is_empty(), "the world has {SKU}");
    for (warehouse, line) in &stored {
        assert!(
            explained.contains(&format!("warehouse {warehouse}\n  stored: {line}\n")),
            "{explained}"
        );
    }
    let present = explained.matches("state: PRESENT, because").count();
    let absent = explained.matches("state: ABSENT, because").count();
    assert_eq!((present, absent), (stored.len(), 2 - stored.len()));
    let commands: Vec<&str> = explained
        .lines()
        .filter_map(|line| line.strip_prefix("  redis-cli "))
        .collect();
    assert_eq!(commands.len(), 4, "{explained}");
    let mut shown = String::new();
    for command in commands {
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(format!("redis-cli {command}"));
        shown.push_str(&text(&shell.output().await.unwrap()));
    }
    let watermark = &house.feed("24").await["watermark"];
    for value in stored.values().chain([watermark]) {
        assert!(shown.contains(value.as_str()), "{value}: {shown}");
    }
}

/// Every key with its value and whether it ends by itself.
async fn dump(house: &House) -> BTreeMap<Vec<u8>, (Vec<u8>, bool)> {
    let mut connection = house.redis.connection().await.unwrap();
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut all = BTreeMap::new();
    for key in keys {
        let (value, ttl): (Vec<u8>, i64) = redis::pipe()
            .cmd("DUMP")
            .arg(&key)
            .cmd("PTTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        all.insert(key, (value, ttl >= 0));
    }
    all
}

/// Looks three times, once as somebody whose tenant nobody knows, and once until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_changes_nothing_in_redis_and_takes_no_call_from_others() {
    let mut house = House::with(world(60), &["11", "24"]).await;
    house.snapshot().await;
    // What a run leaves of its calls ends within 15 s: only what stays is compared.
    let mut connection = house.redis.connection().await.unwrap();
    let calls: Vec<String> = redis::cmd("KEYS")
        .arg("inv:budget:*")
        .query_async(&mut connection)
        .await
        .unwrap();
    redis::cmd("DEL")
        .arg(calls)
        .exec_async(&mut connection)
        .await
        .unwrap();
    let before = dump(&house).await;
    for _ in 0..3 {
        let told = tokio::time::timeout(Duration::from_secs(3), house.worker(&["check"])).await;
        let told = text(&told.expect("it hangs"));
        assert!(!told.contains("BAD"), "{told}");
        assert!(dump(&house).await == before, "{told}");
    }
    house.reconfigure(|config| config.tenant = "somebody-else".to_owned());
    text(&house.worker(&["check"]).await);
    text(&house.worker(&["explain", SKU]).await);
    text(&house.worker(&["history", "24"]).await);
    text(&house.worker(&["--check"]).await);
    assert!(dump(&house).await == before);
    let slow = Action::Delay {
        ms: 60_000,
        at: DelayPoint::AfterRead,
    };
    house.d365().add_fault(FaultSpec::on(Kind::Page, slow));
    let mut waiting = house.start_worker(&["check"]);
    let stderr = waiting.stderr.take().unwrap();
    let mut lines = BufReader::new(stderr).lines();
    let told = lines.next_line().await.unwrap().unwrap();
    assert!(
        told.contains("waiting for D365: somebody-else on-hand rows of 11"),
        "{told}"
    );
    assert!(dump(&house).await == before, "under way");
    waiting.kill().await.unwrap();
    assert!(dump(&house).await == before, "killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_calls_nothing_good_that_it_has_not_seen() {
    let mut house = House::with(world(20), &["11"]).await;
    house.reconfigure(|config| config.legal_entity = "nobody".to_owned());
    let told = house.worker(&["check"]).await;
    let report = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(!told.status.success(), "{report}");
    let bad =
        "BAD      contoso sign-in and company: D365 shows no warehouse in legal entity nobody";
    assert!(report.contains(bad), "{report}");
    house.reconfigure(|config| config.legal_entity = "usmf".to_owned());
    let throttled = Action::Throttle {
        retry_after: RetryAfter::Seconds(40),
        body: ThrottleBody::default(),
    };
    house
        .d365()
        .add_fault(FaultSpec::on(Kind::Warehouses, throttled));
    let told = text(&house.worker(&["check"]).await);
    let waits = "warning  contoso sign-in and company: not looked at: D365 asked this app registration to stay away";
    assert!(told.contains(waits), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_tells_how_fast_it_reads_and_what_came_of_it() {
    let house = House::with(world(60), &["24"]).await;
    let slow = Action::Delay {
        ms: 3_000,
        at: DelayPoint::AfterRead,
    };
    house.d365().add_fault(FaultSpec::on(Kind::Page, slow));
    let done = house.worker(&["once"]).await;
    // Nobody looks at a terminal here: log lines tell how it goes, and nothing is drawn.
    let told = text(&done);
    assert!(
        told.contains("rows_per_second") && told.contains("reading"),
        "{told}"
    );
    assert!(
        !told.contains('\u{1b}') && done.stderr.is_empty(),
        "{done:?}"
    );
    let rows = house.feed("24").await["rows"].clone();
    let line = told
        .lines()
        .find(|line| line.starts_with("contoso"))
        .unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..4], ["contoso", "24", "complete", rows.as_str()]);
}

//! What the worker's commands tell people.

use crate::house::{House, world};
use d365_simulator::{Action, DelayPoint, FaultSpec, Kind};
use std::process::Output;
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

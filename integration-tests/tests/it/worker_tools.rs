//! What the worker's commands tell people.

use d365_simulator::{Action, DelayPoint, FaultSpec, Kind, RetryAfter, ThrottleBody};
use integration_tests::test_bed::{Failure, TestBed, world};
use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

fn text(output: Output) -> Result<String, Failure> {
    assert!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// An awkward name, so that the commands must be quoted well.
const SKU: &str = "O'NEIL-7";

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_what_is_stored_and_its_commands_show_the_same() -> Result<(), Failure> {
    let bed = TestBed::start(world(60), &["11", "24"]).await?;
    let before = text(bed.tool(&["explain", SKU]).await?)?;
    for part in ["nothing is stored for this SKU", "state: UNKNOWN"] {
        assert!(before.contains(part), "{before}");
    }
    bed.snapshot().await?;
    let explained = text(bed.tool(&["explain", SKU]).await?)?;
    let stored = bed.hash(&format!("inv:contoso:stock:{SKU}")).await?;
    assert!(!stored.is_empty(), "the world has {SKU}");
    for (warehouse, line) in &stored {
        let part = format!("warehouse {warehouse}\n  stored: {line}\n");
        assert!(explained.contains(&part), "{explained}");
    }
    let present = explained.matches("state: PRESENT, because").count();
    let absent = explained.matches("state: ABSENT, because").count();
    assert_eq!((present, absent), (stored.len(), 2 - stored.len()));
    let commands = explained
        .lines()
        .filter(|line| line.starts_with("  redis-cli "));
    let commands: Vec<&str> = commands.collect();
    assert_eq!(commands.len(), 4, "{explained}");
    let shown = Command::new("bash")
        .arg("-c")
        .arg(commands.join("\n"))
        .output()
        .await?;
    let shown = text(shown)?;
    let watermark = &bed.feed("24").await?["watermark"];
    for value in stored.values().chain([watermark]) {
        assert!(shown.contains(value.as_str()), "{value}: {shown}");
    }
    Ok(())
}

/// Every key with its value and whether it ends by itself.
async fn dump(bed: &TestBed) -> Result<BTreeMap<String, (Vec<u8>, bool)>, Failure> {
    let mut all = BTreeMap::new();
    for key in bed.redis::<Vec<String>>(&["KEYS", "*"]).await? {
        let value = bed.redis(&["DUMP", &key]).await?;
        let ttl: i64 = bed.redis(&["PTTL", &key]).await?;
        all.insert(key, (value, ttl >= 0));
    }
    Ok(all)
}

/// Looks three times, once with a tenant nobody knows, and once until it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_changes_nothing_in_redis_and_takes_no_call_from_others() -> Result<(), Failure> {
    let mut bed = TestBed::start(world(60), &["11", "24"]).await?;
    bed.snapshot().await?;
    // What a run leaves of its calls ends within 15 s: only what stays is compared.
    for key in bed.redis::<Vec<String>>(&["KEYS", "inv:budget:*"]).await? {
        let () = bed.redis(&["DEL", &key]).await?;
    }
    let before = dump(&bed).await?;
    for _ in 0..3 {
        let check = bed.tool(&["check"]);
        let said = text(tokio::time::timeout(Duration::from_secs(10), check).await??)?;
        assert!(!said.contains("BAD"), "{said}");
        assert!(dump(&bed).await? == before, "{said}");
    }
    bed.reconfigure(|config| config.tenant = "somebody-else".to_owned())?;
    let looks: [&[&str]; 4] = [
        &["check"],
        &["explain", SKU],
        &["history", "24"],
        &["--check"],
    ];
    for look in looks {
        text(bed.tool(look).await?)?;
    }
    assert!(dump(&bed).await? == before);
    let slow = Action::Delay {
        ms: 60_000,
        at: DelayPoint::AfterRead,
    };
    bed.d365().add_fault(FaultSpec::on(Kind::Page, slow));
    let mut waiting = bed.start_tool(&["check"])?;
    let stderr = waiting.stderr.take().ok_or("no output")?;
    let said = BufReader::new(stderr).lines().next_line().await?;
    let said = said.ok_or("it says nothing")?;
    let expected = "waiting for D365: somebody-else on-hand rows of 11";
    assert!(said.contains(expected), "{said}");
    assert!(dump(&bed).await? == before, "under way");
    waiting.kill().await?;
    assert!(dump(&bed).await? == before, "killed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_calls_nothing_good_that_it_has_not_seen() -> Result<(), Failure> {
    let mut bed = TestBed::start(world(20), &["11"]).await?;
    bed.reconfigure(|config| config.legal_entity = "nobody".to_owned())?;
    let ended = bed.tool(&["check"]).await?;
    let report = String::from_utf8_lossy(&ended.stdout);
    assert!(!ended.status.success(), "{report}");
    let bad =
        "BAD      contoso sign-in and company: D365 shows no warehouse in legal entity nobody";
    assert!(report.contains(bad), "{report}");
    bed.reconfigure(|config| config.legal_entity = "usmf".to_owned())?;
    let throttled = Action::Throttle {
        retry_after: RetryAfter::Seconds(40),
        body: ThrottleBody::default(),
    };
    let fault = FaultSpec::on(Kind::Warehouses, throttled);
    bed.d365().add_fault(fault);
    let report = text(bed.tool(&["check"]).await?)?;
    let waits = "warning  contoso sign-in and company: not looked at: D365 asked this app registration to stay away";
    assert!(report.contains(waits), "{report}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn once_says_how_fast_it_reads_and_what_came_of_it() -> Result<(), Failure> {
    let bed = TestBed::start(world(60), &["24"]).await?;
    let slow = Action::Delay {
        ms: 3_000,
        at: DelayPoint::AfterRead,
    };
    bed.d365().add_fault(FaultSpec::on(Kind::Page, slow));
    let done = bed.tool(&["once"]).await?;
    // Nobody looks at a terminal here: log lines say how it goes, and nothing is drawn.
    assert!(done.stderr.is_empty(), "{done:?}");
    let said = text(done)?;
    assert!(
        said.contains("rows_per_second") && said.contains("reading"),
        "{said}"
    );
    assert!(!said.contains('\u{1b}'), "{said}");
    let rows = &bed.feed("24").await?["rows"];
    let line = said.lines().find(|line| line.starts_with("contoso"));
    let words: Vec<&str> = line.unwrap_or_default().split_whitespace().collect();
    assert_eq!(words[..4], ["contoso", "24", "complete", rows.as_str()]);
    Ok(())
}

use super::{Log, NoSuchLine};
use std::time::Duration;

const INFO: &str = r#"{"level":"INFO","message":"listening"}"#;
const WARN: &str = r#"{"level":"WARN","message":"the feed is old"}"#;

fn log_of(lines: &[&str]) -> Log {
    let log = Log::default();
    for line in lines {
        log.push((*line).to_owned());
    }
    log
}

#[test]
fn a_log_of_good_news_is_clean() {
    log_of(&[INFO, "", INFO]).judge(&[]).unwrap();
}

#[test]
fn a_warning_nobody_expected_is_told() {
    let unclean = log_of(&[INFO, WARN]).judge(&[]).unwrap_err();
    assert_eq!(unclean.unexpected, [WARN]);
}

#[test]
fn a_warning_that_was_expected_is_fine() {
    log_of(&[WARN]).judge(&["feed is old"]).unwrap();
}

#[test]
fn a_line_that_is_no_event_is_told() {
    let panic = "thread 'main' panicked at src/main.rs:3:5";
    let unclean = log_of(&[INFO, panic]).judge(&[]).unwrap_err();
    assert_eq!(unclean.unexpected, [panic]);
}

#[test]
fn an_expectation_nothing_meets_is_told() {
    let unclean = log_of(&[INFO]).judge(&["feed is old"]).unwrap_err();
    assert_eq!(unclean.unmet, ["feed is old"]);
}

#[tokio::test]
async fn a_line_that_comes_later_is_found() {
    let log = log_of(&["one"]);
    let writer = log.clone();
    let found = log.wait_for(Duration::from_secs(10), |line| {
        // Written while the waiter is between two lines: it must not be missed.
        if line == "one" {
            writer.push("two".to_owned());
        }
        line.strip_prefix("tw").map(str::to_owned)
    });
    assert_eq!(found.await, Ok("o".to_owned()));
}

#[tokio::test]
async fn waiting_ends_when_the_program_does() {
    let log = Log::default();
    log.follow(&b"bye\n"[..]);
    log.follow(&b""[..]);
    let found = log.wait_for(Duration::from_secs(10), |line| {
        (line == "hello").then_some(())
    });
    assert_eq!(found.await, Err(NoSuchLine::Ended));
    assert_eq!(log.lines(), ["bye"]);
}

#[tokio::test]
async fn waiting_is_bounded() {
    let silent = Log::default();
    let found = silent.wait_for(Duration::from_millis(20), |_| Some(()));
    assert_eq!(found.await, Err(NoSuchLine::NotInTime));
}

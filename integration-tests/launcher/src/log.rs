//! What a program wrote, line by line, as it came.

use serde_json::Value;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Lines kept of one program; older ones are dropped, so that a long demo stays small.
const LINES_KEPT: usize = 20_000;
/// Standard output and standard error.
const STREAMS: usize = 2;

/// A program's output while it grows. Clones see the same lines.
#[derive(Debug, Clone)]
pub struct Log {
    lines: Arc<Mutex<Lines>>,
    copy: Option<Arc<File>>,
    /// Streams that have ended; raised or not, every line wakes a waiter.
    ended: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    dropped: usize,
}

/// Why a line did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchLine {
    /// The program closed its output, most likely because it ended.
    #[error("the program ended")]
    Ended,
    /// The program runs, but did not say it.
    #[error("it did not come in time")]
    NotInTime,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            lines: Arc::default(),
            copy: None,
            ended: watch::Sender::new(0),
        }
    }
}

impl Log {
    /// Also writes every line into this file, for people to read.
    pub(crate) fn copied_to(file: File) -> Self {
        Self {
            copy: Some(Arc::new(file)),
            ..Self::default()
        }
    }

    /// Reads a stream to its end on a thread of its own.
    pub(crate) fn follow(&self, stream: impl Read + Send + 'static) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { break };
                log.push(String::from_utf8_lossy(&line).into_owned());
            }
            log.ended.send_modify(|ended| *ended += 1);
        });
    }

    fn push(&self, line: String) {
        if let Some(mut copy) = self.copy.as_deref() {
            // The copy is a convenience; what counts is kept in memory.
            drop(writeln!(copy, "{line}"));
        }
        let mut lines = self.locked();
        if lines.kept.len() == LINES_KEPT {
            lines.kept.pop_front();
            lines.dropped += 1;
        }
        lines.kept.push_back(line);
        drop(lines);
        self.ended.send_modify(|_as_many| {});
    }

    fn locked(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.locked().kept.iter().cloned().collect()
    }

    /// The last lines as one text, for a message about a failure.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// Waits for a line out of which `pick` makes something; lines that came before count.
    pub async fn wait_for<T>(
        &self,
        patience: Duration,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, NoSuchLine> {
        let mut changes = self.ended.subscribe();
        let mut seen = 0;
        let looking = async {
            loop {
                let has_ended = *changes.borrow_and_update() == STREAMS;
                for line in self.lines_from(&mut seen) {
                    if let Some(found) = pick(&line) {
                        return Ok(found);
                    }
                }
                if has_ended || changes.changed().await.is_err() {
                    return Err(NoSuchLine::Ended);
                }
            }
        };
        timeout(patience, looking)
            .await
            .unwrap_or(Err(NoSuchLine::NotInTime))
    }

    /// Waits until the program has closed both streams, that is, until it has ended.
    pub async fn wait_for_end(&self, patience: Duration) -> Result<(), NoSuchLine> {
        let mut ended = self.ended.subscribe();
        let ended = ended.wait_for(|ended| *ended == STREAMS);
        timeout(patience, ended)
            .await
            .map_or(Err(NoSuchLine::NotInTime), |_| Ok(()))
    }

    fn lines_from(&self, seen: &mut usize) -> Vec<String> {
        let lines = self.locked();
        let skip = seen.saturating_sub(lines.dropped);
        *seen = lines.dropped + lines.kept.len();
        lines.kept.iter().skip(skip).cloned().collect()
    }

    /// Fails with every line that a quiet, healthy program would not have written: events of level
    /// WARN or ERROR, and lines that are no JSON event (a panic, a stray print).
    ///
    /// What a test provokes on purpose it names in `expected`, by a part of the message. An
    /// expectation that nothing meets fails as well: it has lost its reason. What contains one of
    /// `known` may come or not.
    pub fn judge(&self, known: &[&str], expected: &[&str]) -> Result<(), UncleanLog> {
        // A log that outgrew its bound cannot be called clean.
        let dropped = self.locked().dropped;
        let mut unexpected: Vec<String> = (dropped > 0)
            .then(|| format!("({dropped} older lines were dropped unseen)"))
            .into_iter()
            .collect();
        let mut unmet = expected.to_vec();
        for line in self.lines() {
            let Some(complaint) = complaint(&line) else {
                continue;
            };
            let is_part = |part: &&str| complaint.contains(*part);
            if !known.iter().chain(expected).any(is_part) {
                unexpected.push(line);
            }
            unmet.retain(|part| !is_part(part));
        }
        if unexpected.is_empty() && unmet.is_empty() {
            return Ok(());
        }
        let unmet = unmet.into_iter().map(str::to_owned).collect();
        Err(UncleanLog { unexpected, unmet })
    }
}

/// A log that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("the log is not clean\n  unexpected: {unexpected:#?}\n  expected in vain: {unmet:#?}")]
pub struct UncleanLog {
    /// Warnings, errors and stray lines nobody expected.
    pub unexpected: Vec<String>,
    /// Expectations no line met.
    pub unmet: Vec<String>,
}

/// The text to compare with expectations, if the line is something to complain about.
fn complaint(line: &str) -> Option<String> {
    let event = serde_json::from_str(line).ok().filter(Value::is_object);
    match event {
        None => (!line.trim().is_empty()).then(|| line.to_owned()),
        Some(event) => matches!(event["level"].as_str(), Some("WARN" | "ERROR"))
            .then(|| event["message"].as_str().unwrap_or(line).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Log, NoSuchLine};
    use std::time::Duration;

    const INFO: &str = r#"{"level":"INFO","message":"listening"}"#;
    const WARN: &str = r#"{"level":"WARN","message":"the feed is old"}"#;
    const PANIC: &str = "thread 'main' panicked at src/main.rs:3:5";

    fn log_of(lines: &[&str]) -> Log {
        let log = Log::default();
        for line in lines {
            log.push((*line).to_owned());
        }
        log
    }

    #[test]
    fn a_log_is_clean_if_it_complains_of_what_was_expected_and_of_nothing_else() {
        let old = "feed is old";
        for (lines, expected, unexpected, unmet) in [
            (&[INFO, ""][..], &[][..], &[][..], &[][..]),
            (&[INFO, WARN], &[], &[WARN], &[]),
            (&[WARN], &[old], &[], &[]),
            (&[INFO, PANIC], &[], &[PANIC], &[]),
            (&[INFO], &[old], &[], &[old]),
        ] {
            match log_of(lines).judge(&[], expected) {
                Ok(()) => assert!(unexpected.is_empty() && unmet.is_empty(), "{lines:?}"),
                Err(unclean) => {
                    assert_eq!(unclean.unexpected, unexpected);
                    assert_eq!(unclean.unmet, unmet);
                }
            }
        }
        assert!(log_of(&[WARN]).judge(&[old], &[]).is_ok());
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
    async fn waiting_ends_with_the_program_or_with_its_patience() {
        let log = Log::default();
        let patience = Duration::from_millis(20);
        let never = log.wait_for(patience, |_| Some(())).await;
        assert_eq!(never, Err(NoSuchLine::NotInTime));
        log.follow(&b"bye\n"[..]);
        log.follow(&b""[..]);
        let hello = |line: &str| (line == "hello").then_some(());
        let found = log.wait_for(Duration::from_secs(10), hello).await;
        assert_eq!(found, Err(NoSuchLine::Ended));
        assert_eq!(log.lines(), ["bye"]);
    }
}

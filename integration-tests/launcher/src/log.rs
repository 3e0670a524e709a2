//! What a program wrote, line by line, as it came.

use serde_json::Value;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Lines kept of one program; older ones are let go, so that a long demo stays small.
const LINES_KEPT: usize = 20_000;

/// A program's output while it grows. Clones see the same lines.
#[derive(Debug, Clone)]
pub struct Log {
    lines: Arc<Mutex<Lines>>,
    copy: Option<Arc<File>>,
    changes: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<String>,
    let_go: usize,
}

/// Raised with every line; tells a waiter to look again.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Progress {
    lines: usize,
    streams_ended: usize,
}

/// Standard output and standard error.
const STREAMS: usize = 2;

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
            changes: watch::Sender::new(Progress::default()),
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
            log.changes
                .send_modify(|progress| progress.streams_ended += 1);
        });
    }

    fn push(&self, line: String) {
        if let Some(mut copy) = self.copy.as_deref() {
            // The copy is a convenience; what counts is kept in memory.
            drop(writeln!(copy, "{line}"));
        }
        {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.kept.len() == LINES_KEPT {
                lines.kept.pop_front();
                lines.let_go += 1;
            }
            lines.kept.push_back(line);
        }
        self.changes.send_modify(|progress| progress.lines += 1);
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.kept.iter().cloned().collect()
    }

    /// The last lines as one text, for a message about a failure.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.lines();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }

    /// The lines that are JSON objects: events of a program that logs as JSON.
    pub fn events(&self) -> Vec<Value> {
        self.lines().iter().filter_map(|line| event(line)).collect()
    }

    /// Waits for a line out of which `pick` makes something; lines that came before count.
    pub async fn wait_for<T>(
        &self,
        patience: Duration,
        mut pick: impl FnMut(&str) -> Option<T>,
    ) -> Result<T, NoSuchLine> {
        let mut changes = self.changes.subscribe();
        let mut looked_at = 0;
        let looking = async {
            loop {
                let progress = *changes.borrow_and_update();
                for line in self.lines_from(&mut looked_at) {
                    if let Some(found) = pick(&line) {
                        return Ok(found);
                    }
                }
                if progress.streams_ended == STREAMS || changes.changed().await.is_err() {
                    return Err(NoSuchLine::Ended);
                }
            }
        };
        tokio::time::timeout(patience, looking)
            .await
            .unwrap_or(Err(NoSuchLine::NotInTime))
    }

    /// Waits until the program has closed both streams, that is, until it has ended.
    pub async fn wait_for_end(&self, patience: Duration) -> Result<(), NoSuchLine> {
        let mut changes = self.changes.subscribe();
        let ended = changes.wait_for(|progress| progress.streams_ended == STREAMS);
        match tokio::time::timeout(patience, ended).await {
            Ok(_) => Ok(()),
            Err(_) => Err(NoSuchLine::NotInTime),
        }
    }

    fn lines_from(&self, looked_at: &mut usize) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = looked_at.saturating_sub(lines.let_go);
        *looked_at = lines.let_go + lines.kept.len();
        lines.kept.iter().skip(skip).cloned().collect()
    }

    /// A log that outgrew its bound cannot be called clean.
    fn lines_let_go(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        (lines.let_go > 0)
            .then(|| format!("({} older lines were let go unseen)", lines.let_go))
            .into_iter()
            .collect()
    }

    /// Fails with every line that a quiet, healthy program would not have written: events of level
    /// WARN or ERROR, and lines that are no JSON event (a panic, a stray print).
    ///
    /// What a test provokes on purpose it names in `expected`, by a part of the message. An
    /// expectation that nothing meets fails as well: it has lost its reason.
    pub fn judge(&self, expected: &[&str]) -> Result<(), UncleanLog> {
        self.judge_beside(&[], expected)
    }

    /// The same, where some complaints may come or not.
    pub fn judge_beside(&self, known: &[&str], expected: &[&str]) -> Result<(), UncleanLog> {
        let mut unexpected = self.lines_let_go();
        let mut met = vec![false; expected.len()];
        for line in self.lines() {
            let Some(complaint) = complaint(&line) else {
                continue;
            };
            let hits: Vec<usize> = (0..expected.len())
                .filter(|&at| complaint.contains(expected[at]))
                .collect();
            if hits.is_empty() && !known.iter().any(|known| complaint.contains(known)) {
                unexpected.push(line);
            }
            for at in hits {
                met[at] = true;
            }
        }
        let unmet: Vec<String> = (0..expected.len())
            .filter(|&at| !met[at])
            .map(|at| expected[at].to_owned())
            .collect();
        if unexpected.is_empty() && unmet.is_empty() {
            Ok(())
        } else {
            Err(UncleanLog { unexpected, unmet })
        }
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
    if line.trim().is_empty() {
        return None;
    }
    let Some(event) = event(line) else {
        return Some(line.to_owned());
    };
    matches!(event["level"].as_str(), Some("WARN" | "ERROR"))
        .then(|| event["message"].as_str().unwrap_or(line).to_owned())
}

fn event(line: &str) -> Option<Value> {
    serde_json::from_str(line).ok().filter(Value::is_object)
}

#[cfg(test)]
mod tests;

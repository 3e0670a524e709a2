//! What was asked, when, by whom, and what came of it: a bounded list and counters that never forget.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use crate::answer::Answer;
use crate::clock::{Clock, UtcMillis};
use crate::faults::{Call, Fault, Kind};
use crate::locks::lock;

/// One request, under way or answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestRecord {
    /// Running number, from 1.
    pub seq: u64,
    /// When the request had been read.
    pub started: UtcMillis,
    /// When the last byte had been handed to the connection, or the connection was gone.
    pub answered: Option<UtcMillis>,
    /// What it was about.
    pub kind: Kind,
    pub method: String,
    /// Path and query as sent.
    pub address: String,
    /// Client id of the caller.
    pub app: Option<String>,
    /// The warehouses the request named, with commas between them; folded to upper case.
    pub warehouse: Option<String>,
    pub status: Option<u16>,
    pub rows: usize,
    /// Bytes of body handed to the connection.
    pub bytes: u64,
    /// Faults that fired on it.
    pub faults: usize,
}

/// Sums over the whole run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Counters {
    /// Requests taken.
    pub requests: u64,
    /// Requests being worked on now.
    pub in_flight: u64,
    /// Most requests worked on at once.
    pub most_in_flight: u64,
    /// Answers by kind and status, e.g. `page 200`.
    pub answers: BTreeMap<String, u64>,
    /// Rows sent.
    pub rows: u64,
    /// Bytes of body sent.
    pub bytes: u64,
    /// Requests no longer in the list.
    pub forgotten: u64,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<RequestRecord>,
    counters: Counters,
}

#[derive(Debug)]
pub(crate) struct RequestLog {
    state: Mutex<State>,
    capacity: usize,
    clock: Arc<Clock>,
}

impl RequestLog {
    pub(crate) fn new(capacity: usize, clock: Arc<Clock>) -> Self {
        Self {
            state: Mutex::default(),
            capacity: capacity.max(1),
            clock,
        }
    }

    /// Notes a request that has come in.
    pub(crate) fn open(self: &Arc<Self>, method: &str, path: &str, query: &str) -> OpenRecord {
        let address = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        let mut state = lock(&self.state);
        state.counters.requests += 1;
        state.counters.in_flight += 1;
        state.counters.most_in_flight = state.counters.most_in_flight.max(state.counters.in_flight);
        let seq = state.counters.requests;
        if state.records.len() == self.capacity {
            state.records.pop_front();
            state.counters.forgotten += 1;
        }
        state.records.push_back(RequestRecord {
            seq,
            started: self.clock.now(),
            answered: None,
            kind: Kind::Other,
            method: method.to_owned(),
            address,
            app: None,
            warehouse: None,
            status: None,
            rows: 0,
            bytes: 0,
            faults: 0,
        });
        OpenRecord {
            log: Arc::clone(self),
            seq,
            open: true,
        }
    }

    /// Records with a number above `seq`, oldest first.
    pub(crate) fn since(&self, seq: u64) -> Vec<RequestRecord> {
        lock(&self.state)
            .records
            .iter()
            .filter(|record| record.seq > seq)
            .cloned()
            .collect()
    }

    pub(crate) fn counters(&self) -> Counters {
        lock(&self.state).counters.clone()
    }

    fn update(&self, seq: u64, change: impl FnOnce(&mut RequestRecord)) -> Option<Kind> {
        let mut state = lock(&self.state);
        let first = state.records.front()?.seq;
        let place = usize::try_from(seq.checked_sub(first)?).ok()?;
        let record = state.records.get_mut(place)?;
        change(record);
        Some(record.kind)
    }
}

/// A request under way. Dropped without an answer, it counts as answered by nothing.
#[derive(Debug)]
pub(crate) struct OpenRecord {
    log: Arc<RequestLog>,
    seq: u64,
    open: bool,
}

impl OpenRecord {
    pub(crate) fn classify(&self, call: &Call) {
        self.log.update(self.seq, |record| {
            record.kind = call.kind;
            record.app.clone_from(&call.app);
            record.warehouse = (!call.warehouses.is_empty()).then(|| call.warehouses.join(","));
        });
    }

    pub(crate) fn note_faults(&self, faults: &[Fault]) {
        self.log
            .update(self.seq, |record| record.faults = faults.len());
    }

    /// Notes what is about to be sent.
    pub(crate) fn sending(&self, answer: &Answer) {
        self.log.update(self.seq, |record| {
            record.status = Some(answer.status);
            record.rows = answer.rows;
        });
    }

    /// Notes that so many bytes have been sent and no more will be.
    pub(crate) fn finish(&mut self, bytes: u64) {
        if !std::mem::replace(&mut self.open, false) {
            return;
        }
        let now = self.log.clock.now();
        let mut sent = (None, 0);
        let kind = self.log.update(self.seq, |record| {
            record.answered = Some(now);
            record.bytes = bytes;
            sent = (record.status, record.rows);
        });
        let mut state = lock(&self.log.state);
        let counters = &mut state.counters;
        counters.in_flight -= 1;
        counters.rows += sent.1 as u64;
        counters.bytes += bytes;
        let kind = kind.map_or("forgotten", Kind::name);
        let status = sent
            .0
            .map_or_else(|| "none".to_owned(), |status| status.to_string());
        *counters
            .answers
            .entry(format!("{kind} {status}"))
            .or_default() += 1;
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        self.finish(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_the_counters_go_on() {
        let log = Arc::new(RequestLog::new(3, Arc::default()));
        for _ in 0..5 {
            let mut record = log.open("GET", "/data/", "");
            record.sending(&Answer::empty(200));
            record.finish(10);
        }
        // Dropped without an answer.
        drop(log.open("GET", "/data/", ""));
        let kept: Vec<_> = log.since(4).iter().map(|record| record.seq).collect();
        assert_eq!(kept, [5, 6]);
        let counters = log.counters();
        assert_eq!((counters.requests, counters.forgotten), (6, 3));
        assert_eq!((counters.in_flight, counters.most_in_flight), (0, 1));
        assert_eq!(counters.answers["other 200"], 5);
        assert_eq!(counters.answers["other none"], 1);
    }
}

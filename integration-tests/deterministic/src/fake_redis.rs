//! Redis as far as the scripts use it: maps in memory, a clock that is set from outside.
//!
//! A command or an option the scripts do not use is an error, so that a new script is noticed here.

mod commands;
mod numbers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What a command answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing there.
    Nil,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// `OK` and its like.
    Status(String),
    /// Several of them.
    Array(Vec<Reply>),
}

impl Reply {
    /// The number it is.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The texts of an array; none if it is something else.
    pub fn into_texts(self) -> Option<Vec<String>> {
        match self {
            Self::Array(replies) => replies
                .into_iter()
                .map(|reply| match reply {
                    Self::Text(text) => Some(text),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// A string.
    Text(String),
    /// A hash.
    Hash(BTreeMap<String, String>),
    /// A sorted set; scores are whole numbers, as all of ours are.
    Sorted(BTreeMap<String, i64>),
    /// A list.
    List(VecDeque<String>),
}

impl Value {
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Hash(fields) => fields.is_empty(),
            Self::Sorted(members) => members.is_empty(),
            Self::List(items) => items.is_empty(),
        }
    }
}

/// A key's value and when it goes away.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What it holds.
    pub value: Value,
    /// When it expires, in ms since 1970 on this server's clock.
    pub expires_ms: Option<i64>,
}

/// All keys and what they hold. Copies share what was not written since.
pub type Entries = BTreeMap<Arc<str>, Arc<Entry>>;

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// A command or an option that is not modelled.
    #[error("{0} is not modelled; the scripts did not use it before")]
    NotModelled(String),
    /// As Redis says it.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value: {0}")]
    WrongType(String),
    /// As Redis says it.
    #[error("ERR value is not an integer or out of range: {0}")]
    NotANumber(String),
    /// A script touched a key it did not declare, which a cluster refuses.
    #[error("the key {0} was not declared")]
    Undeclared(String),
    /// Too few arguments.
    #[error("ERR wrong number of arguments for {0}")]
    Arguments(String),
}

/// A server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FakeRedis {
    entries: Arc<Entries>,
    now_us: i64,
    /// Which server this is: another one after a failover or a restart.
    server: u64,
    touched: BTreeSet<String>,
}

impl FakeRedis {
    /// Sets the clock, in microseconds since 1970. What has expired by then goes.
    pub fn set_clock_us(&mut self, now_us: i64) {
        self.now_us = now_us;
        let by_now = self.now_ms();
        let expired: Vec<Arc<str>> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.expires_ms.is_some_and(|at| at <= by_now))
            .map(|(key, _)| Arc::clone(key))
            .collect();
        for key in expired {
            self.remove(&key);
        }
    }

    /// Which server this is.
    pub fn server(&self) -> u64 {
        self.server
    }

    /// The clock in ms.
    pub fn now_ms(&self) -> i64 {
        self.now_us.div_euclid(1_000)
    }

    /// Everything in it.
    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    /// Everything that is in it now.
    pub fn contents(&self) -> Arc<Entries> {
        Arc::clone(&self.entries)
    }

    /// Removes a key, as eviction does.
    pub fn remove(&mut self, key: &str) -> bool {
        self.touched.insert(key.to_owned());
        self.entries.contains_key(key) && Arc::make_mut(&mut self.entries).remove(key).is_some()
    }

    /// Becomes another server with this one's earlier contents: what was written since is lost.
    pub fn fail_over_to(&mut self, earlier: Arc<Entries>) {
        for key in self.entries.keys().chain(earlier.keys()) {
            self.touched.insert(key.to_string());
        }
        self.entries = earlier;
        self.server += 1;
        self.set_clock_us(self.now_us);
    }

    /// The keys that were written or went away since this was asked last.
    pub fn take_touched(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.touched)
    }
}

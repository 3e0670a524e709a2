//! Redis as far as the worker's scripts use it: maps in memory, a clock that is set from outside.
//!
//! A command or an option the scripts do not use is an error, so that a new script is noticed here.

use redis::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A hash.
    Hash(BTreeMap<String, String>),
    /// A sorted set; scores are whole numbers, as all of ours are.
    Sorted(BTreeMap<String, i64>),
    /// A list.
    List(VecDeque<String>),
}

/// A key's content and when it goes away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it holds.
    pub content: Content,
    /// When it expires, in ms since 1970 on this server's clock.
    pub expires_ms: Option<i64>,
}

/// All keys and what they hold. Copies share what was not written since.
pub type Entries = BTreeMap<Arc<str>, Arc<Entry>>;

/// A command that Redis, or this model of it, refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CommandError(pub(crate) String);

/// A server.
#[derive(Debug, Clone, Default)]
pub struct RedisModel {
    entries: Arc<Entries>,
    now_us: i64,
    /// Which server this is: another one after a failover or a restart.
    server: u64,
    touched: BTreeSet<String>,
}

macro_rules! typed {
    ($read:ident, $write:ident, $variant:ident, $kind:ty) => {
        fn $read(&self, key: &str) -> Result<Option<&$kind>, CommandError> {
            match self.entries.get(key).map(|entry| &entry.content) {
                None => Ok(None),
                Some(Content::$variant(content)) => Ok(Some(content)),
                Some(_) => Err(wrong_type(key)),
            }
        }

        fn $write(&mut self, key: &str) -> Result<&mut $kind, CommandError> {
            self.touched.insert(key.to_owned());
            let entries = Arc::make_mut(&mut self.entries);
            let entry = entries.entry(Arc::from(key)).or_insert_with(|| {
                let content = Content::$variant(<$kind>::default());
                let expires_ms = None;
                Arc::new(Entry {
                    content,
                    expires_ms,
                })
            });
            match &mut Arc::make_mut(entry).content {
                Content::$variant(content) => Ok(content),
                _ => Err(wrong_type(key)),
            }
        }
    };
}

impl RedisModel {
    typed!(hash, hash_mut, Hash, BTreeMap<String, String>);
    typed!(sorted, sorted_mut, Sorted, BTreeMap<String, i64>);
    typed!(list, list_mut, List, VecDeque<String>);

    /// Sets the clock, in ms since 1970. What has expired by then goes.
    pub fn set_clock_ms(&mut self, now_ms: i64) {
        self.now_us = now_ms * 1_000;
        let is_over = |entry: &Arc<Entry>| entry.expires_ms.is_some_and(|at| at <= now_ms);
        let entries = self.entries.iter();
        let expired: Vec<Arc<str>> = entries
            .filter(|(_, entry)| is_over(entry))
            .map(|(key, _)| Arc::clone(key))
            .collect();
        for key in expired {
            self.remove(&key);
        }
    }

    /// The clock, in ms since 1970.
    pub fn now_ms(&self) -> i64 {
        self.now_us.div_euclid(1_000)
    }

    /// Everything that is in it now.
    pub fn entries(&self) -> &Arc<Entries> {
        &self.entries
    }

    /// The fields of a hash; none for what is no hash.
    pub fn fields(&self, key: &str) -> Option<&BTreeMap<String, String>> {
        self.hash(key).ok().flatten()
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
        self.set_clock_ms(self.now_ms());
    }

    /// The keys that were written or went away since this was asked last.
    pub fn take_touched(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.touched)
    }

    /// Runs a command.
    pub fn call(&mut self, command: &[&str]) -> Result<Value, CommandError> {
        let answer = self.answer(command)?;
        if let [_, key, ..] = command
            && self.entries.get(*key).is_some_and(|entry| entry.is_empty())
        {
            Arc::make_mut(&mut self.entries).remove(*key);
        }
        Ok(answer)
    }

    fn answer(&mut self, command: &[&str]) -> Result<Value, CommandError> {
        Ok(match command {
            ["TIME"] => Value::Array(vec![
                text(&self.now_us.div_euclid(1_000_000)),
                text(&self.now_us.rem_euclid(1_000_000)),
            ]),
            // Only what tells servers apart.
            ["INFO", "server"] => text(&format!("run_id:{:040x}\r\n", self.server)),
            ["INFO", "replication"] => text(&format!("master_replid:{:040x}\r\n", self.server)),
            ["EXISTS", key] => count(self.entries.contains_key(*key).into()),
            ["DEL", key] => count(self.remove(key).into()),
            ["PEXPIRE", key, ms] => {
                let until = self.now_ms() + whole(ms)?;
                let entry = Arc::make_mut(&mut self.entries).get_mut(*key);
                let is_there = entry.is_some();
                if let Some(entry) = entry {
                    Arc::make_mut(entry).expires_ms = Some(until);
                }
                count(is_there.into())
            }
            ["PTTL", key] => Value::Int(match self.entries.get(*key) {
                None => -2,
                Some(entry) => entry.expires_ms.map_or(-1, |until| until - self.now_ms()),
            }),
            ["HGET", key, field] => optional(self.hash(key)?.and_then(|hash| hash.get(*field))),
            ["HEXISTS", key, field] => {
                let hash = self.hash(key)?;
                count(hash.is_some_and(|hash| hash.contains_key(*field)).into())
            }
            ["HSET", key, pairs @ ..] if pairs.len() >= 2 && pairs.len() % 2 == 0 => {
                let hash = self.hash_mut(key)?;
                let pairs = pairs.chunks_exact(2);
                let before = pairs.map(|pair| hash.insert(pair[0].to_owned(), pair[1].to_owned()));
                count(before.filter(Option::is_none).count())
            }
            ["HSETNX", key, field, value] => {
                let hash = self.hash_mut(key)?;
                let is_new = !hash.contains_key(*field);
                hash.entry((*field).to_owned())
                    .or_insert_with(|| (*value).to_owned());
                count(is_new.into())
            }
            ["HINCRBY", key, field, by] => {
                let by = whole(by)?;
                let hash = self.hash_mut(key)?;
                let before = hash.get(*field).map_or(Ok(0), |text| whole(text))?;
                hash.insert((*field).to_owned(), (before + by).to_string());
                Value::Int(before + by)
            }
            ["HDEL", key, fields @ ..] if !fields.is_empty() => {
                let hash = self.hash_mut(key)?;
                let gone = fields.iter().filter(|field| hash.remove(**field).is_some());
                count(gone.count())
            }
            ["ZADD", key, "XX", score, member] => {
                let score = whole(score)?;
                if let Some(place) = self.sorted_mut(key)?.get_mut(*member) {
                    *place = score;
                }
                count(0)
            }
            ["ZADD", key, "NX", score, member] => {
                let score = whole(score)?;
                let set = self.sorted_mut(key)?;
                let is_new = !set.contains_key(*member);
                set.entry((*member).to_owned()).or_insert(score);
                count(is_new.into())
            }
            ["ZADD", key, score, member] => {
                let score = whole(score)?;
                let before = self.sorted_mut(key)?.insert((*member).to_owned(), score);
                count(before.is_none().into())
            }
            ["ZSCORE", key, member] => {
                let score = self.sorted(key)?.and_then(|set| set.get(*member));
                score.map_or(Value::Nil, text)
            }
            ["ZREM", key, member] => count(self.sorted_mut(key)?.remove(*member).is_some().into()),
            ["LPUSH", key, item] => {
                let list = self.list_mut(key)?;
                list.push_front((*item).to_owned());
                count(list.len())
            }
            ["RPUSH", key, item] => {
                let list = self.list_mut(key)?;
                list.push_back((*item).to_owned());
                count(list.len())
            }
            ["LTRIM", key, from, to] => {
                let (from, to) = (whole(from)?, whole(to)?);
                let list = self.list_mut(key)?;
                let kept = positions(from, to, list.len());
                *list = list.drain(kept).collect();
                Value::Okay
            }
            _ => {
                let problem = "is not modelled; the scripts did not use it before";
                return Err(CommandError(format!("{command:?} {problem}")));
            }
        })
    }

    /// The members of a sorted set with the least scores, and these.
    pub fn earliest(&self, key: &str, most: usize) -> Vec<(String, i64)> {
        let members = self.sorted(key).ok().flatten();
        let members = members.into_iter().flatten();
        let mut members: Vec<_> = members.map(|(m, score)| (m.clone(), *score)).collect();
        members.sort_by(|(a, first), (b, second)| (first, a).cmp(&(second, b)));
        members.truncate(most);
        members
    }

    /// The items of a list.
    pub fn items(&self, key: &str) -> Vec<String> {
        let list = self.list(key).ok().flatten();
        list.into_iter().flatten().cloned().collect()
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        match &self.content {
            Content::Hash(fields) => fields.is_empty(),
            Content::Sorted(members) => members.is_empty(),
            Content::List(items) => items.is_empty(),
        }
    }
}

fn wrong_type(key: &str) -> CommandError {
    CommandError(format!(
        "WRONGTYPE Operation against a key holding the wrong kind of value: {key}"
    ))
}

fn text(text: &impl ToString) -> Value {
    Value::BulkString(text.to_string().into_bytes())
}

fn optional(found: Option<&String>) -> Value {
    found.map_or(Value::Nil, text)
}

fn count(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn whole(text: &str) -> Result<i64, CommandError> {
    let problem = "ERR value is not an integer or out of range";
    text.parse()
        .map_err(|_cause| CommandError(format!("{problem}: {text}")))
}

/// The positions `from..=to` of a list, both may count from its end.
fn positions(from: i64, to: i64, length: usize) -> Range<usize> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let from_begin = |at: i64| if at < 0 { at + length } else { at };
    let first = from_begin(from).clamp(0, length);
    let end = (from_begin(to) + 1).clamp(first, length);
    usize::try_from(first).unwrap_or(0)..usize::try_from(end).unwrap_or(0)
}

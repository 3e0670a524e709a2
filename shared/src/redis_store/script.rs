//! A script of the store, and a call of it as a value.

use super::error::StoreError;
use redis::{FromRedisValue, RedisError, Script, Value};
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

/// What every script begins with: the server's clock.
const CLOCK: &str = "\
#!lua
local now = redis.call('TIME')
local now_ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
";

/// What a script does first that grants something: its last argument is until when its caller waits. A
/// Redis that was frozen may come to it when nobody waits any more, and would block others with it.
const LATE: &str = "\
if now_ms > tonumber(table.remove(ARGV)) then
  return 'late'
end
";

/// A script: the clock, for some a look at the caller's time, and the text of its file.
#[derive(Debug)]
pub struct StoreScript {
    name: &'static str,
    body: &'static str,
    is_in_time: bool,
    loaded: OnceLock<Script>,
}

impl StoreScript {
    /// Does the same however late Redis comes to it.
    pub(super) const fn at_any_time(name: &'static str, body: &'static str) -> Self {
        Self {
            name,
            body,
            is_in_time: false,
            loaded: OnceLock::new(),
        }
    }

    /// Changes nothing and answers `late` once its caller's time is over.
    pub(super) const fn in_time(name: &'static str, body: &'static str) -> Self {
        Self {
            name,
            body,
            is_in_time: true,
            loaded: OnceLock::new(),
        }
    }

    /// Its file's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether its last argument is the end of its caller's time, in ms since 1970 on Redis' clock.
    pub fn is_in_time(&self) -> bool {
        self.is_in_time
    }

    /// What Redis runs.
    pub fn source(&self) -> String {
        let late = if self.is_in_time { LATE } else { "" };
        [CLOCK, late, self.body].concat()
    }

    /// SHA-1 of the source: what it is called by.
    pub(super) fn hash(&self) -> &str {
        let script = self.loaded.get_or_init(|| Script::new(&self.source()));
        script.get_hash()
    }
}

/// A call as a value: the store runs it on Redis, a simulation on an engine of its own.
pub struct StoreCall<T> {
    /// Which script.
    pub script: &'static StoreScript,
    /// Its declared keys.
    pub keys: Vec<String>,
    /// Its arguments; the end of the caller's time is not among them.
    pub arguments: Vec<String>,
    /// How long its caller waits; none for as long as scripts may take.
    pub(super) patience: Option<Duration>,
    /// Whether twice does the same as once, so that it is repeated if its connection dies.
    pub(super) is_repeatable: bool,
    decode: fn(Value) -> Result<T, StoreError>,
}

impl<T> StoreCall<T> {
    /// Without keys and arguments yet.
    pub(super) fn of(script: &'static StoreScript) -> Self
    where
        T: FromRedisValue,
    {
        Self::read_by(script, read)
    }

    /// The same; its answer is read by this function.
    pub(super) fn read_by(
        script: &'static StoreScript,
        decode: fn(Value) -> Result<T, StoreError>,
    ) -> Self {
        Self {
            script,
            keys: Vec::new(),
            arguments: Vec::new(),
            patience: None,
            is_repeatable: false,
            decode,
        }
    }

    pub(super) fn key(mut self, key: String) -> Self {
        self.keys.push(key);
        self
    }

    pub(super) fn argument(mut self, argument: impl fmt::Display) -> Self {
        self.arguments.push(argument.to_string());
        self
    }

    /// For a caller who waits this long.
    pub(super) fn within(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Twice does the same as once.
    pub(super) fn repeatable(mut self) -> Self {
        self.is_repeatable = true;
        self
    }

    pub(super) fn push_key(&mut self, key: String) -> usize {
        self.keys.push(key);
        self.keys.len()
    }

    pub(super) fn push_argument(&mut self, argument: String) {
        self.arguments.push(argument);
    }

    /// Reads the script's answer.
    ///
    /// # Errors
    /// [`StoreError::TooLate`] if the script says so, and whatever else an answer of another form is.
    pub fn decode(&self, answer: Value) -> Result<T, StoreError> {
        if is_late(&answer) {
            return Err(StoreError::TooLate);
        }
        (self.decode)(answer)
    }
}

/// Whether a script says that its caller's time was over.
pub(super) fn is_late(answer: &Value) -> bool {
    matches!(answer, Value::BulkString(text) if text == b"late")
}

/// Reads an answer as a plain value.
pub(super) fn read<T: FromRedisValue>(answer: Value) -> Result<T, StoreError> {
    redis::from_redis_value(answer).map_err(|cause| RedisError::from(cause).into())
}

//! The commands.

use super::numbers::{border, positions, whole};
use super::{CommandError, Entry, FakeRedis, Reply, Value};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

type Answer = Result<Reply, CommandError>;

macro_rules! typed {
    ($read:ident, $write:ident, $variant:ident, $kind:ty) => {
        fn $read(&self, key: &str) -> Result<Option<&$kind>, CommandError> {
            match self.entries.get(key).map(|entry| &entry.value) {
                None => Ok(None),
                Some(Value::$variant(value)) => Ok(Some(value)),
                Some(_) => Err(CommandError::WrongType(key.to_owned())),
            }
        }

        fn $write(&mut self, key: &str) -> Result<&mut $kind, CommandError> {
            self.touched.insert(key.to_owned());
            let entry = self.entry_mut(key, || Value::$variant(<$kind>::default()));
            match &mut entry.value {
                Value::$variant(value) => Ok(value),
                _ => Err(CommandError::WrongType(key.to_owned())),
            }
        }
    };
}

/// What becomes of the score a member has already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Stays,
    IsReplaced,
}

fn text(found: Option<&String>) -> Reply {
    found.map_or(Reply::Nil, |text| Reply::Text(text.clone()))
}

fn count(number: usize) -> Reply {
    Reply::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

impl FakeRedis {
    typed!(hash, hash_mut, Hash, BTreeMap<String, String>);
    typed!(sorted, sorted_mut, Sorted, BTreeMap<String, i64>);
    typed!(list, list_mut, List, VecDeque<String>);

    /// Runs a command.
    pub fn call(&mut self, command: &[&str]) -> Answer {
        let Some((name, arguments)) = command.split_first() else {
            return Err(CommandError::Arguments("nothing".to_owned()));
        };
        let upper = name.to_ascii_uppercase();
        if let ("TIME", []) = (upper.as_str(), arguments) {
            return Ok(self.time());
        }
        if let ("INFO", [section]) = (upper.as_str(), arguments) {
            return self.info(section);
        }
        let Some((key, rest)) = arguments.split_first() else {
            return Err(CommandError::Arguments(upper));
        };
        let answer = match upper.chars().next() {
            Some('H') => self.hash_command(&upper, key, rest),
            Some('Z') => self.sorted_command(&upper, key, rest),
            Some('L' | 'R') => self.list_command(&upper, key, rest),
            _ => self.key_command(&upper, key, rest),
        };
        if self.entries.get(*key).is_some_and(|e| e.value.is_empty()) {
            Arc::make_mut(&mut self.entries).remove(*key);
        }
        answer
    }

    fn entry_mut(&mut self, key: &str, made: impl FnOnce() -> Value) -> &mut Entry {
        let entries = Arc::make_mut(&mut self.entries);
        let entry = entries.entry(Arc::from(key)).or_insert_with(|| {
            let (value, expires_ms) = (made(), None);
            Arc::new(Entry { value, expires_ms })
        });
        Arc::make_mut(entry)
    }

    fn time(&self) -> Reply {
        Reply::Array(vec![
            Reply::Text(self.now_us.div_euclid(1_000_000).to_string()),
            Reply::Text(self.now_us.rem_euclid(1_000_000).to_string()),
        ])
    }

    /// Only what tells servers apart.
    fn info(&self, section: &str) -> Answer {
        let name = match section {
            "server" => "run_id",
            "replication" => "master_replid",
            other => return Err(CommandError::NotModelled(format!("INFO {other}"))),
        };
        Ok(Reply::Text(format!("{name}:{:040x}\r\n", self.server)))
    }

    fn hash_command(&mut self, name: &str, key: &str, rest: &[&str]) -> Answer {
        match (name, rest) {
            ("HGET", [field]) => Ok(text(self.hash(key)?.and_then(|hash| hash.get(*field)))),
            ("HEXISTS", [field]) => {
                let is_there = self
                    .hash(key)?
                    .is_some_and(|hash| hash.contains_key(*field));
                Ok(Reply::Int(is_there.into()))
            }
            ("HGETALL", []) => {
                let fields = self.hash(key)?.into_iter().flatten();
                let flat = fields.flat_map(|(field, value)| [field.clone(), value.clone()]);
                Ok(Reply::Array(flat.map(Reply::Text).collect()))
            }
            ("HSET", pairs) if !pairs.is_empty() && pairs.len().is_multiple_of(2) => {
                let hash = self.hash_mut(key)?;
                let mut added = 0;
                for pair in pairs.chunks_exact(2) {
                    let before = hash.insert(pair[0].to_owned(), pair[1].to_owned());
                    added += usize::from(before.is_none());
                }
                Ok(count(added))
            }
            ("HSETNX", [field, value]) => {
                let hash = self.hash_mut(key)?;
                if hash.contains_key(*field) {
                    return Ok(Reply::Int(0));
                }
                hash.insert((*field).to_owned(), (*value).to_owned());
                Ok(Reply::Int(1))
            }
            ("HINCRBY", [field, by]) => {
                let by = whole(by)?;
                let hash = self.hash_mut(key)?;
                let before = hash.get(*field).map_or(Ok(0), |text| whole(text))?;
                let after = before
                    .checked_add(by)
                    .ok_or_else(|| CommandError::NotANumber((*field).to_owned()))?;
                hash.insert((*field).to_owned(), after.to_string());
                Ok(Reply::Int(after))
            }
            ("HDEL", fields) if !fields.is_empty() => {
                let hash = self.hash_mut(key)?;
                let gone = fields.iter().filter(|field| hash.remove(**field).is_some());
                Ok(count(gone.count()))
            }
            _ => Err(not_modelled(name, rest)),
        }
    }

    fn sorted_command(&mut self, name: &str, key: &str, rest: &[&str]) -> Answer {
        match (name, rest) {
            ("ZADD", ["XX", score, member]) => {
                let score = whole(score)?;
                if let Some(place) = self.sorted_mut(key)?.get_mut(*member) {
                    *place = score;
                }
                Ok(Reply::Int(0))
            }
            ("ZADD", ["NX", pairs @ ..]) => self.add_scores(key, pairs, Standing::Stays),
            ("ZADD", pairs) => self.add_scores(key, pairs, Standing::IsReplaced),
            ("ZSCORE", [member]) => {
                let score = self.sorted(key)?.and_then(|set| set.get(*member));
                Ok(text(score.map(i64::to_string).as_ref()))
            }
            ("ZREM", [member]) => {
                let gone = self.sorted_mut(key)?.remove(*member).is_some();
                Ok(Reply::Int(gone.into()))
            }
            ("ZCARD", []) => Ok(count(self.sorted(key)?.map_or(0, BTreeMap::len))),
            ("ZREMRANGEBYSCORE", [low, high]) => {
                let range = border(low)?..=border(high)?;
                let set = self.sorted_mut(key)?;
                let before = set.len();
                set.retain(|_, score| !range.contains(score));
                Ok(count(before - set.len()))
            }
            ("ZRANGE", [from, to, "WITHSCORES"]) => {
                let (from, to) = (whole(from)?, whole(to)?);
                let mut members: Vec<_> = self.sorted(key)?.into_iter().flatten().collect();
                members.sort_by_key(|(member, score)| (**score, (*member).clone()));
                let range = positions(from, to, members.len());
                let flat = members[range]
                    .iter()
                    .flat_map(|(member, score)| [(*member).clone(), score.to_string()]);
                Ok(Reply::Array(flat.map(Reply::Text).collect()))
            }
            _ => Err(not_modelled(name, rest)),
        }
    }

    fn add_scores(&mut self, key: &str, pairs: &[&str], standing: Standing) -> Answer {
        if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
            return Err(CommandError::Arguments("ZADD".to_owned()));
        }
        let mut added = 0;
        for pair in pairs.chunks_exact(2) {
            let score = whole(pair[0])?;
            let set = self.sorted_mut(key)?;
            match set.get_mut(pair[1]) {
                Some(before) if standing == Standing::IsReplaced => *before = score,
                Some(_) => {}
                None => {
                    set.insert(pair[1].to_owned(), score);
                    added += 1;
                }
            }
        }
        Ok(count(added))
    }

    fn list_command(&mut self, name: &str, key: &str, rest: &[&str]) -> Answer {
        match (name, rest) {
            ("LPUSH", [item]) => {
                let list = self.list_mut(key)?;
                list.push_front((*item).to_owned());
                Ok(count(list.len()))
            }
            ("RPUSH", [item]) => {
                let list = self.list_mut(key)?;
                list.push_back((*item).to_owned());
                Ok(count(list.len()))
            }
            ("LTRIM", [from, to]) => {
                let (from, to) = (whole(from)?, whole(to)?);
                let list = self.list_mut(key)?;
                let range = positions(from, to, list.len());
                *list = list.drain(range).collect();
                Ok(Reply::Status("OK".to_owned()))
            }
            ("LRANGE", [from, to]) => {
                let (from, to) = (whole(from)?, whole(to)?);
                let Some(list) = self.list(key)? else {
                    return Ok(Reply::Array(Vec::new()));
                };
                let items = list.range(positions(from, to, list.len()));
                Ok(Reply::Array(items.cloned().map(Reply::Text).collect()))
            }
            _ => Err(not_modelled(name, rest)),
        }
    }

    fn key_command(&mut self, name: &str, key: &str, rest: &[&str]) -> Answer {
        match (name, rest) {
            ("GET", []) => match self.entries.get(key).map(|entry| &entry.value) {
                None => Ok(Reply::Nil),
                Some(Value::Text(value)) => Ok(Reply::Text(value.clone())),
                Some(_) => Err(CommandError::WrongType(key.to_owned())),
            },
            ("EXISTS", []) => Ok(Reply::Int(self.entries.contains_key(key).into())),
            ("DEL", []) => Ok(Reply::Int(self.remove(key).into())),
            ("PEXPIRE", [ms]) => {
                let until = self.now_ms() + whole(ms)?;
                let is_there = self.entries.contains_key(key);
                if let Some(entry) = Arc::make_mut(&mut self.entries).get_mut(key) {
                    Arc::make_mut(entry).expires_ms = Some(until);
                }
                Ok(Reply::Int(is_there.into()))
            }
            ("PTTL", []) => Ok(Reply::Int(match self.entries.get(key) {
                None => -2,
                Some(entry) => entry.expires_ms.map_or(-1, |until| until - self.now_ms()),
            })),
            ("SET", [value, "PX", ms]) => {
                let expires_ms = Some(self.now_ms() + whole(ms)?);
                let value = Value::Text((*value).to_owned());
                self.touched.insert(key.to_owned());
                let entry = Arc::new(Entry { value, expires_ms });
                Arc::make_mut(&mut self.entries).insert(Arc::from(key), entry);
                Ok(Reply::Status("OK".to_owned()))
            }
            _ => Err(not_modelled(name, rest)),
        }
    }
}

fn not_modelled(name: &str, rest: &[&str]) -> CommandError {
    CommandError::NotModelled(format!("{name} with {} further arguments", rest.len()))
}

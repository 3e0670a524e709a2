//! The store's calls as the services make them: the same scripts, keys and arguments, on a fake
//! Redis.

use crate::fake_redis::{CommandError, FakeRedis, Reply, Value};
use crate::script_engine::{ScriptEngine, ScriptError};
use shared::redis_store::{
    Calls, CycleEnd, ItemRange, Keys, LineText, OpenCycle, ShardProgress, ShardRecord, scripts,
    snapshot_of,
};
use shared::stock::{
    AsOf, IdError, ItemNumber, Origin, Sku, StockLine, TenantId, WarehouseId, WarehouseSnapshot,
};
use std::collections::BTreeMap;

/// How many due shards a worker looks at.
const CLAIM_TRIES: &str = "7";
/// Every caller waits for its answer: 2^53 ms.
const IN_TIME: &str = "9007199254740992";
/// How long a SKU lives of which only absences are known.
const ABSENCE_TTL_MS: i64 = 900_000;
/// The fingerprint of the settings everything is read with.
const SETTINGS: &str = "00000000000000aa";

/// A call that went wrong: a mistake in the scripts or in this house, never a fault of the weather.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// A script failed.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A name that is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A reply of another kind than the services expect.
    #[error("{0} answered something else than expected")]
    Odd(&'static str),
}

/// A claimed shard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Held {
    /// A warehouse, or a part of its cycle.
    pub shard: String,
    /// The fencing token.
    pub token: i64,
}

/// What became of a cycle's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealAnswer {
    /// It stands.
    Recorded,
    /// A later cycle has begun.
    Superseded,
    /// Another server has taken over: it cannot be complete.
    Replaced,
}

/// Scripts, keys and settings.
pub struct House {
    engine: ScriptEngine,
    keys: Keys,
    tenant: TenantId,
    /// How long a line lives that nothing writes again, in ms.
    pub line_ttl_ms: i64,
}

/// The scripts as they are.
pub fn real_scripts() -> Vec<(String, String)> {
    let own = scripts::ALL.iter();
    own.map(|script| (script.name().to_owned(), script.source()))
        .collect()
}

impl House {
    /// With these scripts.
    pub fn with(scripts: &[(String, String)], line_ttl_ms: i64) -> Result<Self, HouseError> {
        let sources = scripts.iter().map(|(n, s)| (n.as_str(), s.as_str()));
        Ok(Self {
            engine: ScriptEngine::with(sources)?,
            keys: Keys::with_prefix("inv:"),
            tenant: TenantId::parse("t")?,
            line_ttl_ms,
        })
    }

    /// The key of a SKU's lines.
    pub fn stock_key(&self, item: &str) -> Result<String, HouseError> {
        Ok(self.keys.stock(&self.tenant, &Sku::parse(item)?))
    }

    /// The key of the due set.
    pub fn due_key(&self) -> String {
        self.keys.due(&self.tenant)
    }

    /// The key of a shard's record.
    pub fn shard_key(&self, shard: &str) -> String {
        self.keys.shard(&self.tenant, shard)
    }

    /// The key of a warehouse's cycle.
    pub fn cycle_key(&self, warehouse: &WarehouseId) -> String {
        self.keys.cycle(&self.tenant, warehouse)
    }

    /// The key of a feed's record.
    pub fn snapshot_key(&self, warehouse: &WarehouseId) -> String {
        self.keys.snapshot(&self.tenant, warehouse)
    }

    /// The key of a warehouse's last cycles.
    pub fn history_key(&self, warehouse: &WarehouseId) -> String {
        self.keys.history(&self.tenant, warehouse)
    }

    /// The key of a warehouse's borders.
    pub fn ranges_key(&self, warehouse: &WarehouseId) -> String {
        self.keys.ranges(&self.tenant, warehouse)
    }

    fn number(
        &self,
        redis: &mut FakeRedis,
        script: &'static str,
        keys: &[String],
        arguments: &[String],
    ) -> Result<i64, HouseError> {
        let reply = self.engine.run(redis, script, keys, arguments)?;
        reply.as_int().ok_or(HouseError::Odd(script))
    }

    fn on_shard(
        &self,
        redis: &mut FakeRedis,
        script: &'static str,
        held: &Held,
        more: &[String],
    ) -> Result<i64, HouseError> {
        let keys = [self.due_key(), self.shard_key(&held.shard)];
        let mut arguments = vec![held.shard.clone(), held.token.to_string()];
        arguments.extend_from_slice(more);
        self.number(redis, script, &keys, &arguments)
    }

    /// The earliest shards and when they are due, in ms.
    pub fn earliest(&self, redis: &mut FakeRedis) -> Result<Vec<(String, i64)>, HouseError> {
        let due = self.due_key();
        let reply = redis.call(&["ZRANGE", &due, "0", CLAIM_TRIES, "WITHSCORES"])?;
        let flat = reply.into_texts().ok_or(HouseError::Odd("ZRANGE"))?;
        let pair = |pair: &[String]| Some((pair[0].clone(), pair[1].parse().ok()?));
        flat.chunks_exact(2)
            .map(pair)
            .collect::<Option<_>>()
            .ok_or(HouseError::Odd("ZRANGE"))
    }

    /// When the earliest shard is due; none if nothing is scheduled.
    pub fn next_due(&self, redis: &FakeRedis) -> Option<i64> {
        match &redis.entries().get(self.due_key().as_str())?.value {
            Value::Sorted(members) => members.values().min().copied(),
            _ => None,
        }
    }

    /// Schedules what is not scheduled.
    pub fn ensure_scheduled(
        &self,
        redis: &mut FakeRedis,
        warehouses: &[WarehouseId],
    ) -> Result<(), HouseError> {
        let due = self.due_key();
        for warehouse in warehouses {
            redis.call(&["ZADD", &due, "NX", "0", warehouse.as_str()])?;
        }
        Ok(())
    }

    /// Claims a shard seen to be due then; none if somebody was faster.
    pub fn claim(
        &self,
        redis: &mut FakeRedis,
        (shard, due_ms): (&str, i64),
        holder: &str,
        lease_ms: i64,
    ) -> Result<Option<Held>, HouseError> {
        let keys = [self.due_key(), self.shard_key(shard)];
        let arguments = [
            shard.to_owned(),
            holder.to_owned(),
            lease_ms.to_string(),
            due_ms.to_string(),
            IN_TIME.to_owned(),
        ];
        let token = self.number(redis, "claim.lua", &keys, &arguments)?;
        let shard = shard.to_owned();
        Ok((token > 0).then_some(Held { shard, token }))
    }

    /// Extends a lease; false if it is somebody else's by now.
    pub fn extend(
        &self,
        redis: &mut FakeRedis,
        held: &Held,
        lease_ms: i64,
        progress: Option<&ShardProgress>,
    ) -> Result<bool, HouseError> {
        let mut more = vec![lease_ms.to_string()];
        if let Some(progress) = progress {
            more.push(progress.rows.to_string());
            more.push(progress.cursor.clone());
            more.push(progress.notes.clone());
        }
        more.push(IN_TIME.to_owned());
        Ok(self.on_shard(redis, "extend.lua", held, &more)? == 1)
    }

    /// Gives a warehouse back; false if it is somebody else's by now.
    pub fn finish(
        &self,
        redis: &mut FakeRedis,
        held: &Held,
        wait_ms: i64,
        error: Option<&str>,
    ) -> Result<bool, HouseError> {
        let how = if error.is_some() { "failed" } else { "well" };
        let more = [
            wait_ms.to_string(),
            how.to_owned(),
            error.unwrap_or_default().to_owned(),
        ];
        Ok(self.on_shard(redis, "finish.lua", held, &more)? >= 0)
    }

    /// Takes a part of a cycle that is over off the schedule.
    pub fn drop_shard(&self, redis: &mut FakeRedis, held: &Held) -> Result<bool, HouseError> {
        Ok(self.on_shard(redis, "drop_shard.lua", held, &[])? == 1)
    }

    /// Gives a part back before its end.
    pub fn put_back(&self, redis: &mut FakeRedis, held: &Held) -> Result<bool, HouseError> {
        Ok(self.on_shard(redis, "put_back.lua", held, &[])? == 1)
    }

    /// Makes a warehouse due.
    pub fn make_due(
        &self,
        redis: &mut FakeRedis,
        warehouse: &WarehouseId,
    ) -> Result<(), HouseError> {
        let keys = [
            self.due_key(),
            self.shard_key(warehouse.as_str()),
            self.cycle_key(warehouse),
        ];
        let arguments = [warehouse.as_str().to_owned()];
        self.number(redis, "make_due.lua", &keys, &arguments)?;
        Ok(())
    }

    /// Opens a cycle; none if refused.
    pub fn open_cycle(
        &self,
        redis: &mut FakeRedis,
        warehouse: &WarehouseId,
        seen: u64,
        started: AsOf,
        ranges: &[ItemRange],
        watch_ms: i64,
    ) -> Result<Option<u64>, HouseError> {
        let keys = [
            self.snapshot_key(warehouse),
            self.cycle_key(warehouse),
            self.due_key(),
            self.shard_key(warehouse.as_str()),
        ];
        let mut arguments = vec![
            warehouse.as_str().to_owned(),
            seen.to_string(),
            started.to_string(),
            watch_ms.to_string(),
            SETTINGS.to_owned(),
        ];
        for range in ranges {
            for border in [&range.after, &range.up_to] {
                let border = border.as_ref().map_or("", |item| item.as_str());
                arguments.push(border.to_owned());
            }
        }
        arguments.push(IN_TIME.to_owned());
        let generation = self.number(redis, "open_cycle.lua", &keys, &arguments)?;
        Ok(u64::try_from(generation).ok().filter(|number| *number > 0))
    }

    /// Looks after a cycle; false if the warehouse is somebody else's by now.
    pub fn watch_cycle(
        &self,
        redis: &mut FakeRedis,
        held: &Held,
        warehouse: &WarehouseId,
        watch_ms: i64,
    ) -> Result<bool, HouseError> {
        let keys = [
            self.due_key(),
            self.shard_key(&held.shard),
            self.cycle_key(warehouse),
        ];
        let arguments = [
            held.shard.clone(),
            held.token.to_string(),
            watch_ms.to_string(),
        ];
        Ok(self.number(redis, "watch_cycle.lua", &keys, &arguments)? >= 0)
    }

    /// Notes how a part ended: how many are open, -1 lease lost, -2 cycle over.
    pub fn finish_part(
        &self,
        redis: &mut FakeRedis,
        held: &Held,
        warehouse: &WarehouseId,
        (generation, number): (u64, u32),
        started: AsOf,
        end: &str,
    ) -> Result<i64, HouseError> {
        let keys = [
            self.due_key(),
            self.shard_key(&held.shard),
            self.cycle_key(warehouse),
        ];
        let arguments = [
            held.shard.clone(),
            held.token.to_string(),
            warehouse.as_str().to_owned(),
            generation.to_string(),
            started.to_string(),
            number.to_string(),
            end.to_owned(),
        ];
        self.number(redis, "finish_part.lua", &keys, &arguments)
    }

    /// Records a cycle's end.
    pub fn seal(
        &self,
        redis: &mut FakeRedis,
        warehouse: &WarehouseId,
        end: &CycleEnd,
    ) -> Result<SealAnswer, HouseError> {
        let call = Calls::new(&self.keys, &self.tenant).seal(warehouse, end);
        match self.number(redis, "seal.lua", &call.keys, &call.arguments)? {
            0 => Ok(SealAnswer::Superseded),
            1 => Ok(SealAnswer::Recorded),
            2 => Ok(SealAnswer::Replaced),
            _ => Err(HouseError::Odd("seal.lua")),
        }
    }

    /// Writes lines; a verdict each, as the script numbers them.
    pub fn apply(
        &self,
        redis: &mut FakeRedis,
        lines: &[StockLine],
    ) -> Result<Vec<i64>, HouseError> {
        let mut keys = Vec::new();
        let ttls = [self.line_ttl_ms, self.line_ttl_ms.min(ABSENCE_TTL_MS)];
        let mut arguments = ttls.map(|ttl| ttl.to_string()).to_vec();
        for line in lines {
            let key = self.keys.stock(&self.tenant, &line.sku);
            let known = keys.iter().position(|known| *known == key);
            let number = known.unwrap_or(keys.len()) + 1;
            if known.is_none() {
                keys.push(key);
            }
            let is_live = line.value.origin == Origin::Live;
            arguments.push(number.to_string());
            arguments.push(line.warehouse.as_str().to_owned());
            arguments.push(line.value.as_of.to_string());
            arguments.push(u8::from(is_live).to_string());
            arguments.push(LineText(&line.value).to_string());
        }
        let reply = self
            .engine
            .run(redis, "apply_lines.lua", &keys, &arguments)?;
        let Reply::Array(verdicts) = reply else {
            return Err(HouseError::Odd("apply_lines.lua"));
        };
        let verdicts: Option<Vec<i64>> = verdicts.iter().map(Reply::as_int).collect();
        verdicts.ok_or(HouseError::Odd("apply_lines.lua"))
    }

    /// A line as it is stored.
    pub fn stored<'a>(
        &self,
        redis: &'a FakeRedis,
        item: &str,
        warehouse: &WarehouseId,
    ) -> Result<Option<&'a str>, HouseError> {
        let key = self.stock_key(item)?;
        Ok(fields(redis, &key)
            .and_then(|fields| fields.get(warehouse.as_str()))
            .map(String::as_str))
    }

    /// The record of a feed.
    #[expect(clippy::unnecessary_wraps, reason = "called like those that may fail")]
    pub fn snapshot(
        &self,
        redis: &FakeRedis,
        warehouse: &WarehouseId,
    ) -> Result<WarehouseSnapshot, HouseError> {
        let none = BTreeMap::new();
        let key = self.snapshot_key(warehouse);
        let fields = fields(redis, &key).unwrap_or(&none);
        Ok(snapshot_of(|name| fields.get(name).map(String::as_str)))
    }

    /// The cycle under way.
    pub fn cycle(&self, redis: &FakeRedis, warehouse: &WarehouseId) -> Option<OpenCycle> {
        let fields = fields(redis, &self.cycle_key(warehouse))?;
        OpenCycle::of(|name| fields.get(name).map(String::as_str))
    }

    /// Forgets what is left of a cycle.
    pub fn forget_cycle(
        &self,
        redis: &mut FakeRedis,
        warehouse: &WarehouseId,
    ) -> Result<(), HouseError> {
        redis.call(&["DEL", &self.cycle_key(warehouse)])?;
        Ok(())
    }

    /// A shard's record.
    #[expect(clippy::unnecessary_wraps, reason = "called like those that may fail")]
    pub fn shard_record(&self, redis: &FakeRedis, shard: &str) -> Result<ShardRecord, HouseError> {
        let none = BTreeMap::new();
        let fields = fields(redis, &self.shard_key(shard)).unwrap_or(&none);
        let field = |name: &str| fields.get(name).map(String::as_str);
        Ok(ShardRecord::of(None, field))
    }

    /// Where the next cycle is split.
    pub fn borders(
        &self,
        redis: &mut FakeRedis,
        warehouse: &WarehouseId,
    ) -> Result<Vec<ItemNumber>, HouseError> {
        let reply = redis.call(&["LRANGE", &self.ranges_key(warehouse), "0", "-1"])?;
        let texts = reply.into_texts().ok_or(HouseError::Odd("LRANGE"))?;
        let items = texts.into_iter().map(ItemNumber::parse);
        Ok(items.filter_map(Result::ok).collect())
    }
}

fn fields<'a>(redis: &'a FakeRedis, key: &str) -> Option<&'a BTreeMap<String, String>> {
    match &redis.entries().get(key)?.value {
        Value::Hash(fields) => Some(fields),
        _ => None,
    }
}

//! The store's own calls, run on a Redis of maps.

use crate::redis_model::{CommandError, RedisModel};
use crate::script_engine::{ScriptEngine, ScriptError, Scripts};
use redis::Value;
use shared::redis_store::{
    Calls, Keys, OpenCycle, ShardRecord, StoreCall, StoreError, snapshot_of,
};
use shared::stock::{IdError, ItemNumber, Sku, TenantId, WarehouseId, WarehouseSnapshot};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many due shards a worker looks at.
const CLAIM_TRIES: usize = 8;
/// Every caller waits for its answer: 2^53 ms.
const IN_TIME: &str = "9007199254740992";

/// A mistake in the scripts or in the model, never a fault.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A script failed.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// An answer the store does not expect.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A name that is none.
    #[error(transparent)]
    Id(#[from] IdError),
}

/// A call or a command as a real Redis may be asked it again.
#[derive(Debug)]
pub struct Recorded {
    /// The script's file; none for a plain command.
    pub script: Option<&'static str>,
    /// Its keys; all words of a command.
    pub keys: Vec<String>,
    /// All its arguments.
    pub arguments: Vec<String>,
    /// The server's clock then, in ms since 1970.
    pub now_ms: i64,
    /// What the model answered.
    pub answer: Value,
}

/// Scripts, keys and settings.
pub struct Store {
    engine: ScriptEngine,
    keys: Keys,
    tenant: TenantId,
    /// How long a line lives that nothing writes again.
    pub line_ttl: Duration,
    /// The calls so far, if they are to be kept.
    pub recorded: Option<Vec<Recorded>>,
}

impl Store {
    /// With these scripts.
    pub fn with(scripts: &Scripts, line_ttl: Duration) -> Result<Self, ModelError> {
        Ok(Self {
            engine: ScriptEngine::with(scripts)?,
            keys: Keys::with_prefix("inv:"),
            tenant: TenantId::parse("t")?,
            line_ttl,
            recorded: None,
        })
    }

    /// Makes calls.
    pub fn calls(&self) -> Calls<'_> {
        Calls::new(&self.keys, &self.tenant)
    }

    /// Runs a call.
    pub fn run<T>(&mut self, redis: &mut RedisModel, call: &StoreCall<T>) -> Result<T, ModelError> {
        let mut arguments = call.arguments.clone();
        if call.script.is_in_time() {
            arguments.push(IN_TIME.to_owned());
        }
        let name = call.script.name();
        let answer = self.engine.run(redis, name, &call.keys, &arguments)?;
        self.record(redis, Some(name), &call.keys, arguments, &answer);
        Ok(call.decode(answer)?)
    }

    /// Runs a plain command.
    pub fn command(&mut self, redis: &mut RedisModel, words: &[&str]) -> Result<(), ModelError> {
        let answer = redis.call(words)?;
        let words: Vec<String> = words.iter().copied().map(str::to_owned).collect();
        self.record(redis, None, &words, Vec::new(), &answer);
        Ok(())
    }

    fn record(
        &mut self,
        redis: &RedisModel,
        script: Option<&'static str>,
        keys: &[String],
        arguments: Vec<String>,
        answer: &Value,
    ) {
        if let Some(recorded) = &mut self.recorded {
            recorded.push(Recorded {
                script,
                keys: keys.to_vec(),
                arguments,
                now_ms: redis.now_ms(),
                answer: answer.clone(),
            });
        }
    }

    /// The key of a SKU's lines.
    pub fn stock_key(&self, item: &str) -> Result<String, ModelError> {
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

    /// The earliest shards and when they are due, in ms.
    pub fn earliest(&self, redis: &RedisModel) -> Vec<(String, i64)> {
        redis.earliest(&self.due_key(), CLAIM_TRIES)
    }

    /// Schedules what is not scheduled.
    pub fn ensure_scheduled(
        &mut self,
        redis: &mut RedisModel,
        warehouses: &[WarehouseId],
    ) -> Result<(), ModelError> {
        let due = self.due_key();
        for warehouse in warehouses {
            self.command(redis, &["ZADD", &due, "NX", "0", warehouse.key()])?;
        }
        Ok(())
    }

    /// A line as it is stored.
    pub fn stored<'a>(
        &self,
        redis: &'a RedisModel,
        item: &str,
        warehouse: &WarehouseId,
    ) -> Result<Option<&'a str>, ModelError> {
        let lines = redis.fields(&self.stock_key(item)?);
        let line = lines.and_then(|lines| lines.get(warehouse.key()));
        Ok(line.map(String::as_str))
    }

    /// The record of a feed.
    pub fn snapshot(&self, redis: &RedisModel, warehouse: &WarehouseId) -> WarehouseSnapshot {
        let none = BTreeMap::new();
        let fields = redis.fields(&self.snapshot_key(warehouse)).unwrap_or(&none);
        snapshot_of(|name| fields.get(name).map(String::as_str))
    }

    /// The cycle under way.
    pub fn cycle(&self, redis: &RedisModel, warehouse: &WarehouseId) -> Option<OpenCycle> {
        let fields = redis.fields(&self.cycle_key(warehouse))?;
        OpenCycle::of(|name| fields.get(name).map(String::as_str))
    }

    /// A shard's record.
    pub fn shard_record(&self, redis: &RedisModel, shard: &str) -> ShardRecord {
        let none = BTreeMap::new();
        let fields = redis.fields(&self.shard_key(shard)).unwrap_or(&none);
        ShardRecord::of(None, |name| fields.get(name).map(String::as_str))
    }

    /// Where the next cycle is split.
    pub fn borders(&self, redis: &RedisModel, warehouse: &WarehouseId) -> Vec<ItemNumber> {
        let items = redis.items(&self.keys.ranges(&self.tenant, warehouse));
        let items = items.into_iter().map(ItemNumber::parse);
        items.filter_map(Result::ok).collect()
    }
}

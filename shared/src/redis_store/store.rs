//! The store's handle.

use super::clock::RedisClock;
use super::connection::{Lender, Link, Repeat, pool, with_lent};
use super::error::StoreError;
use super::keys::Keys;
use super::metrics;
use super::reader::StockReader;
use super::script::Call;
use crate::d365::ProcessThrottleGate;
use crate::process::clock::Clock;
use crate::settings::RedisSettings;
use crate::stock::{Fingerprint, TenantId};
use arc_swap::ArcSwap;
use deadpool_redis::{Connection, Pool};
use redis::{FromRedisValue, RedisError, Value};
use std::sync::Arc;
use std::time::Duration;

/// Lends connections of the whole process; cheap to clone.
#[derive(Debug, Clone)]
pub struct StockStore(Arc<Inner>, Option<Fingerprint>);

#[derive(Debug)]
struct Inner {
    keys: Keys,
    /// For scripts and records: connections are lent for one call.
    scripts: Lender,
    /// Where readers get the one connection they keep.
    readers: Pool,
    clock: Arc<RedisClock>,
    script_limit: Duration,
    connect_limit: Duration,
    answer_limit: Duration,
    line_ttl: Duration,
    /// Tenants whose missing lines prove nothing.
    misspelled: Arc<ArcSwap<Vec<TenantId>>>,
    /// Tells this process from the others that use the same Redis.
    process_id: String,
    /// What D365 told this process, whichever tenant it asked for.
    process_gate: Arc<ProcessThrottleGate>,
}

/// Readers keep their connection, so this pool only makes them; it bounds how many are made at once.
const READERS_MADE_AT_ONCE: usize = 4;

impl StockStore {
    /// Prepares connections without making one: a Redis that is away does not stop a start.
    pub fn open(settings: &RedisSettings) -> Result<Self, StoreError> {
        let readers = pool(settings, READERS_MADE_AT_ONCE, settings.command_timeout)?;
        let connect_limit = settings.connect_timeout;
        let answer_limit = settings.command_timeout;
        let link = Link::new(readers.clone(), connect_limit, answer_limit);
        let clock = Arc::new(RedisClock::new(link));
        let inner = Inner {
            keys: Keys::with_prefix(&settings.key_prefix),
            scripts: Lender::new(
                pool(settings, settings.pool_size, settings.script_timeout)?,
                answer_limit / 2,
            ),
            process_gate: Arc::new(ProcessThrottleGate::new(
                Arc::clone(&clock) as Arc<dyn Clock>
            )),
            clock,
            readers,
            script_limit: settings.script_timeout,
            connect_limit,
            answer_limit,
            line_ttl: settings.line_ttl,
            misspelled: Arc::default(),
            process_id: uuid::Uuid::new_v4().to_string(),
        };
        Ok(Self(Arc::new(inner), None))
    }

    /// The same connections for lines read with these settings: they are stored only where the feed
    /// is of the same, and read only as far as they were read with them.
    #[must_use]
    pub fn under(&self, settings: Option<Fingerprint>) -> Self {
        Self(Arc::clone(&self.0), settings)
    }

    /// The settings its lines are read with, if they were told.
    pub fn settings(&self) -> Option<Fingerprint> {
        self.1
    }

    /// The clock all replicas share; somebody must run it ([`RedisClock::run`]).
    pub fn clock(&self) -> &Arc<RedisClock> {
        &self.0.clock
    }

    /// A reader with a connection of its own.
    pub fn reader(&self) -> StockReader {
        StockReader::new(
            Link::new(
                self.0.readers.clone(),
                self.0.connect_limit,
                self.0.answer_limit,
            ),
            self.0.keys.clone(),
            Arc::clone(&self.0.misspelled),
            self.1,
        )
    }

    /// Names of keys, for telling people where to look.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// How long a line lives that nothing writes again.
    pub fn line_ttl(&self) -> Duration {
        self.0.line_ttl
    }

    /// From now on these tenants' missing lines prove nothing: names of an earlier version may hold them.
    pub fn distrust_missing_lines_of(&self, tenants: Vec<TenantId>) {
        self.0.misspelled.store(Arc::new(tenants));
    }

    /// Tells this process from the others that use the same Redis.
    pub(super) fn process_id(&self) -> &str {
        &self.0.process_id
    }

    /// Where this process stays away from D365, whatever Redis does.
    pub(super) fn process_gate(&self) -> &Arc<ProcessThrottleGate> {
        &self.0.process_gate
    }

    /// Whether Redis answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.command(async |connection| redis::cmd("PING").query_async::<String>(connection).await)
            .await
            .map(|_pong| ())
    }

    /// Runs a script once: what its connection's death leaves open, the caller finds out by reading.
    pub(super) async fn run<T: FromRedisValue>(&self, call: Call<'_>) -> Result<T, StoreError> {
        self.run_as(Repeat::Never, call).await
    }

    /// Runs a script that does the same twice as once; again if its connection dies.
    pub(super) async fn run_again<T: FromRedisValue>(
        &self,
        call: Call<'_>,
    ) -> Result<T, StoreError> {
        self.run_as(Repeat::Harmless, call).await
    }

    async fn run_as<T: FromRedisValue>(
        &self,
        repeat: Repeat,
        call: Call<'_>,
    ) -> Result<T, StoreError> {
        // On the heap: the futures of those who call this would be as large as all their calls.
        Box::pin(call.run(&self.0.scripts, self.0.script_limit, repeat)).await
    }

    /// Sends commands that do something else when sent twice: once.
    pub(super) async fn command_once<T>(
        &self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, RedisError> + Clone,
    ) -> Result<T, StoreError> {
        let (lender, limit) = (&self.0.scripts, self.0.script_limit);
        Box::pin(with_lent(lender, limit, Repeat::Never, work)).await
    }

    /// Runs a script that grants something, or changes what somebody is told about, for a caller who
    /// waits for so long. Its last argument is the end of that time on Redis' clock: a Redis that was
    /// frozen may come to the call when nobody waits any more, and would block others with it.
    ///
    /// # Errors
    /// [`StoreError::TooLate`] if Redis came to it after that time.
    pub(super) async fn run_in_time<T: FromRedisValue>(
        &self,
        call: Call<'_>,
        patience: Duration,
    ) -> Result<T, StoreError> {
        self.run_in_time_as(Repeat::Never, call, patience).await
    }

    /// As [`run_in_time`](Self::run_in_time), for a script that does the same twice as once: again if
    /// its connection dies.
    pub(super) async fn run_again_in_time<T: FromRedisValue>(
        &self,
        call: Call<'_>,
        patience: Duration,
    ) -> Result<T, StoreError> {
        self.run_in_time_as(Repeat::Harmless, call, patience).await
    }

    async fn run_in_time_as<T: FromRedisValue>(
        &self,
        repeat: Repeat,
        call: Call<'_>,
        patience: Duration,
    ) -> Result<T, StoreError> {
        let clock = self.clock();
        let ends = clock.monotonic().saturating_add(patience);
        if !clock.is_shared() {
            Box::pin(clock.sample()).await?;
        }
        loop {
            let left = ends.saturating_sub(clock.monotonic());
            let not_after = clock.now().plus(left).unix_ms();
            let call = call.clone().argument(not_after);
            match self.run_as::<Value>(repeat, call).await? {
                Value::BulkString(text) if text == b"late" => metrics::came_late(),
                answer => {
                    return redis::from_redis_value(answer)
                        .map_err(|cause| RedisError::from(cause).into());
                }
            }
            if clock.monotonic() >= ends {
                return Err(StoreError::TooLate);
            }
            // Its time is not over here: Redis' clock is another one than it was.
            Box::pin(clock.sample()).await?;
        }
    }

    /// How long a script may take for which nobody sets another limit.
    pub(super) fn script_limit(&self) -> Duration {
        self.0.script_limit
    }

    /// Sends commands that read, or do the same twice as once; again if their connection dies.
    pub(super) async fn command<T>(
        &self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, RedisError> + Clone,
    ) -> Result<T, StoreError> {
        let (lender, limit) = (&self.0.scripts, self.0.script_limit);
        Box::pin(with_lent(lender, limit, Repeat::Harmless, work)).await
    }
}

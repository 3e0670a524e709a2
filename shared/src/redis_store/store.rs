//! The store's handle.

use super::clock::RedisClock;
use super::connection::{Lender, Lent, Link, pool, with_lent};
use super::error::StoreError;
use super::keys::Keys;
use super::reader::StockReader;
use super::script::Call;
use crate::d365::ProcessThrottleGate;
use crate::process::clock::Clock;
use crate::settings::RedisSettings;
use crate::stock::Fingerprint;
use deadpool_redis::{Connection, Pool};
use redis::{FromRedisValue, RedisError};
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
    line_ttl: Duration,
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
        let clock = Arc::new(RedisClock::new(Link::new(readers.clone(), connect_limit)));
        let inner = Inner {
            keys: Keys::with_prefix(&settings.key_prefix),
            scripts: Lender::new(pool(settings, settings.pool_size, settings.script_timeout)?),
            process_gate: Arc::new(ProcessThrottleGate::new(
                Arc::clone(&clock) as Arc<dyn Clock>
            )),
            clock,
            readers,
            script_limit: settings.script_timeout,
            connect_limit,
            line_ttl: settings.line_ttl,
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
            Link::new(self.0.readers.clone(), self.0.connect_limit),
            self.0.keys.clone(),
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

    pub(super) async fn run<T: FromRedisValue>(&self, call: Call<'_>) -> Result<T, StoreError> {
        // On the heap: the futures of those who call this would be as large as all their calls.
        Box::pin(call.run(&self.0.scripts, self.0.script_limit)).await
    }

    pub(super) async fn command<T>(
        &self,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, RedisError>,
    ) -> Result<T, StoreError> {
        let limit = self.0.script_limit;
        let lent = with_lent(&self.0.scripts, limit, async |Lent(mut connection)| {
            let answer = work(&mut connection).await;
            (Lent(connection), answer)
        });
        Box::pin(lent).await
    }
}

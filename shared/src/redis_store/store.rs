//! The store's handle.

use super::clock::RedisClock;
use super::connection::{Limits, Link, Use, client};
use super::error::StoreError;
use super::keys::Keys;
use super::metrics;
use super::reader::StockReader;
use super::script::{StoreCall, is_late};
use super::seen_feeds::SeenFeeds;
use crate::d365::ProcessThrottleGate;
use crate::process::clock::Clock;
use crate::process::tasks::Tasks;
use crate::settings::RedisSettings;
use crate::stock::{Fingerprint, TenantId};
use arc_swap::ArcSwap;
use redis::{Client, Cmd, FromRedisValue, Pipeline, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Connections for scripts and records: a large answer on one holds up no call on the other.
const SCRIPT_LINKS: usize = 2;

/// The connections of the whole process; cheap to clone.
#[derive(Debug, Clone)]
pub struct StockStore {
    shared: Arc<Shared>,
    /// The settings its lines are read with, if they are known.
    settings: Option<Fingerprint>,
}

#[derive(Debug)]
struct Shared {
    keys: Keys,
    client: Client,
    scripts: [Link; SCRIPT_LINKS],
    next_script: AtomicUsize,
    clock: Arc<RedisClock>,
    script_limit: Duration,
    reading: Limits,
    line_ttl: Duration,
    seen_feeds: SeenFeeds,
    /// Tenants whose missing lines prove nothing.
    misspelled: Arc<ArcSwap<Vec<TenantId>>>,
    /// Tells this process from the others that use the same Redis.
    process_id: String,
    /// When D365 asked this process to stay away, whichever tenant it asked for.
    process_gate: Arc<ProcessThrottleGate>,
}

impl StockStore {
    /// Prepares connections without making one: a Redis that is away does not stop a start.
    pub fn open(settings: &RedisSettings) -> Result<Self, StoreError> {
        let client = client(settings)?;
        // A connection that cannot be made in the time of an answer is of no use.
        let connect = settings.command_timeout;
        let reading = Limits {
            connect,
            answer: settings.command_timeout,
        };
        let writing = Limits {
            connect,
            answer: settings.script_timeout,
        };
        let scripts = Use::Scripts(Tasks::new(), settings.command_timeout / 2);
        let link = |used_for, limits| Link::new(client.clone(), used_for, limits);
        let clock = Arc::new(RedisClock::new(link(Use::Reading, reading)));
        let shared = Shared {
            keys: Keys::with_prefix(&settings.key_prefix),
            scripts: [(); SCRIPT_LINKS].map(|()| link(scripts.clone(), writing)),
            next_script: AtomicUsize::new(0),
            process_gate: Arc::new(ProcessThrottleGate::new(
                Arc::clone(&clock) as Arc<dyn Clock>
            )),
            clock,
            script_limit: settings.script_timeout,
            reading,
            line_ttl: settings.line_ttl,
            seen_feeds: SeenFeeds::default(),
            misspelled: Arc::default(),
            process_id: uuid::Uuid::new_v4().to_string(),
            client,
        };
        Ok(Self {
            shared: Arc::new(shared),
            settings: None,
        })
    }

    /// The same connections for lines read with these settings: they are stored only where the feed
    /// is of the same, and read only as far as they were read with them.
    #[must_use]
    pub fn under(&self, settings: Option<Fingerprint>) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            settings,
        }
    }

    /// The settings its lines are read with, if they are known.
    pub fn settings(&self) -> Option<Fingerprint> {
        self.settings
    }

    /// The clock all replicas share; somebody must run it ([`RedisClock::run`]).
    pub fn clock(&self) -> &Arc<RedisClock> {
        &self.shared.clock
    }

    /// A reader with a connection of its own.
    pub fn reader(&self) -> StockReader {
        StockReader::new(
            Link::new(
                self.shared.client.clone(),
                Use::Reading,
                self.shared.reading,
            ),
            self.shared.keys.clone(),
            Arc::clone(&self.shared.misspelled),
            self.settings,
        )
    }

    /// Names of keys, for telling people where to look.
    pub fn keys(&self) -> &Keys {
        &self.shared.keys
    }

    pub fn line_ttl(&self) -> Duration {
        self.shared.line_ttl
    }

    /// From now on these tenants' missing lines prove nothing: names of an earlier version may hold them.
    pub fn distrust_missing_lines_of(&self, tenants: Vec<TenantId>) {
        self.shared.misspelled.store(Arc::new(tenants));
    }

    /// Tells this process from the others that use the same Redis.
    pub(super) fn process_id(&self) -> &str {
        &self.shared.process_id
    }

    /// Where this process stays away from D365, whatever Redis does.
    pub(super) fn process_gate(&self) -> &Arc<ProcessThrottleGate> {
        &self.shared.process_gate
    }

    /// Which settings feeds were seen to be read with.
    pub(super) fn seen_feeds(&self) -> &SeenFeeds {
        &self.shared.seen_feeds
    }

    pub async fn ping(&self) -> Result<(), StoreError> {
        self.ask::<String>(&redis::cmd("PING"))
            .await
            .map(|_pong| ())
    }

    /// Sends a command that reads, or does the same twice as once; again if its connection dies.
    pub(super) async fn ask<T: FromRedisValue + Send>(
        &self,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.add_command(command.clone());
        let [answer] = self.ask_all(&pipeline).await?;
        Ok(answer)
    }

    /// The same for several commands.
    pub(super) async fn ask_all<T: FromRedisValue + Send>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        // On the heap: the futures of those who call this would be as large as all their calls.
        Box::pin(self.link().ask(pipeline)).await
    }

    /// Sends commands that do something else when sent twice: once.
    pub(super) async fn send_once<T: FromRedisValue + Send>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        Box::pin(self.link().send_once(pipeline)).await
    }

    /// Runs a script.
    ///
    /// # Errors
    /// [`StoreError::TooLate`] if Redis came to it after its caller's time; nothing was changed then.
    pub(super) async fn run<T>(&self, call: StoreCall<T>) -> Result<T, StoreError> {
        let answer = if call.script.is_in_time() {
            Box::pin(self.evaluate_in_time(&call)).await?
        } else {
            Box::pin(self.evaluate(&call, None)).await?
        };
        call.decode(answer)
    }

    async fn evaluate_in_time<T>(&self, call: &StoreCall<T>) -> Result<Value, StoreError> {
        let clock = self.clock();
        let patience = call.patience.unwrap_or(self.shared.script_limit);
        let ends = clock.monotonic().saturating_add(patience);
        if !clock.is_shared() {
            clock.sample().await?;
        }
        loop {
            let left = ends.saturating_sub(clock.monotonic());
            let not_after = clock.now().plus(left).unix_ms();
            let answer = self.evaluate(call, Some(not_after)).await?;
            if !is_late(&answer) {
                return Ok(answer);
            }
            metrics::came_late();
            if clock.monotonic() >= ends {
                return Ok(answer);
            }
            // Its time is not over here: Redis' clock is another one than it was.
            clock.sample().await?;
        }
    }

    async fn evaluate<T>(
        &self,
        call: &StoreCall<T>,
        not_after: Option<i64>,
    ) -> Result<Value, StoreError> {
        let mut script = redis::cmd("EVALSHA");
        script.arg(call.script.hash()).arg(call.keys.len());
        script.arg(&call.keys).arg(&call.arguments).arg(not_after);
        let mut calling = redis::pipe();
        calling.add_command(script.clone());
        match self.evaluate_once(&calling, call.is_repeatable).await {
            Err(StoreError::Refused { code, .. }) if code == "NOSCRIPT" => {
                let mut load = redis::cmd("SCRIPT");
                load.arg("LOAD").arg(call.script.source());
                self.ask::<String>(&load).await?;
                self.evaluate_once(&calling, call.is_repeatable).await
            }
            answer => answer,
        }
    }

    async fn evaluate_once(
        &self,
        calling: &Pipeline,
        is_repeatable: bool,
    ) -> Result<Value, StoreError> {
        let [answer] = if is_repeatable {
            self.ask_all::<[Value; 1]>(calling).await?
        } else {
            self.send_once(calling).await?
        };
        Ok(answer)
    }

    fn link(&self) -> &Link {
        let number = self.shared.next_script.fetch_add(1, Ordering::Relaxed);
        &self.shared.scripts[number % SCRIPT_LINKS]
    }
}
